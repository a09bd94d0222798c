// A debugger stops a replay in the hypervisor's WebAssembly code, and the source map that it is given leads to the lines of
// the TypeScript sources.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SourceMap, sourcesOf } from "../../tools/aot/sourcemap.ts";
import { decode } from "../../tools/aot/wasm/decode.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { listenSerial } from "../../tools/machines/emulator.ts";
import { openInspector } from "../../tools/replay/inspect.ts";
import { start } from "../cli/cli.ts";
import { temporary } from "../trace/sample.ts";
import { recordGuest } from "./record.ts";

interface Frame {
  name: string;
  offset: number;
}

interface Seen {
  sourceMapURL: string;
  first: Frame[];
  stepped: Frame[];
  hit: Frame[];
}

const HANDLER = "kernel/exits/cpuid.ts";
/** The guest's first CPUID: ten writes to the PIC come before (tests/guests/guest.inc). */
const FIRST_CPUID = 10;

async function freePort(): Promise<number> {
  const { address, close } = await listenSerial();
  close();
  return Number(address);
}

function debuggerAt(port: number, offsets: number[]): Promise<Seen> {
  const program = join(ROOT, "tests/replay/debugger.mjs");
  const child = spawn(process.execPath, [
    "--experimental-websocket",
    "--no-warnings",
    program,
    `${port}`,
    ...offsets.map(String),
  ]);
  let [said, complained] = ["", ""];
  child.stdout.on("data", (text) => (said += text));
  child.stderr.on("data", (text) => (complained += text));
  return new Promise((resolve, reject) => {
    child.on("close", (status) => (status === 0 ? resolve(JSON.parse(said)) : reject(new Error(complained))));
  });
}

test("a replay stops at an exit under Node's inspector, with TypeScript lines", async () => {
  const folder = temporary();
  const { path, module } = await recordGuest("cpuid", "qemu-tcg", folder, ["--no-reboot"]);
  const ours = new SourceMap(module.map);
  const offsets = decode(module.wasm)
    .funcs.flatMap(({ body }) => body.map((instruction) => instruction.offset))
    .filter((at) => ours.find(at)?.file === HANDLER);
  expect(offsets.length).toBeGreaterThan(0);
  const port = await freePort();
  const { child, finished } = start([
    "replay",
    path,
    "--exit",
    `${FIRST_CPUID}`,
    "--inspect",
    `127.0.0.1:${port}`,
  ]);
  await new Promise<void>((resolve) => {
    child.stderr?.on("data", (text) => String(text).includes("Debugger listening on") && resolve());
  });
  const seen = await debuggerAt(port, offsets);

  const json = Buffer.from(
    seen.sourceMapURL.replace(/^data:application\/json;base64,/, ""),
    "base64",
  ).toString();
  const map = new SourceMap(json);
  const lineAt = ({ offset }: Frame) => map.find(offset);
  const textOf = (frame: Frame) => {
    const { file, line } = lineAt(frame) as { file: string; line: number };
    return sourcesOf(json).get(file)?.split("\n")[line - 1];
  };
  // First where the exit begins to be handled, with the kernel's own frames below.
  const [first] = seen.first as [Frame];
  expect(["$kernel/run/onExit", "$kernel/svm/backend/run"]).toContain(first.name);
  expect(seen.first.map((frame) => lineAt(frame)?.file)).toContain("kernel/svm/backend.ts");
  expect(seen.stepped[0]?.name).toBe(first.name);
  expect(seen.stepped[0]?.offset).toBeGreaterThan(first.offset);
  // Then in the handler of that exit.
  expect(offsets).toContain(seen.hit[0]?.offset);
  expect(lineAt(seen.hit[0] as Frame)?.file).toBe(HANDLER);
  expect(textOf(seen.hit[0] as Frame)).toMatch(/answerCpuid|vcpu|cpuid/i);
  expect(seen.hit.map((frame) => lineAt(frame)?.file)).toContain("kernel/run.ts");
  // The sources are placed in this checkout, and the replay goes on when the debugger leaves.
  expect(JSON.parse(json).sourceRoot).toBe(`file://${ROOT}/`);
  const { status, stdout } = await finished;
  expect(status).toBe(0);
  expect(stdout).toContain("Every outcome is identical");
}, 300_000);

test.each(["127.0.0.1:99999", "a:b:c", "port"])("--inspect %s is refused", (address) => {
  expect(() => openInspector(address)).toThrow(/^--inspect .*: expected HOST:PORT or PORT\.$/);
});
