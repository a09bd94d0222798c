import { bitsOf, isComparison, type Value } from "./ir.ts";

const MAX_DEPTH = 6;
/** Values that are looked at to learn about a phi. */
const MAX_SOURCES = 12;

/** An upper bound of the unsigned value: how many low bits it can have set. */
export function significantBits(v: Value, depth = 0): number {
  const all = v.type ? bitsOf(v.type) : 0;
  if (isComparison(v.op)) return 1;
  if (depth > MAX_DEPTH) return all;
  const of = (i: number) => significantBits(v.args[i]!, depth + 1);
  const constant = (i: number) => (v.args[i]!.op === "const" ? Number(v.args[i]!.imm) & (all - 1) : -1);
  switch (v.op) {
    case "const":
      return v.imm < 0n ? all : v.imm === 0n ? 0 : v.imm.toString(2).length;
    case "load":
      return v.mem!.signed ? all : Math.min(all, v.mem!.bytes * 8);
    case "and":
      return Math.min(of(0), of(1));
    case "or":
    case "xor":
      return Math.max(of(0), of(1));
    case "phi":
      return sourcesOf(v)?.reduce((most, arg) => Math.max(most, significantBits(arg, depth + 2)), 0) ?? all;
    case "select":
      return Math.max(of(0), of(1));
    case "shr_u":
      return constant(1) >= 0 ? Math.max(0, of(0) - constant(1)) : of(0);
    case "shl":
      return constant(1) >= 0 ? Math.min(all, of(0) + constant(1)) : all;
    case "add":
      return Math.min(all, Math.max(of(0), of(1)) + 1);
    case "mul":
      return Math.min(all, of(0) + of(1));
    case "div_u":
      return of(0);
    case "rem_u":
      return Math.min(of(0), of(1));
    case "extend_u":
    case "wrap":
      return Math.min(all, of(0));
    case "extend_s":
      return of(0) < 32 ? of(0) : all;
    case "clz":
    case "ctz":
    case "popcnt":
      return 7;
    default:
      return all;
  }
}

/** The values other than phis that a phi can have, also by way of others and round a loop; null if there are many. */
function sourcesOf(phi: Value): Value[] | null {
  const phis = new Set([phi]);
  const sources = new Set<Value>();
  for (const p of phis) {
    for (const arg of p.args) (arg.op === "phi" ? phis : sources).add(arg);
    if (phis.size + sources.size > MAX_SOURCES) return null;
  }
  return [...sources];
}
