// Differential fuzzing of the code generator against V8:
//   npm run fuzz:aot -- --minutes N [--seed S] [--count C]
// A module that behaves differently is shrunk and written to tests/aot/regressions, where it becomes a test.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runScript } from "../../../tools/lib/script.ts";
import { wholeNumber } from "../../../tools/lib/whole-number.ts";
import { findDifference, type Plan } from "./compare.ts";
import { encodeModule, type ModuleAst } from "./encode.ts";
import { generateModule, Random, randomArguments } from "./generate.ts";
import { shrink } from "./shrink.ts";

const FEW_REGISTERS = 6;
const CALLS_PER_FUNCTION = 3;
const REGRESSIONS = new URL("../regressions/", import.meta.url).pathname;

/** Calls of every function with arguments that the seed decides. */
export function planFor(ast: ModuleAst, seed: number): Plan {
  const r = new Random(seed ^ 0x5bd1e995);
  const calls = ast.entries.flatMap((i) => {
    const { params, result } = ast.funcs[i]!;
    return Array.from({ length: CALLS_PER_FUNCTION }, () => ({
      name: `f${i}`,
      args: randomArguments(r, params),
      params,
      result,
    }));
  });
  const globals = ast.globals.map((g, i) => ({ name: `g${i}`, type: g.type }));
  const plan = { calls, globals, hot: seed % 4 >= 2 };
  // Every other module gets few registers, so that spills are tested too.
  return seed % 2 ? plan : { ...plan, registers: FEW_REGISTERS + (seed % 3) };
}

function difference(ast: ModuleAst, seed: number): string | null {
  try {
    return findDifference(encodeModule(ast), planFor(ast, seed));
  } catch (error) {
    return `failed: ${(error as Error).message.split("\n")[0]}`;
  }
}

/** The kind of a difference, without the numbers: shrinking must keep it. */
function kindOf(text: string): string {
  return text.replace(/-?\d+/g, "N");
}

function store(ast: ModuleAst, seed: number, what: string): void {
  const kind = kindOf(what);
  const small = shrink(ast, (candidate) => {
    encodeModule(candidate);
    if (!WebAssembly.validate(encodeModule(candidate) as BufferSource)) return false;
    const found = difference(candidate, seed);
    return found !== null && kindOf(found).slice(0, 12) === kind.slice(0, 12);
  });
  mkdirSync(REGRESSIONS, { recursive: true });
  const plan = planFor(small, seed);
  const json = JSON.stringify({ what, seed, ...plan }, (_, v) => (typeof v === "bigint" ? String(v) : v), 1);
  writeFileSync(join(REGRESSIONS, `seed-${seed}.wasm`), encodeModule(small));
  writeFileSync(join(REGRESSIONS, `seed-${seed}.json`), `${json}\n`);
  console.log(`  shrunk to ${encodeModule(small).length} bytes: ${difference(small, seed)}`);
}

function main(): void {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
      count: { type: "string" },
    },
  });
  const end = Date.now() + wholeNumber("--minutes", values.minutes, 1) * 60_000;
  const first = wholeNumber("--seed", values.seed);
  const most = values.count ? wholeNumber("--count", values.count, 1) : Number.POSITIVE_INFINITY;
  let programs = 0;
  let calls = 0;
  let failures = 0;
  let modules = 0;
  for (; modules < most && Date.now() < end; modules++) {
    const seed = first + modules;
    const ast = generateModule(seed);
    const found = difference(ast, seed);
    programs += ast.entries.length;
    calls += ast.entries.length * CALLS_PER_FUNCTION;
    if (!found) continue;
    failures++;
    console.log(`seed ${seed}: ${found}`);
    store(ast, seed, found);
  }
  console.log(
    `${modules} modules from seed ${first}, ${programs} functions, ${calls} calls: ${failures} with differences`,
  );
  process.exitCode = failures ? 1 : 0;
}

if (process.argv[1]?.endsWith("fuzz.ts")) await runScript("fuzz", main);
