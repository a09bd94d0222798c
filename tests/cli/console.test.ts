// The interactive console on a real pseudo-terminal. The bare emulator stands in for the hypervisor: these properties are
// the command line's own.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { obtainGuest } from "../../tools/guest/guest.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { Terminal, typevisor } from "./cli.ts";

const RUN = "$TYPEVISOR run --machine qemu-plain --append quiet";
const PROMPT = "root@guest:~# ";
const CTRL_A = "\x01";
const CTRL_C = "\x03";

let terminal: Terminal;

beforeAll(async () => {
  await obtainGuest(logNothing);
}, 300_000);

/** A shell that says the terminal's settings before and after, and typevisor's status. */
function openTerminal(command = RUN): Terminal {
  return new Terminal(
    `stty -g | sed 's/^/before /'; ${command}; echo "status $?"; stty -g | sed 's/^/after /'`,
  );
}

/** Waits for the end, and checks that the terminal is as it was. */
async function expectRestored(status: string): Promise<void> {
  await terminal.expect(new RegExp(`status ${status}\r\n`));
  const [, after] = await terminal.expect(/after (\S+)\r\n/);
  expect(/before (\S+)\r\n/.exec(terminal.screen)?.[1]).toBe(after);
}

/** Process ids of the emulators that descend from our terminal. */
function emulatorOf(parent: number): number {
  const table = execFileSync("ps", ["-eo", "pid=,ppid=,comm="], { encoding: "utf8" }).trim().split("\n");
  const rows = table
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, ppid, name]) => ({ pid: Number(pid), ppid: Number(ppid), name }));
  const family = new Set([parent]);
  for (let grown = true; grown; ) {
    const children = rows.filter((row) => family.has(row.ppid) && !family.has(row.pid));
    for (const child of children) family.add(child.pid);
    grown = children.length > 0;
  }
  const emulator = rows.find((row) => family.has(row.pid) && row.name?.startsWith("qemu-system"));
  if (!emulator) throw new Error("no emulator runs in this terminal");
  return emulator.pid;
}

/** Whether a process runs; one that has ended but was not yet waited for does not. */
function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

test("a 4 KiB paste arrives whole, keys reach the guest, Ctrl-A x leaves", async () => {
  terminal = openTerminal();
  await terminal.expect(PROMPT);
  const lines = Array.from(
    { length: 100 },
    (_unused, index) => `line ${index} abcdefghijklmnopqrstuvwxyz0123456789\n`,
  );
  const paste = lines.join("");
  expect(paste.length).toBeGreaterThan(4096);
  terminal.type(`cat > /tmp/paste <<'EOF'\n${paste}EOF\nmd5sum /tmp/paste\n`);
  await terminal.expect(`${createHash("md5").update(paste).digest("hex")}  /tmp/paste`);

  // Keys count as signals only once the shell has left its line editor, hence the words to wait for.
  let seen = terminal.screen.length;
  terminal.type(`sh -c "echo asl''eep; exec sleep 1000"\n`);
  await terminal.expect("asleep", seen);
  terminal.type(CTRL_C);
  await terminal.expect(/asleep\r[\s\S]*root@guest:~# /, seen);

  seen = terminal.screen.length;
  terminal.type(`sh -c "echo re''ady; exec cat -A"\n`);
  await terminal.expect("ready", seen);
  terminal.type(`${CTRL_A}${CTRL_A}\n`);
  await terminal.expect("^A$", seen);
  terminal.type(`${CTRL_A}h`);
  await terminal.expect("this help", seen);
  terminal.type(`${CTRL_A}x`);
  await expectRestored("0");
});

test("exit powers the guest off and ends with status 0", async () => {
  terminal = openTerminal();
  await terminal.expect(PROMPT);
  terminal.type("exit\n");
  await expectRestored("0");
});

test.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)("the terminal is put back after %s", async (signal) => {
  terminal = openTerminal(`sh -c 'echo pid $$; exec ${RUN}'`);
  const pid = Number((await terminal.expect(/pid (\d+)/))[1]);
  await terminal.expect(PROMPT);
  const emulator = emulatorOf(pid);
  process.kill(pid, signal);
  await expectRestored({ SIGTERM: "143", SIGHUP: "129", SIGINT: "130" }[signal]);
  expect(isRunning(emulator)).toBe(false);
});

test("the terminal is put back, and the user told, when the emulator dies", async () => {
  terminal = openTerminal(`sh -c 'echo pid $$; exec ${RUN}'`);
  const pid = Number((await terminal.expect(/pid (\d+)/))[1]);
  await terminal.expect(PROMPT);
  process.kill(emulatorOf(pid), "SIGKILL");
  await terminal.expect("the emulator ended unexpectedly (signal SIGKILL)");
  await expectRestored("125");
});

test("the terminal is put back, and no emulator left, when typevisor is killed outright", async () => {
  terminal = openTerminal(`sh -c 'echo pid $$; exec ${RUN}'; sleep 1`);
  const pid = Number((await terminal.expect(/pid (\d+)/))[1]);
  await terminal.expect(PROMPT);
  const emulator = emulatorOf(pid);
  process.kill(pid, "SIGKILL");
  await expectRestored("0");
  expect(isRunning(emulator)).toBe(false);
});

test("without a terminal, input comes from a pipe and its end ends the shell", async () => {
  const { status, stdout } = await typevisor(["run", "--machine", "qemu-plain", "--append", "quiet"], {
    input: "echo $((6 * 7))\necho input was served\n",
  });
  expect(stdout).toContain("\n42\r\n");
  expect(stdout).toContain("\ninput was served\r\n");
  expect(status).toBe(0);
});
