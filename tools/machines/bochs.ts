// Bochs: a whole PC with VT-x and EPT in emulation, for computers without VT-x. It boots a CD image through GRUB.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildIso, buildLinuxIso, probeIsoTools } from "../image/iso.ts";
import { capture, findProgram } from "../lib/command.ts";
import { formatSize, GIB, MIB } from "../lib/size.ts";
import { UserError } from "../lib/user-error.ts";
import type { VmConfig } from "../vm/config.ts";
import { bootModules } from "./cmdline.ts";
import { listenSerial, type SerialPort, startEmulator } from "./emulator.ts";
import { FIXED_DATE, type LaunchPlan, type Machine, type Probe, type RunningMachine } from "./machine.ts";

const PROGRAM = "bochs-bin";
const CPU_MODEL = "broadwell_ult";
const BIOS = "/usr/share/bochs/BIOS-bochs-latest";
const VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest";
const PACKAGE_ADVICE = "install the Debian packages bochs, bochsbios and vgabios (`make setup` does)";
/** Bochs maps at most this much of its own memory at a time, and leaves the rest below 4 GiB to devices. */
const MAX_HOST_MEMORY = 2 * GIB;
const MAX_GUEST_MEMORY = 3 * GIB;
const LOG_TAIL_LINES = 12;

export const bochs: Machine = {
  name: "bochs",
  summary: "VT-x with EPT, emulated by Bochs",
  backends: () => ["vmx"],
  probe,
  launch,
};

async function probe(): Promise<Probe> {
  const program = findProgram(PROGRAM);
  if (!program) return { available: false, reason: `${PROGRAM} is not installed`, advice: PACKAGE_ADVICE };
  const missing = [BIOS, VGA_BIOS].find((path) => !existsSync(path));
  if (missing) return { available: false, reason: `${missing} does not exist`, advice: PACKAGE_ADVICE };
  const help = await capture(program, ["--help", "cpu"]);
  const text = help.stdout + help.stderr;
  if (!text.split("\n").includes(CPU_MODEL)) {
    return {
      available: false,
      reason: `this Bochs has no CPU model ${CPU_MODEL}: it is too old`,
      advice: PACKAGE_ADVICE,
    };
  }
  const iso = probeIsoTools();
  if (!iso.available) return iso;
  return { available: true, reason: /Bochs x86 Emulator [\d.]+/.exec(text)?.[0] ?? "Bochs" };
}

async function launch(plan: LaunchPlan): Promise<RunningMachine> {
  if (plan.icount)
    throw new UserError("--icount is an option of the QEMU machines: Bochs always counts instructions.");
  if (plan.memoryBytes > MAX_GUEST_MEMORY) {
    throw new UserError(
      `The machine would need ${formatSize(plan.memoryBytes)} of memory; Bochs gives at most ` +
        `${formatSize(MAX_GUEST_MEMORY)}. Lower --memory, or use --machine qemu-tcg.`,
    );
  }
  const iso = join(plan.directory, "boot.iso");
  if (plan.image === undefined) await buildLinuxIso(iso, plan.vms[0] as VmConfig);
  else await buildHypervisorIso(iso, plan.image, plan);
  const console = await listenSerial();
  const log = await listenSerial();
  writeFileSync(join(plan.directory, "bochsrc"), configuration(plan, iso, console, log));
  // Bochs' built-in debugger would prompt: continue, and when interrupted, leave.
  writeFileSync(join(plan.directory, "debugger.rc"), "c\nq\n");
  const program = findProgram(PROGRAM) ?? PROGRAM;
  const command = [program, "-q", "-f", "bochsrc", "-rc", "debugger.rc", ...plan.emulatorArgs];
  const words = () => logTail(join(plan.directory, "bochs.log"));
  return startEmulator(
    command,
    plan.directory,
    { console, log },
    {
      stopSignal: "SIGKILL",
      words,
      traceOnOutput: plan.trace !== undefined || plan.record !== undefined,
    },
  );
}

async function buildHypervisorIso(iso: string, image: string, plan: LaunchPlan): Promise<void> {
  // Bochs' serial ports are as slow as real ones: the trace leaves through a port that Bochs copies to its output.
  const trace = plan.trace === undefined ? [] : ["trace=e9", ...plan.trace];
  const record = plan.record === undefined ? [] : ["record=e9", ...plan.record];
  const hypervisorArgs = [...plan.hypervisorArgs, ...trace, ...record, "log=com2", "exit=bochs"];
  await buildIso({
    output: iso,
    image,
    modules: bootModules(plan.vms),
    entries: [{ title: "Typevisor", hypervisorArgs }],
    timeoutSeconds: 0,
    firmware: ["bios"],
  });
}

function configuration(plan: LaunchPlan, iso: string, console: SerialPort, log: SerialPort): string {
  const guest = Math.ceil(plan.memoryBytes / MIB);
  const date = plan.repeatable ? String(Date.parse(FIXED_DATE) / 1000) : "utc";
  const host = Math.min(guest, MAX_HOST_MEMORY / MIB);
  // Linux on the bare machine reads MSRs of this processor that Bochs does not have, and dies of the fault.
  const ignoreBadMsrs = plan.image === undefined ? 1 : 0;
  return `plugin_ctrl: speaker=0, unmapped=1
display_library: rfb, options="timeout=0"
cpu: model=${CPU_MODEL}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=${ignoreBadMsrs}
memory: guest=${guest}, host=${host}
romimage: file=${BIOS}, options=fastboot
vgaromimage: file=${VGA_BIOS}
vga: extension=vbe, update_freq=5, realtime=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="${iso}", status=inserted
boot: cdrom
com1: enabled=1, mode=socket-client, dev=127.0.0.1:${console.address}
com2: enabled=1, mode=socket-client, dev=127.0.0.1:${log.address}
clock: sync=none, time0=${date}
log: bochs.log
debugger_log: /dev/null
port_e9_hack: enabled=1
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`;
}

function logTail(path: string): string {
  if (!existsSync(path)) return "";
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
}
