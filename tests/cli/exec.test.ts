// `--exec`: the command's output and nothing else, its status, whatever bytes it writes.
import { createHash, randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { obtainGuest } from "../../tools/guest/guest.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { start, typevisor } from "./cli.ts";

beforeAll(async () => {
  await obtainGuest(logNothing);
}, 300_000);

const execute = (command: string, input?: string | Uint8Array) =>
  typevisor(["run", "--machine", "qemu-plain", "--exec", command], { input });

test("output and status are the command's", async () => {
  expect(await execute("echo out; echo err >&2; printf 'no newline'; exit 7")).toEqual({
    status: 7,
    stdout: "out\nerr\nno newline",
    stderr: "",
  });
});

test("every byte arrives as written", async () => {
  const every = 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done';
  const { stdout, status } = await execute(
    `${every} | tee /tmp/all | md5sum; xxd -p -c 256 /tmp/all; cat /tmp/all | tr -d '\\200-\\377'`,
  );
  const [digest, hex] = stdout.split("\n");
  const bytes = Buffer.from(hex ?? "", "hex");
  expect(bytes).toEqual(Buffer.from(Array.from({ length: 256 }, (_unused, index) => index)));
  expect(digest).toBe(`${createHash("md5").update(bytes).digest("hex")}  -`);
  expect(stdout.slice(stdout.indexOf("\n", digest?.length ?? 0 + 1))).toContain("\x00\x01\x02\x03\x04");
  expect(status).toBe(0);
});

test("a megabyte arrives whole", async () => {
  const { stdout } = await execute("yes 0123456789abcde | head -c 1048576");
  expect(stdout.length).toBe(1 << 20);
  expect(stdout).toBe("0123456789abcde\n".repeat(1 << 16));
});

test("a reader that goes away ends the run, quietly", async () => {
  const { child, finished } = start(["run", "--machine", "qemu-plain", "--exec", "yes"]);
  child.stdout?.once("data", () => child.stdout?.destroy());
  const { status, stderr } = await finished;
  expect(stderr).toBe("");
  expect(status).toBe(128 + 13);
});

test("a guest that ends before the command does is reported", async () => {
  const { status, stdout, stderr } = await execute("echo begun; poweroff; sleep 100");
  expect(stdout).toMatch(/^begun\n/);
  expect(stderr).toMatch(/the guest stopped before the command of --exec had ended/);
  expect(status).toBe(125);
});

describe("standard input", () => {
  test("of a megabyte arrives whole, whatever its bytes", async () => {
    const bytes = randomBytes(1 << 20);
    const { stdout, stderr, status } = await execute("cat | md5sum; echo behind; cat", bytes);
    expect(stdout).toBe(`${createHash("md5").update(bytes).digest("hex")}  -\nbehind\n`);
    expect([stderr, status]).toEqual(["", 0]);
  }, 300_000);

  test("that is empty ends at once", async () => {
    expect(await execute("cat; echo done")).toEqual({ status: 0, stdout: "done\n", stderr: "" });
  });

  test("that the command does not want any more holds nothing up", async () => {
    const { child, finished } = start([
      "run",
      "--machine",
      "qemu-plain",
      "--exec",
      "head -c 5; exec <&-; sleep 1",
    ]);
    child.stdin?.on("error", () => {}).write(`first${"x".repeat(200_000)}`);
    // Its end never comes.
    expect(await finished).toEqual({ status: 0, stdout: "first", stderr: "" });
  });
});

test("--verbose shows the boot on standard error", async () => {
  const { status, stdout, stderr } = await typevisor([
    ...["run", "--machine", "qemu-plain", "--verbose", "--exec", "cat && echo out"],
  ]);
  expect([status, stdout]).toEqual([0, "out\n"]);
  expect(stderr).toMatch(/Linux version/);
});
