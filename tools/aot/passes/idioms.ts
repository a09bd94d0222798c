import { bitsOf, type Value } from "../ir/ir.ts";
import type { Maker } from "./maker.ts";

/** (x << c) | (x >>> (bits - c)), also written with + or ^, is a rotation. */
export function matchRotate(v: Value, m: Maker): Value | null {
  const [a, b] = v.args as [Value, Value];
  const left = a.op === "shl" ? a : b.op === "shl" ? b : null;
  const right = a.op === "shr_u" ? a : b.op === "shr_u" ? b : null;
  if (!left || !right || left.args[0] !== right.args[0]) return null;
  const [up, down] = [left.args[1]!, right.args[1]!];
  if (up.op !== "const" || down.op !== "const") return null;
  if (up.imm <= 0n || down.imm <= 0n || up.imm + down.imm !== BigInt(bitsOf(v.type!))) return null;
  return m.make("rotl", v.type!, [left.args[0]!, up]);
}

interface MaskedRotate {
  x: Value;
  /** Bits to the left. */
  by: bigint;
  /** Which bits of x survive, before the rotation. */
  mask: bigint;
}

/** x rotated or shifted, masked before or after: in terms of the bits of x. */
function maskedRotate(v: Value): MaskedRotate | null {
  const bits = BigInt(bitsOf(v.type!));
  const all = (1n << bits) - 1n;
  const rotateMask = (mask: bigint, by: bigint) => ((mask << by) | (mask >> (bits - by))) & all;
  if (v.op === "and" && v.args[1]!.op === "const") {
    const inner = maskedRotate(v.args[0]!);
    if (!inner) return null;
    const after = BigInt.asUintN(Number(bits), v.args[1]!.imm);
    return { ...inner, mask: inner.mask & rotateMask(after, (bits - inner.by) % bits) };
  }
  const count = v.args[1];
  if (!["shl", "shr_u", "rotl", "rotr"].includes(v.op) || count?.op !== "const") return null;
  const c = count.imm & (bits - 1n);
  if (c === 0n) return null;
  const source = v.args[0]!;
  const masked = source.op === "and" && source.args[1]!.op === "const";
  const x = masked ? source.args[0]! : source;
  let mask = masked ? BigInt.asUintN(Number(bits), source.args[1]!.imm) : all;
  if (v.op === "shl") mask &= all >> c;
  if (v.op === "shr_u") mask &= (all << c) & all;
  const left = v.op === "shl" || v.op === "rotl";
  return { x, mask, by: left ? c : bits - c };
}

const EVEN_BYTES = 0x00ff_00ff_00ff_00ffn;
const EVEN_HALVES = 0x0000_ffff_0000_ffffn;

/** The two halves of `v`: parts of one value, complementary masks. */
function twoParts(v: Value): [MaskedRotate, MaskedRotate] | null {
  const a = maskedRotate(v.args[0]!);
  const b = maskedRotate(v.args[1]!);
  return a && b && a.x === b.x ? [a, b] : null;
}

/** Exchanges neighbouring groups: the low mask goes up by `by`, the rest down. */
function swapsNeighbours(v: Value, lowGroups: bigint, by: bigint): Value | null {
  const bits = BigInt(bitsOf(v.type!));
  const all = (1n << bits) - 1n;
  const low = lowGroups & all;
  const parts = v.op === "or" ? twoParts(v) : null;
  if (!parts) return null;
  const up = parts.find((p) => p.by === by && p.mask === low);
  const down = parts.find((p) => p.by === bits - by && p.mask === (~low & all));
  return up && down && up !== down ? up.x : null;
}

/**
 * Byte swaps, which AssemblyScript's `bswap` spells out. Of 32 bits: the even bytes rotated one way and the odd bytes
 * the other. Of 64 bits: bytes exchanged in pairs, then 16-bit halves, then a rotation by 32 (which rotates first here).
 */
export function matchByteSwap(v: Value, m: Maker): Value | null {
  if (v.type === "i32") {
    const parts = twoParts(v);
    if (!parts) return null;
    const [a, b] = parts;
    const found = (p: MaskedRotate, q: MaskedRotate) =>
      p.by === 8n && p.mask === 0xff00_ff00n && q.by === 24n && q.mask === 0x00ff_00ffn;
    return found(a, b) || found(b, a) ? m.make("bswap", "i32", [a.x]) : null;
  }
  const pairs = swapsNeighbours(v, EVEN_HALVES, 16n);
  const x = pairs && swapsNeighbours(pairs, EVEN_BYTES, 8n);
  if (!x) return null;
  // Both exchanges reverse the bytes of each 32-bit half: a byte swap with the halves in place.
  return m.make("rotl", "i64", [m.make("bswap", "i64", [x]), m.constant("i64", 32n)]);
}

/** What the two sides of `v` have in common: both are `common & rest`, and nothing else needs them. */
function commonFactor(v: Value, m: Maker): { common: Value; rest: [Value, Value] } | null {
  const [p, q] = v.args as [Value, Value];
  if (p.op !== "and" || q.op !== "and" || !m.usedOnce(p) || !m.usedOnce(q)) return null;
  for (const i of [0, 1])
    for (const j of [0, 1])
      if (p.args[i] === q.args[j]) return { common: p.args[i]!, rest: [p.args[1 - i]!, q.args[1 - j]!] };
  return null;
}

/** (x & y) ^ (x & z) is x & (y ^ z); the same of |. */
export function factorAnd(v: Value, m: Maker): Value | null {
  const found = commonFactor(v, m);
  if (!found) return null;
  return m.make("and", v.type!, [found.common, m.make(v.op, v.type!, found.rest)]);
}

/** (x & y) ^ (~x & z), also written with |, takes bits of y where x is set, else of z: z ^ (x & (y ^ z)). */
export function matchBitSelect(v: Value, m: Maker): Value | null {
  const [p, q] = v.args as [Value, Value];
  if (p.op !== "and" || q.op !== "and" || !m.usedOnce(p) || !m.usedOnce(q)) return null;
  for (const [yes, no] of [
    [p, q],
    [q, p],
  ] as const) {
    for (const i of [0, 1]) {
      const inverted = no.args[i]!;
      if (inverted.op !== "xor" || inverted.args[1]!.op !== "const" || inverted.args[1]!.imm !== -1n)
        continue;
      const at = yes.args.indexOf(inverted.args[0]!);
      if (at < 0) continue;
      const [x, y, z] = [yes.args[at]!, yes.args[1 - at]!, no.args[1 - i]!];
      const differing = m.make("and", v.type!, [x, m.make("xor", v.type!, [y, z])]);
      return m.make("xor", v.type!, [z, differing]);
    }
  }
  return null;
}
