// The monitor over the serial console of a machine, on both backends: it opens whatever the guest does, and the guest goes on
// as if nothing had been.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { obtainGuest } from "../../tools/guest/guest.ts";
import { buildImage } from "../../tools/image/build.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import type { Machine, RunningMachine } from "../../tools/machines/machine.ts";
import { planLaunch } from "../../tools/machines/plan.ts";
import { HypervisorStatus } from "../../tools/machines/status.ts";
import type { VmConfig } from "../../tools/vm/config.ts";
import { assembleGuest, machines } from "../guests/harness.ts";

const MIB = 1024 * 1024;
const OPEN = "\x1dm";
const PROMPT = "typevisor> ";
const CTRL_D = "\x04";
const PATIENCE_MILLISECONDS = 100_000;

/** A running machine, its console typed at and read. */
class Session {
  screen = "";
  log = "";
  private seen = 0;

  constructor(readonly running: RunningMachine) {
    running.console.on("data", (bytes: Buffer) => (this.screen += bytes.toString("latin1")));
    running.log.on("data", (bytes: Buffer) => (this.log += bytes.toString("latin1")));
  }

  /** Waits for `pattern` after what earlier calls have found, and returns the text up to its end. */
  async expect(pattern: string | RegExp): Promise<string> {
    const deadline = Date.now() + PATIENCE_MILLISECONDS;
    while (Date.now() < deadline) {
      const text = this.screen.slice(this.seen);
      const found = typeof pattern === "string" ? text.indexOf(pattern) : text.search(pattern);
      if (found >= 0) {
        const length =
          typeof pattern === "string" ? pattern.length : (pattern.exec(text)?.[0].length as number);
        this.seen += found + length;
        return text.slice(0, found + length);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${pattern} did not appear:\n${this.screen.slice(-2000)}\n${this.log.slice(-1000)}`);
  }

  type(text: string): void {
    this.running.console.write(Buffer.from(text, "latin1"));
  }

  /** A command's answer. */
  async ask(line: string): Promise<string> {
    this.type(`${line}\r`);
    await this.expect(`${line}\r\n`);
    return this.expect(PROMPT);
  }

  async status(): Promise<HypervisorStatus> {
    await this.running.exited;
    const status = new HypervisorStatus();
    for (const line of this.log.split(/\r?\n/)) status.take(line);
    return status;
  }
}

async function start(machine: Machine, vm: Partial<VmConfig> & { kernel: string }): Promise<Session> {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-monitor-"));
  const image = (await buildImage()).elf;
  const launch = planLaunch({
    vms: [{ name: "guest", bootArgs: "", memoryBytes: 32 * MIB, cpus: 1, restart: false, ...vm }],
    hypervisor: true,
    backend: "auto",
    logLevel: "info",
    emulatorArgs: [],
    icount: false,
  });
  const running = await machine.launch({ ...launch, image, directory });
  onTestFinished(async () => {
    running.kill();
    await running.exited;
    rmSync(directory, { recursive: true, force: true });
  });
  return new Session(running);
}

async function startSpinning(machine: Machine): Promise<Session> {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-spin-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const session = await start(machine, { kernel: await assembleGuest("spin", directory) });
  await session.expect("spinning\r\n");
  return session;
}

describe.each(machines)("%s", (name, machine) => {
  const isVmx = name.startsWith("VT-x");

  test("a guest that spins with interrupts off: opened, looked at, left, opened again, quit", async () => {
    const session = await startSpinning(machine);
    session.type(OPEN);
    const paused = await session.expect(PROMPT);
    const rip = /paused at (0x[0-9a-f]+)/.exec(paused)?.[1] as string;
    expect(await session.ask("regs")).toMatch(new RegExp(`rip {4}${rip}\r\nrflags 0x[0-9a-f]+ (?!.*IF)`));
    // EB FE: JMP to itself.
    expect(await session.ask("mem rip 2")).toContain(" eb fe ");
    expect(await session.ask("pt rip")).toContain(`guest-physical ${rip}`);
    expect(await session.ask(`ept ${rip}`)).toMatch(
      /PDE 0 at 0x[0-9a-f]+: 0x[0-9a-f]+ .*the page\r\nhost-physical 0x/,
    );
    expect(await session.ask("npt 0xfee00000")).toContain("not mapped: accesses exit");
    const structure = await session.ask("vmcs");
    expect(structure).toMatch(isVmx ? /\nGuest RIP +0x1/ : /\nRIP +0x1/);
    expect(structure).toMatch(
      isVmx
        ? /\nSecondary processor-based controls +0x[0-9a-f]+: Enable EPT, .*Enable VPID, .*Unrestricted guest/
        : /\nIntercepts, vector 3 +0x[0-9a-f]+: interrupt, nmi, .*cpuid, [\s\S]*\nNested paging +0x1: NP_ENABLE\r\n/,
    );
    expect(await session.ask("vmexit")).toMatch(isVmx ? /IO_INSTRUCTION +\d\d / : /io +\d\d /);
    session.type(CTRL_D);
    session.type(OPEN);
    await session.expect(PROMPT);
    session.type("quit\r");
    const status = await session.status();
    expect([status.reason, status.final]).toEqual(["vm0: quit", 0]);
  }, 180_000);

  test("top shows the rates of a guest that runs; tracing goes on and off", async () => {
    const session = await startSpinning(machine);
    session.type(`${OPEN}top\r`);
    await session.expect(/Exits\/s +Time%\r\n[\s\S]*any key ends/);
    session.type(" ");
    await session.expect(PROMPT);
    expect(await session.ask("trace on")).toContain("trace is on, to the log");
    // Visits at exits of their own: each exit is told at the next.
    for (let visit = 0; visit < 20 && !session.log.includes("typevisor: exit vm=0 "); visit++) {
      session.type("continue\r");
      await new Promise((resolve) => setTimeout(resolve, 200));
      session.type(OPEN);
      await session.expect("paused at");
      await session.expect(PROMPT);
    }
    expect(await session.ask("trace off")).toContain("trace is off");
    session.type("quit\r");
    await session.status();
    expect(session.log).toMatch(/typevisor: exit vm=0 vcpu=0 reason=/);
  }, 180_000);
});

describe("Linux", () => {
  test("an idle shell is left and found as it was: its clock has not moved", async () => {
    const { kernel, initrd } = await obtainGuest(logNothing);
    const [, machine] = machines[0] as (typeof machines)[number];
    const session = await start(machine, {
      kernel,
      initrd,
      bootArgs: "console=ttyS0 quiet",
      memoryBytes: 256 * MIB,
    });
    await session.expect("root@guest:~# ");
    session.type("cut -d. -f1 /proc/uptime\r");
    const before = Number(/\n(\d+)\r\n/.exec(await session.expect(/\n\d+\r\n/))?.[1]);
    session.type(OPEN);
    await session.expect(PROMPT);
    expect(await session.ask("vmexit hlt")).toMatch(/hlt +\d/);
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    session.type(CTRL_D);
    session.type("cut -d. -f1 /proc/uptime; dmesg | grep -ci 'stall\\|lockup\\|unstable'\r");
    const after = /\n(\d+)\r\n(\d+)\r\n/.exec(await session.expect(/\n\d+\r\n\d+\r\n/)) as RegExpExecArray;
    expect(Number(after[1]) - before).toBeLessThan(25);
    expect(after[2]).toBe("0");
  }, 180_000);
});
