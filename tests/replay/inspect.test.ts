// A debugger stops a replay in the hypervisor's WebAssembly code, and the source map or the DWARF that it is given leads to the
// lines of the TypeScript sources.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { SourceMap, sourcesOf } from "../../tools/aot/sourcemap.ts";
import { decode } from "../../tools/aot/wasm/decode.ts";
import { Reader } from "../../tools/aot/wasm/reader.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { listenSerial } from "../../tools/machines/emulator.ts";
import { EXIT_FAILED } from "../../tools/machines/status.ts";
import { openInspector } from "../../tools/replay/inspect.ts";
import { prepareModule } from "../../tools/replay/module.ts";
import { sourceFiles } from "../../tools/replay/sources.ts";
import { start, typevisor } from "../cli/cli.ts";
import { temporary } from "../trace/sample.ts";
import { recordGuest } from "./record.ts";
import { Symbols } from "./symbols.ts";

interface Frame {
  name: string;
  offset: number;
}

interface Seen {
  sourceMapURL: string;
  /** Kinds of debugging information that V8 tells of. */
  symbols: string[];
  /** Where the contents of the code section start. */
  codeOffset: number;
  /** The module, in base 64. */
  bytecode: string;
  /** Bytes of code that the step was to skip. */
  skipped: number;
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

const record = () => recordGuest("cpuid", "qemu-tcg", temporary(), ["--no-reboot"]);

/** Replays under a debugger, which sets breakpoints at these offsets of the module. */
async function inspect(path: string, offsets: number[], environment: NodeJS.ProcessEnv = {}): Promise<Seen> {
  const port = await freePort();
  const args = ["replay", path, "--exit", `${FIRST_CPUID}`, "--inspect", `127.0.0.1:${port}`];
  const { child, finished } = start(args, { VSCODE_INSPECTOR_OPTIONS: "", ...environment });
  await new Promise<void>((resolve) => {
    child.stderr?.on("data", (text) => String(text).includes("Debugger listening on") && resolve());
  });
  const seen = await debuggerAt(port, offsets);
  // The replay goes on when the debugger leaves.
  const { status, stdout } = await finished;
  expect(status).toBe(0);
  expect(stdout).toContain("Every outcome is identical");
  return seen;
}

/** Where exits begin to be handled; the second stop is in the function that the breakpoints are in. */
function expectStops({ first, stepped, skipped }: Seen): void {
  const [frame] = first as [Frame];
  expect(["$kernel/run/onExit", "$kernel/svm/backend/run"]).toContain(frame.name);
  expect(stepped[0]?.name).toBe(frame.name);
  // Not to the next instruction: what the debugger wants skipped is skipped.
  const advance = (stepped[0] as Frame).offset - frame.offset;
  expect(advance >= skipped || advance < 0, `the step went ${advance} bytes`).toBe(true);
}

test("a replay stops at an exit under Node's inspector, with TypeScript lines", async () => {
  const { path, module } = await record();
  const ours = new SourceMap(module.map);
  const offsets = decode(module.wasm)
    .funcs.flatMap(({ body }) => body.map((instruction) => instruction.offset))
    .filter((at) => ours.find(at)?.file === HANDLER);
  expect(offsets.length).toBeGreaterThan(0);
  const seen = await inspect(path, offsets);

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
  expectStops(seen);
  expect(seen.first.map((frame) => lineAt(frame)?.file)).toContain("kernel/svm/backend.ts");
  // Then in the handler of that exit.
  expect(offsets).toContain(seen.hit[0]?.offset);
  expect(lineAt(seen.hit[0] as Frame)?.file).toBe(HANDLER);
  expect(textOf(seen.hit[0] as Frame)).toMatch(/answerCpuid|vcpu|cpuid/i);
  expect(seen.hit.map((frame) => lineAt(frame)?.file)).toContain("kernel/run.ts");
  // The sources are placed in this checkout.
  expect(JSON.parse(json).sourceRoot).toBe(`file://${ROOT}/`);
}, 300_000);

test("for VS Code the module has DWARF, which leads from lines to breakpoints and back", async () => {
  const {
    path: recording,
    recording: { module },
  } = await record();
  const { pathOf } = sourceFiles(module.map);
  const { wasm } = prepareModule(module, { format: "dwarf", pathOf });
  const symbols = await Symbols.of(wasm);
  onTestFinished(() => symbols.dispose());
  const path = join(ROOT, HANDLER);
  const line =
    readFileSync(path, "utf8")
      .split("\n")
      .findIndex((text) => text.includes("cpuidSlot(vcpu")) + 1;
  const offsets = await symbols.offsetsOf({ path, line });
  expect(offsets).not.toEqual([]);
  const codeOffset = codeStart(wasm);
  const seen = await inspect(
    recording,
    offsets.map((offset) => codeOffset + offset),
    // As VS Code's debugger leaves it in the programs that it starts or attaches to.
    { VSCODE_INSPECTOR_OPTIONS: "{}" },
  );

  expect(seen.symbols).toEqual(["EmbeddedDWARF"]);
  expect(seen.sourceMapURL).toBe("");
  expect(seen.codeOffset).toBe(codeOffset);
  expect(Buffer.compare(Buffer.from(seen.bytecode, "base64"), wasm)).toBe(0);
  const linesOf = (frames: Frame[]) =>
    Promise.all(frames.map(({ offset }) => symbols.lineAt(offset - codeOffset)));
  expectStops(seen);
  expect((await linesOf(seen.first)).map((found) => found?.path)).toContain(
    join(ROOT, "kernel/svm/backend.ts"),
  );
  const [hit] = seen.hit as [Frame];
  expect(offsets).toContain(hit.offset - codeOffset);
  expect(await linesOf([hit])).toEqual([{ path, line }]);
  expect(await symbols.functionsAt(hit.offset - codeOffset)).toEqual(["handleCpuid", "dispatch"]);
}, 300_000);

/** Where the contents of the code section start. */
function codeStart(wasm: Uint8Array): number {
  const PREAMBLE_BYTES = 8;
  const CODE_SECTION = 10;
  for (const reader = new Reader(wasm, PREAMBLE_BYTES); ; ) {
    const id = reader.u8();
    const body = reader.take(reader.u32());
    if (id === CODE_SECTION) return reader.pos - body.length;
  }
}

test.each(["127.0.0.1:99999", "a:b:c", "port"])("--inspect %s is refused", (address) => {
  expect(() => openInspector(address)).toThrow(/^--inspect .*: expected HOST:PORT or PORT\.$/);
});

test("--debug-info without a debugger is refused", async () => {
  const { status, stderr } = await typevisor(["replay", "any.rec", "--debug-info", "dwarf"]);
  expect(status).toBe(EXIT_FAILED);
  expect(stderr).toBe("typevisor: --debug-info says what a debugger reads: give --inspect too.\n");
});
