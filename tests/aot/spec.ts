// Runs a directory of the official WebAssembly test suite through the code generator, natively on Linux:
//   npm run test:spec -- DIRECTORY [--verbose]
// Every command on a module that the compiler accepts must pass. Skipped commands are counted by reason.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { START_SYMBOL } from "../../tools/aot/compile.ts";
import { CompileError } from "../../tools/aot/errors.ts";
import { type Answer, type Command, NativeModule, type Outcome } from "../../tools/aot/linux/process.ts";
import { decode } from "../../tools/aot/wasm/decode.ts";

interface Typed {
  type: string;
  value: string;
}

interface Action {
  type: "invoke" | "get";
  module?: string;
  field: string;
  args?: Typed[];
}

interface SpecCommand {
  type: string;
  line: number;
  filename?: string;
  name?: string;
  module_type?: "text" | "binary";
  action?: Action;
  expected?: Typed[];
  text?: string;
  as?: string;
}

/** One module of a script: either compiled, with the commands that wait to be run, or skipped. */
interface Instance {
  native: NativeModule | null;
  skipped: string;
  /** A skipped module may have changed its memory or tables: what follows cannot be judged. */
  shared: boolean;
  pending: { command: Command; spec: SpecCommand }[];
}

/** The value that the suite's host module gives to its global variables. */
const SPECTEST_GLOBAL = 666n;

class Totals {
  passed = 0;
  failures: string[] = [];
  skipped = new Map<string, number>();
  modules = 0;

  skip(reason: string): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
  }
}

/** Why a module was refused, in the words by which skipped commands are counted. */
function refusal(error: CompileError): string {
  if (/floating point/.test(error.message)) return "floating point";
  if (/references/.test(error.message)) return "reference types";
  if (/SIMD/.test(error.message)) return "SIMD";
  if (/imported (memory|table|global)|import "|not known at compile time/.test(error.message))
    return "imports from another module";
  return error.message;
}

class Script {
  private current: Instance | null = null;
  private readonly named = new Map<string, Instance>();
  private readonly registered = new Map<string, Instance>();
  private readonly all: Instance[] = [];

  constructor(
    private readonly file: string,
    private readonly directory: string,
    private readonly totals: Totals,
  ) {}

  run(commands: SpecCommand[]): void {
    try {
      for (const command of commands) this.command(command);
      for (const instance of this.all) this.flush(instance);
    } finally {
      for (const { native } of this.all) native?.close();
    }
  }

  private fail(line: number, message: string): void {
    this.totals.failures.push(`${this.file}:${line}: ${message}`);
  }

  private command(spec: SpecCommand): void {
    switch (spec.type) {
      case "module":
        return this.module(spec);
      case "action":
      case "assert_return":
      case "assert_trap":
      case "assert_exhaustion":
        return this.action(spec);
      case "assert_malformed":
      case "assert_invalid":
        return this.refused(spec);
      case "assert_uninstantiable":
        return this.uninstantiable(spec);
      case "assert_unlinkable":
        return this.totals.skip("imports from another module");
      case "register":
        this.registered.set(spec.as!, spec.name ? this.named.get(spec.name)! : this.current!);
        return;
      default:
        this.fail(spec.line, `unknown command ${spec.type}`);
    }
  }

  private load(spec: SpecCommand): NativeModule {
    return new NativeModule(this.bytes(spec), {
      verify: true,
      importedGlobals: (module, name) =>
        module === "spectest" && name.startsWith("global_i") ? SPECTEST_GLOBAL : undefined,
      importedFunctions: ["spectest"],
    });
  }

  private module(spec: SpecCommand): void {
    const instance: Instance = { native: null, skipped: "", shared: false, pending: [] };
    this.all.push(instance);
    this.current = instance;
    if (spec.name) this.named.set(spec.name, instance);
    try {
      instance.native = this.load(spec);
      this.totals.modules++;
      this.totals.passed++;
      this.start(instance, spec);
    } catch (error) {
      if (!(error instanceof CompileError) || error.kind !== "unsupported")
        return this.fail(spec.line, String(error));
      instance.skipped = refusal(error);
      this.totals.skip(instance.skipped);
      this.markShared(spec);
    }
  }

  private markShared(spec: SpecCommand): void {
    for (const { module, kind } of decode(this.bytes(spec)).imports) {
      const exporter = this.registered.get(module);
      if (exporter && kind !== "global") exporter.shared = true;
    }
  }

  private bytes(spec: SpecCommand): Uint8Array {
    return readFileSync(join(this.directory, spec.filename!));
  }

  private start(instance: Instance, spec: SpecCommand): void {
    if (!instance.native!.compiled.exports.has(START_SYMBOL)) return;
    const command: Command = { op: "call", name: START_SYMBOL, args: [], results: 0 };
    instance.pending.push({ command, spec: { ...spec, type: "start" } });
  }

  private action(spec: SpecCommand): void {
    const action = spec.action!;
    const instance = action.module ? this.named.get(action.module)! : this.current!;
    if (!instance.native) return this.totals.skip(instance.skipped || "module failed");
    if (instance.shared) return this.totals.skip("imports from another module");
    if (action.type === "get") {
      instance.pending.push({ command: { op: "global", name: action.field }, spec });
      return;
    }
    const args = (action.args ?? []).map((a) => BigInt(a.value));
    const results = spec.expected?.length ?? 0;
    instance.pending.push({ command: { op: "call", name: action.field, args, results }, spec });
  }

  private refused(spec: SpecCommand): void {
    if (spec.module_type === "text") return this.totals.skip("text format");
    try {
      this.load(spec).close();
      this.fail(spec.line, `accepted, but must be refused: ${spec.text}`);
    } catch (error) {
      if (!(error instanceof CompileError)) return this.fail(spec.line, String(error));
      if (error.kind === "unsupported") this.totals.skip(refusal(error));
      else this.totals.passed++;
    }
  }

  private uninstantiable(spec: SpecCommand): void {
    let native: NativeModule | null = null;
    try {
      native = this.load(spec);
      const outcome = native.call(START_SYMBOL, [], 0);
      if (outcome.kind === "trap" && outcome.trap.startsWith(spec.text!)) this.totals.passed++;
      else this.fail(spec.line, `instantiated, but must trap: ${spec.text}`);
    } catch (error) {
      if (!(error instanceof CompileError)) return this.fail(spec.line, String(error));
      if (error.kind === "unsupported") {
        this.totals.skip(refusal(error));
        this.markShared(spec);
      } else if (error.message.includes(spec.text!)) this.totals.passed++;
      else this.fail(spec.line, `${error.message} instead of: ${spec.text}`);
    } finally {
      native?.close();
    }
  }

  /** Runs the commands of one instance in one process, so that its state carries over. */
  private flush(instance: Instance): void {
    if (!instance.native || !instance.pending.length) return;
    let answers: Answer[];
    try {
      answers = instance.native.run(instance.pending.map((p) => p.command));
    } catch (error) {
      return this.fail(instance.pending[0]!.spec.line, String(error));
    }
    instance.pending.forEach(({ spec }, i) => this.check(spec, answers[i]!));
  }

  private check(spec: SpecCommand, answer: Answer): void {
    const problem = "outcome" in answer ? callProblem(spec, answer.outcome) : valueProblem(spec, answer);
    if (problem) this.fail(spec.line, `${spec.action?.field ?? spec.type}: ${problem}`);
    else this.totals.passed++;
  }
}

function sameValue(expected: Typed, actual: bigint): boolean {
  const bits = expected.type === "i32" ? 32 : 64;
  return BigInt.asUintN(bits, BigInt(expected.value)) === BigInt.asUintN(bits, actual);
}

function callProblem(spec: SpecCommand, outcome: Outcome): string {
  const wantsTrap = spec.type === "assert_trap" || spec.type === "assert_exhaustion";
  if (outcome.kind === "trap") {
    if (!wantsTrap) return `trapped: ${outcome.trap}`;
    const matches = spec.text!.startsWith(outcome.trap) || outcome.trap.startsWith(spec.text!);
    return matches ? "" : `trapped with "${outcome.trap}" instead of "${spec.text}"`;
  }
  if (wantsTrap) return `returned ${outcome.results} instead of trapping with "${spec.text}"`;
  const wrong = (spec.expected ?? []).findIndex((e, i) => !sameValue(e, outcome.results[i]!));
  return spec.type === "assert_return" && wrong >= 0
    ? `result ${wrong} is ${outcome.results[wrong]} instead of ${spec.expected![wrong]!.value}`
    : "";
}

function valueProblem(spec: SpecCommand, answer: Answer): string {
  const expected = spec.expected![0]!;
  return "value" in answer && sameValue(expected, answer.value) ? "" : `global is not ${expected.value}`;
}

function runFile(path: string, totals: Totals): void {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-spec-"));
  try {
    const json = join(directory, "script.json");
    execFileSync("wast2json", ["--enable-threads", path, "-o", json], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const { commands } = JSON.parse(readFileSync(json, "utf8")) as { commands: SpecCommand[] };
    new Script(basename(path), directory, totals).run(commands);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function main(): void {
  const [directory, ...only] = process.argv.slice(2);
  if (!directory) {
    console.error(
      "usage: npm run test:spec -- DIRECTORY [FILE...]   (a checkout of github.com/WebAssembly/testsuite)",
    );
    process.exit(2);
  }
  const totals = new Totals();
  const files = readdirSync(directory).filter(
    (f) => f.endsWith(".wast") && (!only.length || only.includes(f)),
  );
  if (!files.length) {
    console.error(`no .wast files in ${directory}`);
    process.exit(2);
  }
  for (const file of files.sort()) runFile(join(directory, file), totals);
  for (const failure of totals.failures) console.log(`FAIL ${failure}`);
  console.log(`${files.length} scripts, ${totals.modules} modules compiled and run`);
  console.log(`passed  ${totals.passed}`);
  for (const [reason, count] of [...totals.skipped].sort((a, b) => b[1] - a[1]))
    console.log(`skipped ${count}: ${reason}`);
  console.log(`failed  ${totals.failures.length}`);
  process.exitCode = totals.failures.length ? 1 : 0;
}

main();
