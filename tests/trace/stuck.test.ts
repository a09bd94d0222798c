// A guest that spins with interrupts off, traced and ended from outside: what exited until then is in the trace.
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXIT_IO } from "../../kernel/abi/exits.ts";
import { ioAccess, low32 } from "../../tools/trace/fields.ts";
import { readTrace } from "../../tools/trace/reader.ts";
import { start, typevisor } from "../cli/cli.ts";
import { assembleGuest } from "../guests/harness.ts";
import { temporary } from "./sample.ts";

const COM1 = 0x3f8;

async function traced(machine: string): Promise<{ path: string; args: string[] }> {
  const folder = temporary();
  const kernel = await assembleGuest("spin", folder);
  const path = join(folder, "guest.trace");
  return {
    path,
    args: [
      "run",
      "--machine",
      machine,
      "--kernel",
      kernel,
      "--memory",
      "32M",
      "--no-reboot",
      "--trace",
      path,
    ],
  };
}

/** What the guest wrote to its serial port, as the trace tells. */
async function said(path: string): Promise<string> {
  let text = "";
  const error = await readTrace(path, {
    exit: (record) => {
      const io = ioAccess(record);
      if (record.kind === EXIT_IO && io.port === COM1 && !io.in) {
        text += String.fromCharCode(low32(record.rax) & 0xff);
      }
    },
  });
  expect(error).toBeNull();
  return text;
}

test.each(["qemu-tcg", "bochs"])(
  "--timeout on %s leaves every exit of a guest that is stuck",
  async (machine) => {
    const { path, args } = await traced(machine);
    const { status, stdout } = await typevisor([...args, "--timeout", "40"]);
    expect([status, stdout]).toEqual([124, "spinning\r\n"]);
    expect(await said(path)).toBe("spinning\r\n");
    expect((await typevisor(["trace", path])).stderr).toMatch(/: the run was ended from outside; /);
  },
  400_000,
);

test("SIGTERM leaves them as well; until then the trace is one of a guest that runs", async () => {
  const { path, args } = await traced("qemu-tcg");
  const { child, finished } = start(args);
  let shown = "";
  do {
    await new Promise((resolve) => setTimeout(resolve, 500));
    shown = (await typevisor(["trace", path])).stderr;
  } while (!/still runs/.test(shown) || !(await said(path)).endsWith("\n"));
  expect(shown).not.toMatch(/damaged|cut short/);
  child.kill("SIGTERM");
  expect((await finished).status).toBe(128 + 15);
  expect(await said(path)).toBe("spinning\r\n");
  const after = (await typevisor(["trace", path])).stderr;
  expect(after).toMatch(/: the run was ended from outside; /);
  expect(after).not.toContain("still runs");
}, 400_000);
