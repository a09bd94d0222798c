// The command line over the hypervisor itself, on both backends: one command, a session at the console, and how runs end.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { obtainGuest } from "../../tools/guest/guest.ts";
import { buildImage } from "../../tools/image/build.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { Terminal, typevisor } from "./cli.ts";

const PROMPT = "root@guest:~# ";
/** Spares emulated time; changes nothing that is tested here. */
const QUICK = "mitigations=off cryptomgr.notests";
const MINUTES = 60_000;

beforeAll(async () => {
  await obtainGuest(logNothing);
  await buildImage();
}, 5 * MINUTES);

describe.each(["qemu-tcg", "bochs"])("%s", { timeout: 4 * MINUTES }, (machine) => {
  const run = (...args: string[]) => typevisor(["run", "--machine", machine, "--append", QUICK, ...args]);

  test("--exec gives output and status", async () => {
    const result = await run("--exec", "cat /sys/class/dmi/id/sys_vendor; printf 'no newline'; exit 7");
    expect(result).toEqual({
      status: 7,
      stdout: expect.stringMatching(/^Typevisor\nno newline$/),
      stderr: "",
    });
  });

  test("a session: paste, Ctrl-C, job control, reboot, power-off", async () => {
    const terminal = new Terminal(
      `$TYPEVISOR run --machine ${machine} --append '${QUICK} quiet'; echo "status $?"`,
    );
    await terminal.expect(PROMPT);
    const lines = Array.from(
      { length: 110 },
      (_unused, index) => `line ${index} abcdefghijklmnopqrstuvwxyz012345\n`,
    );
    const paste = lines.join("");
    expect(paste.length).toBeGreaterThan(4096);
    terminal.type(`cat > /tmp/paste <<'EOF'\n${paste}EOF\nmd5sum /tmp/paste\n`);
    await terminal.expect(`${createHash("md5").update(paste).digest("hex")}  /tmp/paste`);

    // The process that says the words is the one that the key shall hit.
    let seen = terminal.screen.length;
    terminal.type(`sh -c "echo asl''eep; exec sleep 1000"\n`);
    await terminal.expect("asleep", seen);
    terminal.type("\x1a");
    await terminal.expect(/Stopped[\s\S]*root@guest:~# /, seen);
    seen = terminal.screen.length;
    terminal.type(`kill %1; sh -c "echo wai''ting; exec sleep 1000"\n`);
    await terminal.expect("waiting", seen);
    terminal.type("\x03");
    await terminal.expect(/waiting[\s\S]*root@guest:~# /, seen);

    seen = terminal.screen.length;
    terminal.type("reboot\n");
    await terminal.expect("Restarting system", seen);
    await terminal.expect(/a busybox shell[\s\S]*root@guest:~# /, seen);
    terminal.type("poweroff\n");
    await terminal.expect("status 0\r");
  });

  test("a guest's panic has its own status", async () => {
    const { status, stderr } = await run("--exec", "echo c > /proc/sysrq-trigger");
    expect(stderr).toMatch(/vm0: guest-panic: the guest's kernel panicked \(status 12\)/);
    expect(stderr).toMatch(/the guest stopped before the command of --exec had ended/);
    expect(status).toBe(12);
  });

  test("a reboot ends a VM that is not to be restarted, with its own status", async () => {
    const { status, stderr } = await run("--exec", "reboot -f");
    expect(stderr).toMatch(/vm0: reset: .* \(status 10\)/);
    expect(status).toBe(10);
  });
});

test("a VM file describes the same guest", { timeout: 2 * MINUTES }, async () => {
  const file = join(ROOT, "examples/debian.json");
  const { status, stdout } = await typevisor(["run", "--vm", file, "--exec", "uname -s; cat /proc/cmdline"]);
  expect(stdout).toMatch(/^Linux\nconsole=ttyS0 quiet typevisor\.nonce=/);
  expect(status).toBe(0);
});

describe("the CD image", { timeout: 3 * MINUTES }, () => {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-test-"));
  const iso = join(directory, "typevisor.iso");
  afterAll(() => rmSync(directory, { recursive: true }));

  beforeAll(() => {
    execFileSync(process.execPath, [join(ROOT, "bin/typevisor.mjs"), "iso", "-o", iso, "--append", QUICK]);
  }, 3 * MINUTES);

  test.each([
    ["BIOS", ""],
    ["UEFI", "-bios /usr/share/ovmf/OVMF.fd"],
  ])("boots through %s to the shell and powers the computer off", async (_name, firmware) => {
    const computer = "qemu-system-x86_64 -accel tcg -cpu max -m 512 -vga std -nodefaults -display none";
    const terminal = new Terminal(`${computer} ${firmware} -cdrom ${iso} -serial stdio; echo "status $?"`);
    await terminal.expect(PROMPT);
    terminal.type("cat /sys/class/dmi/id/sys_vendor\n");
    await terminal.expect("Typevisor\r");
    terminal.type("poweroff\n");
    await terminal.expect("typevisor: halt (status 0)");
    await terminal.closed;
    expect(terminal.screen).toMatch(/^status 0\r$/m);
  });
});
