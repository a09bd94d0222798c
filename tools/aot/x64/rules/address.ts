import { significantBits } from "../../ir/bits.ts";
import type { MemAccess, Value } from "../../ir/ir.ts";
import { imm, type MemOperand, mem, reg } from "../lir.ts";
import type { Selector } from "../selector.ts";
import { fitsInt32 } from "../values.ts";

type AddressRule = (s: Selector, address: Value, access: MemAccess) => MemOperand | null;

const MAX_SCALE_SHIFT = 3n;
/** In so many addresses an index is scaled anew: that is free, but each takes a byte more. */
const MAX_SCALED = 4;

/** A sum in the form that an x86 operand can hold: base + index * scale + disp. */
interface Sum {
  base: Value | null;
  index: Value | null;
  scale: 1 | 2 | 4 | 8;
  disp: bigint;
  /** How many operations were folded. */
  folded: number;
}

function scaled(s: Selector, v: Value): { value: Value; scale: 1 | 2 | 4 | 8 } | null {
  if (v.op !== "shl" || (s.uses(v) > 1 && !(s.isOnlyAddress(v) && s.uses(v) <= MAX_SCALED))) return null;
  if (s.isNeeded(v)) return null;
  const count = v.args[1]!;
  if (count.op !== "const" || count.imm < 1n || count.imm > MAX_SCALE_SHIFT) return null;
  return { value: v.args[0]!, scale: (1 << Number(count.imm)) as 2 | 4 | 8 };
}

/** Adds one term to the sum, as index if it is scaled or the base is taken. */
function addTerm(s: Selector, sum: Sum, v: Value): boolean {
  const product = scaled(s, v);
  if (product && !sum.index) {
    sum.index = product.value;
    sum.scale = product.scale;
    sum.folded++;
  } else if (!sum.base) sum.base = v;
  else if (!sum.index) sum.index = v;
  else return false;
  return true;
}

/** Takes a tree of additions apart. Constants fold always, other additions when nobody else needs them. */
export function matchSum(s: Selector, v: Value, root = true): Sum {
  const sum: Sum = { base: null, index: null, scale: 1, disp: 0n, folded: 0 };
  let rest = v;
  let foldable = root || s.uses(v) === 1;
  while (rest.op === "add" && rest.args[1]!.op === "const" && fitsInt32(sum.disp + rest.args[1]!.imm)) {
    sum.disp += rest.args[1]!.imm;
    sum.folded++;
    rest = rest.args[0]!;
    foldable = s.uses(rest) === 1;
  }
  if (rest.op === "add" && foldable && rest.args[1]!.op !== "const") {
    sum.folded++;
    const [a, b] = rest.args as [Value, Value];
    splitTerm(s, sum, a, b);
    splitTerm(s, sum, b, a);
  } else addTerm(s, sum, rest);
  return sum;
}

/** One side of an addition, itself perhaps `x + constant` used only here. */
function splitTerm(s: Selector, sum: Sum, v: Value, _other: Value): void {
  let term = v;
  if (
    term.op === "add" &&
    term.args[1]!.op === "const" &&
    s.uses(term) === 1 &&
    fitsInt32(sum.disp + term.args[1]!.imm)
  ) {
    sum.disp += term.args[1]!.imm;
    sum.folded++;
    term = term.args[0]!;
  }
  addTerm(s, sum, term);
}

function operandOf(s: Selector, sum: Sum, wrap32: boolean, segment: "" | "gs"): MemOperand {
  const get = (v: Value | null) => (v ? (wrap32 ? s.low(v) : s.reg(v)) : -1);
  const disp = wrap32 ? Number(BigInt.asIntN(32, sum.disp)) : Number(sum.disp);
  return mem({ base: get(sum.base), index: get(sum.index), scale: sum.scale, disp, wrap32, segment });
}

/** A sum of two registers that a later operation wants in one: this operand is shorter with that one. */
function isMadeAnyway(s: Selector, address: Value, sum: Sum): boolean {
  return sum.index !== null && s.isNeeded(address);
}

/** A constant address. */
const constantAddress: AddressRule = (s, address, access) => {
  if (address.op !== "const") return null;
  const at = BigInt.asUintN(32, address.imm) + BigInt(access.offset);
  const segment = s.target.segment;
  if (fitsInt32(at)) return mem({ disp: Number(at), segment });
  const r = s.temp();
  s.emit("movi", 8, reg(r), imm(at));
  return mem({ base: r, segment });
};

/**
 * A sum of i32 terms in one operand. Folding drops the wrap-around at 2^32 of the additions, so the
 * hardware must do it: the address-size prefix computes the whole address modulo 2^32.
 */
const wrappedSum: AddressRule = (s, address, access) => {
  if (!s.mayWrap(access)) return null;
  if (address.op === "wrap") {
    return mem({ base: s.low(address), disp: access.offset, wrap32: true, segment: s.target.segment });
  }
  const sum = matchSum(s, address, s.uses(address) === 1);
  if (sum.folded === 0 || isMadeAnyway(s, address, sum)) return null;
  sum.disp += BigInt(access.offset);
  return operandOf(s, sum, true, s.target.segment);
};

/** A sum that cannot reach 2^32, whatever its terms hold, needs no wrap-around. */
const smallSum: AddressRule = (s, address, access) => {
  const sum = matchSum(s, address, s.uses(address) === 1);
  if (sum.folded === 0 || isMadeAnyway(s, address, sum)) return null;
  // Below zero is also beyond 2^32, which the offset of the access does not bring back.
  if (sum.disp < 0n) return null;
  sum.disp += BigInt(access.offset);
  const most = (v: Value | null) => (v ? (1n << BigInt(significantBits(v))) - 1n : 0n);
  const bound = most(sum.base) + most(sum.index) * BigInt(sum.scale) + sum.disp;
  if (bound > 0x7fff_ffffn) return null;
  return operandOf(s, sum, false, s.target.segment);
};

/** Register plus displacement: the register's upper half is zero, so the sum reaches at most 6 GiB. */
const basePlusOffset: AddressRule = (s, address, access) => {
  if (!fitsInt32(BigInt(access.offset))) return null;
  return mem({ base: s.reg(address), disp: access.offset, segment: s.target.segment });
};

/** Displacements are signed: a larger offset is added in a register, as 64 bits. */
const largeOffset: AddressRule = (s, address, access) => {
  const r = s.temp();
  s.emit("movi", 8, reg(r), imm(access.offset));
  return mem({ base: s.reg(address), index: r, segment: s.target.segment });
};

/** In order of preference; the last always applies. */
export const ADDRESS_RULES: readonly AddressRule[] = [
  constantAddress,
  smallSum,
  wrappedSum,
  basePlusOffset,
  largeOffset,
];

/** Operand of a 64-bit address in physical memory (through the direct map) or anywhere: sums wrap at 2^64 anyway. */
export function wideAddress(s: Selector, address: Value, segment: "" | "gs"): MemOperand {
  if (address.op === "const") {
    if (fitsInt32(address.imm)) return mem({ disp: Number(address.imm), segment });
    return mem({ base: s.reg(address), segment });
  }
  return operandOf(s, matchSum(s, address), false, segment);
}
