import { type Command, NativeModule } from "../../../tools/aot/linux/process.ts";
import type { T } from "./encode.ts";

export interface Call {
  name: string;
  args: bigint[];
  params: T[];
  result: T;
}

export interface Plan {
  calls: Call[];
  globals: { name: string; type: T }[];
  /** Registers for the allocator; all when absent. */
  registers?: number;
  /** All functions are compiled for speed: more inlining, and frames only where they are needed. */
  hot?: boolean;
}

const MEMORY_BYTES = 4 * 65_536;

/** V8's messages and this compiler's words for the same trap. V8 does not tell null from a wrong type. */
const TRAPS: [RegExp, RegExp][] = [
  [/unreachable/, /^unreachable$/],
  [/by zero/, /^integer divide by zero$/],
  [/unrepresentable/, /^integer overflow$/],
  [/memory access out of bounds/, /^out of bounds memory access$/],
  [/table index is out of bounds/, /^undefined element$/],
  [/null function|signature mismatch/, /^(uninitialized element|indirect call type mismatch)$/],
  [/unaligned/, /^unaligned atomic$/],
  // An atomic access that is both: which check comes first is not specified.
  [/memory access out of bounds/, /^unaligned atomic$/],
  [/call stack/, /^call stack exhausted$/],
];

type Observed = { trap: string } | { value: bigint };

function runInV8(
  bytes: Uint8Array,
  plan: Plan,
): { calls: Observed[]; globals: bigint[]; memory: Uint8Array } {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const exports = instance.exports as Record<string, unknown>;
  const calls = plan.calls.map((call): Observed => {
    const args = call.args.map((a, i) => (call.params[i] === "i32" ? Number(a) : a));
    try {
      return { value: BigInt((exports[call.name] as (...args: unknown[]) => number | bigint)(...args)) };
    } catch (error) {
      return { trap: (error as Error).message };
    }
  });
  const globals = plan.globals.map(({ name }) =>
    BigInt((exports[name] as WebAssembly.Global).value as number | bigint),
  );
  const memory = exports.memory as WebAssembly.Memory | undefined;
  return { calls, globals, memory: new Uint8Array(memory?.buffer ?? new ArrayBuffer(0)) };
}

function sameTrap(v8: string, ours: string): boolean {
  return TRAPS.some(([theirs, own]) => theirs.test(v8) && own.test(ours));
}

function truncate(type: T, value: bigint): bigint {
  return BigInt.asUintN(type === "i32" ? 32 : 64, value);
}

/** Runs the same calls in V8 and natively; returns a description of the first difference, or null. */
export function findDifference(bytes: Uint8Array, plan: Plan, withMemory = true): string | null {
  const native = new NativeModule(bytes, {
    verify: true,
    ...(plan.registers ? { registers: plan.registers } : {}),
    isHot: () => plan.hot ?? false,
  });
  try {
    const expected = runInV8(bytes, plan);
    const commands: Command[] = [
      ...plan.calls.map((c): Command => ({ op: "call", name: c.name, args: c.args, results: 1 })),
      ...plan.globals.map(({ name }): Command => ({ op: "global", name })),
      ...(withMemory ? [{ op: "memory", offset: 0, length: MEMORY_BYTES } as Command] : []),
    ];
    const answers = native.run(commands);
    for (const [i, call] of plan.calls.entries()) {
      const answer = answers[i]!;
      const difference =
        "outcome" in answer ? compareCall(call, expected.calls[i]!, answer.outcome) : "no outcome";
      if (difference) return difference;
    }
    for (const [i, { name, type }] of plan.globals.entries()) {
      const answer = answers[plan.calls.length + i]!;
      const value = "value" in answer ? answer.value : -1n;
      if (truncate(type, value) !== truncate(type, expected.globals[i]!))
        return `global ${name}: ${value}, V8 ${expected.globals[i]}`;
    }
    return withMemory ? compareMemory(expected.memory, answers.at(-1)!) : null;
  } finally {
    native.close();
  }
}

function compareCall(
  call: Call,
  expected: Observed,
  actual: { kind: string; trap?: string; results?: bigint[] },
): string | null {
  const where = `${call.name}(${call.args.join(", ")})`;
  if ("trap" in expected) {
    if (actual.kind !== "trap") return `${where}: returned, V8 traps: ${expected.trap}`;
    return sameTrap(expected.trap, actual.trap!)
      ? null
      : `${where}: trap "${actual.trap}", V8 "${expected.trap}"`;
  }
  if (actual.kind === "trap") return `${where}: trap "${actual.trap}", V8 returns ${expected.value}`;
  const value = actual.results![0]!;
  return truncate(call.result, value) === truncate(call.result, expected.value)
    ? null
    : `${where}: ${value}, V8 ${expected.value}`;
}

function compareMemory(
  expected: Uint8Array,
  answer: { pages?: number; bytes?: Uint8Array } | object,
): string | null {
  const { pages, bytes } = answer as { pages: number; bytes: Uint8Array };
  if (pages * 65_536 !== expected.length) return `memory: ${pages} pages, V8 ${expected.length / 65_536}`;
  const at = bytes.findIndex((byte, i) => byte !== expected[i]);
  return at < 0 ? null : `memory at ${at}: ${bytes[at]}, V8 ${expected[at]}`;
}
