// Debian's own kernels, unmodified, on both backends: that the log holds no complaint, that time is right, and every way to
// end. Options of the kernel's command line only save emulation time.
import { beforeAll, describe, expect, test } from "vitest";
import { obtainInitramfs } from "../../tools/guest/initramfs.ts";
import { obtainKernel } from "../../tools/guest/kernel.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { type Finished, Terminal, typevisor } from "../cli/cli.ts";

const files = { cloud: "", standard: "", initrd: "" };

beforeAll(async () => {
  files.cloud = await obtainKernel("cloud", logNothing);
  files.standard = await obtainKernel("standard", logNothing);
  files.initrd = await obtainInitramfs(logNothing);
}, 300_000);

interface Setting {
  machine: string;
  kernel: "cloud" | "standard";
  append: string;
  /** Seconds after which the run is given up. */
  timeout: number;
}

const QEMU: Setting = { machine: "qemu-tcg", kernel: "cloud", append: "quiet", timeout: 120 };
const BOCHS: Setting = {
  machine: "bochs",
  kernel: "cloud",
  append: "quiet mitigations=off cryptomgr.notests",
  timeout: 240,
};
const SETTINGS: [string, Setting][] = [
  ["cloud kernel on AMD-V", QEMU],
  ["standard kernel on AMD-V", { ...QEMU, kernel: "standard" }],
  ["cloud kernel on VT-x", BOCHS],
];

function run(setting: Setting, command: string, more = "", options: string[] = []): Promise<Finished> {
  return typevisor([
    "run",
    ...options,
    ...["--machine", setting.machine, "--kernel", files[setting.kernel], "--initrd", files.initrd],
    ...["--append", `${setting.append} ${more}`.trim(), "--timeout", `${setting.timeout}`, "--exec", command],
  ]);
}

/** Things that Linux says at other levels than warning when its platform misbehaves. */
const COMPLAINTS = new RegExp(
  "unchecked MSR|unstable|spurious|lost interrupt|lockup|rcu.*stall|MP-BIOS|nobody cared|Firmware Bug" +
    "|disabled by BIOS|Call Trace",
  "i",
);

/** What Linux says of an emulator that stood still between two reads of a clock, because its host was busy. */
const STALLS = /clocksource: (Long readout interval|.*read-back delay of)/;

/** Sections of a command's output, each after a line `== NAME`. */
function sections(output: string): Map<string, string> {
  return new Map(
    output
      .split(/^== /m)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]),
  );
}

const EXAMINATION = [
  "echo == log; dmesg -r",
  "echo == interrupts; cat /proc/interrupts",
  "echo == clock; cat /sys/devices/system/clocksource/clocksource0/*_clocksource",
  "echo == sleep; a=$(cut -d' ' -f1 /proc/uptime); sleep 2; b=$(cut -d' ' -f1 /proc/uptime); echo $a $b",
  "echo == date; date -u +%s",
  "echo == memory; grep MemTotal /proc/meminfo",
  "exit 5",
].join("\n");

describe.each(SETTINGS)("%s", (_name, setting) => {
  test("boots, and its log shows nothing that we caused", async () => {
    const begun = Date.now() / 1000;
    const { status, stdout, stderr } = await run(setting, EXAMINATION);
    expect(status, stderr).toBe(5);
    const part = sections(stdout);
    const log = (part.get("log") ?? "").split("\n").filter((line) => line !== "" && !STALLS.test(line));
    expect(log.length).toBeGreaterThan(100);
    expect(log.filter((line) => /^<[0-4]>/.test(line) || COMPLAINTS.test(line))).toEqual([]);
    expect(part.get("interrupts")).toMatch(/IO-APIC\s+4-edge\s+ttyS0/);
    expect(part.get("interrupts")).toMatch(/ERR:\s+0\n/);
    expect(part.get("clock")).toMatch(/kvm-clock/);
    const [before, after] = (part.get("sleep") ?? "").split(" ").map(Number) as [number, number];
    expect(after - before).toBeGreaterThanOrEqual(2);
    // The guest's date is the machine's: set at its start from the clock chip, which counts whole seconds.
    expect(Math.abs(Number(part.get("date")) - begun)).toBeLessThan(setting.timeout + 2);
    expect(Number(/(\d+) kB/.exec(part.get("memory") ?? "")?.[1])).toBeGreaterThan(200_000);
  }, 300_000);
});

describe.each([
  ["AMD-V", QEMU],
  ["VT-x", BOCHS],
] as [string, Setting][])("how Linux ends on %s", (_name, setting) => {
  const ending = async (command: string, more = "") => (await run(setting, command, more)).stderr;

  test("a panic is reported", async () => {
    expect(await ending("echo c > /proc/sysrq-trigger")).toMatch(/guest-panic.*\(status 12\)/);
  }, 300_000);

  test("a text that looks like a panic's end is not one", async () => {
    const fake = "echo '---[ end Kernel panic - not syncing: fake ]---' > /dev/console";
    const idle = `${fake}; sleep 2; echo alive`;
    const busy = `${fake}; end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do :; done; echo still`;
    const { status, stdout, stderr } = await run(setting, `${idle}; ${busy}; exit 7`);
    expect(stdout, stderr).toMatch(/alive\n(.*\n)*still/);
    expect(status, stderr).toBe(7);
  }, 300_000);

  test("a triple fault is reported with the processor's state", async () => {
    const report = await ending("reboot -f", "reboot=t");
    expect(report).toMatch(/triple-fault.*\(status 11\)/);
    expect(report).toMatch(/CR0\s+0x8/);
  }, 300_000);

  test("a reboot ends the VM where it is not to restart", async () => {
    expect(await ending("reboot -f")).toMatch(/reset.*\(status 10\)/);
  }, 300_000);
});

describe.each([
  ["AMD-V", QEMU],
  ["VT-x", BOCHS],
] as [string, Setting][])("clocks and sleep on %s", (_name, setting) => {
  test("the HPET is found, and is a clock source that agrees with the others", async () => {
    const source = "/sys/devices/system/clocksource/clocksource0";
    const commands = [
      "dmesg | grep hpet0",
      `echo hpet > ${source}/current_clocksource; cat ${source}/*_clocksource`,
      "a=$(cut -d' ' -f1 /proc/uptime); sleep 2; b=$(cut -d' ' -f1 /proc/uptime); echo slept $a $b",
      "dmesg | grep -i clocksource",
    ];
    // Two clocks are compared: both must go on between two reads, whatever else the host does.
    const icount = setting.machine === "qemu-tcg" ? ["--icount"] : [];
    const { stdout, stderr } = await run(setting, commands.join("\n"), "no-kvmclock", icount);
    expect(stdout, stderr).toMatch(/hpet0: 3 comparators, 64-bit 100\.000000 MHz counter/);
    expect(stdout).toMatch(/^tsc hpet acpi_pm *\nhpet$/m);
    const slept = /slept (\S+) (\S+)/.exec(stdout);
    expect(Number(slept?.[2]) - Number(slept?.[1])).toBeGreaterThanOrEqual(2);
    expect(stdout).not.toMatch(/unstable/i);
  }, 300_000);

  test("a guest that sleeps in S0 is woken by the RTC's alarm, through ACPI's event", async () => {
    const commands = [
      "cat /sys/power/mem_sleep",
      "echo +2 > /sys/class/rtc/rtc0/wakealarm",
      "echo mem > /sys/power/state; echo woken $?",
      "grep acpi /proc/interrupts; dmesg | grep 'PM: suspend'",
    ];
    const { stdout, stderr, status } = await run(setting, commands.join("\n"));
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^\[s2idle\]$/m);
    expect(stdout).toMatch(/^woken 0$/m);
    expect(stdout).toMatch(/9: +[1-9]\d* .*acpi/);
    expect(stdout).toMatch(/PM: suspend entry \(s2idle\)(.*\n)+.*PM: suspend exit/);
  }, 300_000);

  test("it is woken by a key at the console, which it has to ask for", async () => {
    const append = `--append "${setting.append}"`;
    const terminal = new Terminal(`$TYPEVISOR run --machine ${setting.machine} ${append}`);
    await terminal.expect("root@guest:~# ");
    terminal.type("echo enabled > /sys/class/tty/ttyS0/power/wakeup; dmesg -n 7\n");
    // A key that comes too early ends the attempt to sleep: then it tries again.
    terminal.type(
      "until echo mem > /sys/power/state; do :; done; echo slept $(cat /sys/power/suspend_stats/success)\n",
    );
    await terminal.expect("Suspending console(s)");
    while (!/slept \d/.test(terminal.screen)) {
      terminal.type("\n");
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await terminal.expect(/slept 1\r*\n/);
    expect(terminal.screen).toMatch(/PM: suspend exit/);
  }, 300_000);
});

/** Linux calibrates by how often it can poll the 8254, which an emulator is quick enough for when time counts instructions. */
test.each([
  ["AMD-V", QEMU, ["--icount"], /tsc: Fast TSC calibration using PIT/],
  ["VT-x", BOCHS, [], /tsc: PIT calibration matches HPET/],
] as [string, Setting, string[], RegExp][])(
  "a guest without kvm-clock calibrates its clocks without a complaint: %s",
  async (_name, machine, options, calibrated) => {
    const setting = { ...machine, append: "quiet no-kvmclock" };
    const { status, stdout, stderr } = await run(setting, "dmesg -r; exit 5", "", options);
    expect(status, stderr).toBe(5);
    expect(stdout).toMatch(calibrated);
    const lines = stdout.split("\n");
    expect(lines.filter((line) => /^<[0-4]>/.test(line) || COMPLAINTS.test(line))).toEqual([]);
  },
  300_000,
);

test("the console loses nothing under a flood", async () => {
  const { stdout, status } = await run(QEMU, "seq 1 12000");
  expect(status).toBe(0);
  expect(stdout).toBe(`${Array.from({ length: 12_000 }, (_, i) => i + 1).join("\n")}\n`);
}, 300_000);
