// What is run under nested KVM: Debian's boot, and every guest of tests/guests. Each is one QEMU with KVM on the first-level
// guest, its files by name, and a verdict on what it said.
import { join } from "node:path";
import { ExecFrame, encodeExec } from "../../tools/console/exec.ts";
import { obtainGuest } from "../../tools/guest/guest.ts";
import type { Log } from "../../tools/lib/progress.ts";
import { MIB } from "../../tools/lib/size.ts";
import { bootModules, quoteForQemu, vmArgs } from "../../tools/machines/cmdline.ts";
import { HypervisorStatus } from "../../tools/machines/status.ts";
import type { VmConfig } from "../../tools/vm/config.ts";
import { ENDING, PASSED, RESTARTING, SELF_CHECKING } from "../guests/cases.ts";
import { assembleGuest, DEBUG_EXIT } from "../guests/harness.ts";

/** What a run said: the guest's console and the hypervisor's log. */
export interface Said {
  console: string;
  log: string;
}

export interface Job {
  name: string;
  /** Seconds until it counts as hung. */
  timeout: number;
  /** Names in the first-level guest, and the files of this computer that go there. */
  files: Map<string, string>;
  command: string[];
  /** Undefined: as it must be; else what is wrong. */
  judge(said: Said): string | undefined;
}

const DEBUG_EXIT_DEVICE = `isa-debug-exit,iobase=0x${DEBUG_EXIT.toString(16)},iosize=4`;
/** Memory of the machine beside its guest's, MiB. */
const OWN_MEMORY_MIB = 48;
const IMAGE = "typevisor";
const DEBIAN = "Debian";

/** The place of a file in the first-level guest. */
export const place = (name: string) => `/files/${name}`;

/** QEMU as `--machine qemu-kvm` starts it, with its serial ports in files. */
function qemu(image: string, vm: VmConfig, hypervisorArgs: string[]): Pick<Job, "files" | "command"> {
  // Each run has files of its own; blanks would end a module's name.
  const own = vm.name.replaceAll(" ", "-");
  const modules = bootModules([vm]).map((module) => ({ ...module, name: `${own}-${module.name}` }));
  const files = new Map([[IMAGE, image], ...modules.map(({ name, path }) => [name, path] as const)]);
  const texts = modules.map(({ name, text }) => quoteForQemu(`${place(name)} ${text}`));
  const words = [...hypervisorArgs, ...vmArgs([vm]), "log=com2", `exit=isa:0x${DEBUG_EXIT.toString(16)}`];
  const command = [
    "qemu-system-x86_64",
    ...["-L", "/usr/share/qemu", "-accel", "kvm", "-cpu", "host"],
    ...["-m", `${vm.memoryBytes / MIB + OWN_MEMORY_MIB}M`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-chardev", "file,id=console,path=/tmp/console", "-device", "isa-serial,index=0,chardev=console"],
    ...["-chardev", "file,id=log,path=/tmp/log", "-device", "isa-serial,index=1,chardev=log"],
    ...["-device", DEBUG_EXIT_DEVICE],
    ...["-kernel", place(IMAGE), "-append", words.join(" "), "-initrd", texts.join(",")],
  ];
  return { files, command };
}

function statusOf(log: string): number | undefined {
  const status = new HypervisorStatus();
  for (const line of log.split(/\r?\n/)) status.take(line);
  return status.final;
}

/** A guest of tests/guests that must end its VM with `status`, and has passed if that is PASSED. */
function guestJob(name: string, kernel: string, image: string, status: number, restart: boolean): Job {
  const vm: VmConfig = {
    name,
    kernel,
    bootArgs: "",
    memoryBytes: 32 * MIB,
    cpus: 1,
    restart,
    debugExitPort: DEBUG_EXIT,
  };
  const judge = ({ console, log }: Said) => {
    const found = statusOf(log);
    if (found !== status) return `status ${found ?? "none"} instead of ${status}`;
    return status !== PASSED || /pass\r?\n$/.test(console) ? undefined : "it did not say that it passed";
  };
  return { name: vm.name, timeout: 120, judge, ...qemu(image, vm, []) };
}

/** Debian to a command: no complaint of its kernel about the processor, and time from kvm-clock. */
async function debianJob(image: string, log: Log): Promise<Job> {
  const guest = await obtainGuest(log);
  const exec = encodeExec(
    "dmesg | grep -c 'unchecked MSR access'; cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
  );
  const vm: VmConfig = {
    name: "debian",
    kernel: guest.kernel,
    initrd: guest.initrd,
    bootArgs: `console=ttyS0 panic=-1 ${exec.bootArgs}`,
    memoryBytes: 256 * MIB,
    cpus: 1,
    restart: false,
  };
  const judge = ({ console }: Said) => {
    const frame = new ExecFrame(exec.nonce);
    const output = Buffer.from(frame.push(Buffer.from(console, "latin1"))).toString();
    if (frame.status === undefined) return "Debian did not come to the command's end";
    return output === "0\nkvm-clock\n" ? undefined : `the command said ${JSON.stringify(output)}`;
  };
  return { name: DEBIAN, timeout: 1500, judge, ...qemu(image, vm, ["loglevel=info"]) };
}

/** A guest, the status that it must end with, and whether it is started again after a reset. */
const GUESTS: [name: string, status: number, restart: boolean][] = [
  ...SELF_CHECKING.map((name): [string, number, boolean] => [name, PASSED, false]),
  ...ENDING.map(([name, , status]): [string, number, boolean] => [name, status, false]),
  ...RESTARTING.map(([name]): [string, number, boolean] => [name, PASSED, true]),
];

/** The names of all jobs. */
export const JOB_NAMES = [DEBIAN, ...GUESTS.map(([name, , restart]) => nameOf(name, restart))];

function nameOf(guest: string, restart: boolean): string {
  return restart ? `${guest} restarted` : guest;
}

/** All of them; guests are assembled into `directory`. */
export async function allJobs(image: string, directory: string, log: Log): Promise<Job[]> {
  const jobs = [await debianJob(image, log)];
  for (const [name, status, restart] of GUESTS) {
    const kernel = await assembleGuest(name, join(directory, name));
    jobs.push(guestJob(nameOf(name, restart), kernel, image, status, restart));
  }
  return jobs;
}
