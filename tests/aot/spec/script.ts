import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CompileError } from "../../../tools/aot/errors.ts";
import { INSTANTIATE, MEMORY_TOO_SMALL } from "../../../tools/aot/linux/harness.ts";
import type { Answer, Command, Instance, Outcome } from "../../../tools/aot/linux/process.ts";
import { decode } from "../../../tools/aot/wasm/decode.ts";
import { type Exports, refusal, ScriptModules } from "./modules.ts";

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

/** A command of a script, as wast2json writes it. */
export interface SpecCommand {
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

export class Totals {
  passed = 0;
  failures: string[] = [];
  skipped = new Map<string, number>();
  modules = 0;

  skip(reason: string): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
  }
}

/** The reason of skipped commands that test a parser of the text format, which no binary module reaches. */
const TEXT_FORMAT = "not about compilers: checks of the text format's parser";

/** One module of a script: compiled, or skipped for a reason. */
interface Loaded {
  instance: Instance | null;
  skipped: string;
  exports: Exports;
}

/** Compiles the modules of a script into one process, then runs its commands there. */
export class Script {
  private readonly modules = new ScriptModules();
  private current: Loaded | null = null;
  private readonly named = new Map<string, Loaded>();
  private readonly registered = new Map<string, Loaded>();
  private readonly pending: { instance: Instance; command: Command; spec: SpecCommand }[] = [];

  constructor(
    private readonly file: string,
    private readonly directory: string,
    private readonly totals: Totals,
  ) {}

  run(commands: SpecCommand[]): void {
    try {
      for (const command of commands) this.command(command);
      this.execute();
    } finally {
      this.modules.process.close();
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
      case "assert_unlinkable":
        return this.uninstantiable(spec);
      case "register":
        return this.register(spec);
      default:
        this.fail(spec.line, `unknown command ${spec.type}`);
    }
  }

  private bytes(spec: SpecCommand): Uint8Array {
    return readFileSync(join(this.directory, spec.filename!));
  }

  private register(spec: SpecCommand): void {
    const loaded = spec.name ? this.named.get(spec.name)! : this.current!;
    this.registered.set(spec.as!, loaded);
    this.modules.register(spec.as!, loaded.exports);
  }

  private module(spec: SpecCommand): void {
    const bytes = this.bytes(spec);
    const loaded = this.load(spec, bytes);
    if (!loaded) return;
    this.current = loaded;
    if (spec.name) this.named.set(spec.name, loaded);
    if (!loaded.instance) return this.skipModule(loaded, bytes);
    this.totals.modules++;
    this.queue(loaded.instance, { op: "call", name: INSTANTIATE, args: [], results: 1 }, spec);
  }

  private load(spec: SpecCommand, bytes: Uint8Array): Loaded | null {
    try {
      const instance = this.modules.add(bytes);
      return { instance, skipped: "", exports: this.modules.exportsOf(instance) };
    } catch (error) {
      if (error instanceof CompileError && error.kind === "unsupported")
        return {
          instance: null,
          skipped: refusal(error),
          exports: this.modules.exportsOfRefused(bytes, error),
        };
      this.fail(spec.line, String(error));
      return null;
    }
  }

  /** A module that was refused may have changed what it imports: what follows on its exporters cannot be judged. */
  private skipModule({ skipped }: Loaded, bytes: Uint8Array): void {
    this.totals.skip(skipped);
    for (const { module, kind } of decode(bytes).imports) {
      const exporter = this.registered.get(module);
      if (exporter && kind !== "global") exporter.skipped ||= skipped;
    }
  }

  private queue(instance: Instance, command: Command, spec: SpecCommand): void {
    this.pending.push({ instance, command, spec });
  }

  private action(spec: SpecCommand): void {
    const action = spec.action!;
    const { instance, skipped } = action.module ? this.named.get(action.module)! : this.current!;
    if (!instance || skipped) return this.totals.skip(skipped);
    if (action.type === "get") return this.queue(instance, { op: "global", name: action.field }, spec);
    const args = (action.args ?? []).map((a) => BigInt(a.value));
    const results = spec.expected?.length ?? 0;
    this.queue(instance, { op: "call", name: action.field, args, results }, spec);
  }

  private refused(spec: SpecCommand): void {
    if (spec.module_type === "text") return this.totals.skip(TEXT_FORMAT);
    try {
      this.modules.add(this.bytes(spec));
      this.fail(spec.line, `accepted, but must be refused: ${spec.text}`);
    } catch (error) {
      if (!(error instanceof CompileError)) return this.fail(spec.line, String(error));
      if (error.kind === "unsupported") this.totals.skip(refusal(error));
      else this.totals.passed++;
    }
  }

  /** A module that must not come to life: refused by the compiler, or by its own start code. */
  private uninstantiable(spec: SpecCommand): void {
    const bytes = this.bytes(spec);
    try {
      this.queue(this.modules.add(bytes), { op: "call", name: INSTANTIATE, args: [], results: 1 }, spec);
    } catch (error) {
      if (!(error instanceof CompileError)) return this.fail(spec.line, String(error));
      if (error.kind === "unsupported")
        this.skipModule(
          { instance: null, skipped: refusal(error), exports: { externs: new Map(), refused: "" } },
          bytes,
        );
      else if (error.message.includes(spec.text!)) this.totals.passed++;
      else this.fail(spec.line, `${error.message} instead of: ${spec.text}`);
    }
  }

  /** Runs everything in one process, so that state carries over. */
  private execute(): void {
    if (!this.pending.length) return;
    let answers: Answer[];
    try {
      answers = this.modules.process.run(this.pending.map((p) => [p.instance, p.command] as const));
    } catch (error) {
      return this.fail(this.pending[0]!.spec.line, String(error));
    }
    this.pending.forEach(({ spec }, i) => {
      const problem = problemOf(spec, answers[i]!);
      if (problem) this.fail(spec.line, `${spec.action?.field ?? spec.type}: ${problem}`);
      else this.totals.passed++;
    });
  }
}

function problemOf(spec: SpecCommand, answer: Answer): string {
  if (!("outcome" in answer)) return valueProblem(spec, answer);
  if (spec.type === "assert_unlinkable") return linkProblem(answer.outcome);
  if (spec.type === "module" && answer.outcome.kind === "return" && answer.outcome.results[0] !== 0n)
    return "not linked: an imported memory is too small";
  return callProblem(spec, answer.outcome);
}

function sameValue(expected: Typed, actual: bigint): boolean {
  const bits = expected.type === "i32" ? 32 : 64;
  return BigInt.asUintN(bits, BigInt(expected.value)) === BigInt.asUintN(bits, actual);
}

function callProblem(spec: SpecCommand, outcome: Outcome): string {
  const wantsTrap = ["assert_trap", "assert_exhaustion", "assert_uninstantiable"].includes(spec.type);
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

function linkProblem(outcome: Outcome): string {
  if (outcome.kind === "trap") return `trapped with "${outcome.trap}" instead of being refused`;
  return outcome.results[0] === MEMORY_TOO_SMALL ? "" : "linked, but must be refused";
}

function valueProblem(spec: SpecCommand, answer: Answer): string {
  const expected = spec.expected![0]!;
  return "value" in answer && sameValue(expected, answer.value) ? "" : `global is not ${expected.value}`;
}
