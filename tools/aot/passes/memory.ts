import { hasEffect, writesGlobals, writesMemory } from "../ir/effects.ts";
import { dominators, findLoops, type Loop } from "../ir/graph.ts";
import {
  type Block,
  type FuncIR,
  type MemAccess,
  resolve,
  resolveAll,
  type Type,
  type Value,
} from "../ir/ir.ts";

/**
 * What is known of memory and globals at a point: for a place (base value, offset, width) the value that a load would
 * give, and for a global its value.
 */
class Known {
  constructor(
    readonly places: Map<string, Place> = new Map(),
    readonly globals: Map<number, Value> = new Map(),
  ) {}

  copy(): Known {
    return new Known(new Map(this.places), new Map(this.globals));
  }
}

interface Place {
  base: Value | null;
  start: number;
  bytes: number;
  value: Value;
  /** The value is as a load gives it: extended in this way to this type. */
  form: string;
}

interface Address {
  /** Null: an absolute address. */
  base: Value | null;
  start: number;
}

/** Store-to-load and load-to-load forwarding over the whole function, with disambiguation by base and offset. */
export function forwardMemory(func: FuncIR): void {
  new Forwarding(func).run();
  resolveAll(func);
  for (const block of func.blocks) removeDeadStores(block);
}

/** Removes stores that are overwritten before anything can see them: not even a trap may lie between. */
function removeDeadStores(block: Block): void {
  const dead = new Set<Value>();
  let overwritten = new Set<string>();
  for (const v of [...block.body].reverse()) {
    if (v.op === "global.set" || v.op === "store") {
      const key = v.op === "store" ? `${keyOf(addressOf(v), v.mem!.bytes, "")}` : `global ${v.index}`;
      if (overwritten.has(key)) {
        dead.add(v);
        continue;
      }
      // A store may trap, which would show earlier stores.
      if (v.op === "store") overwritten = new Set();
      overwritten.add(key);
    } else if (v.op === "global.get") overwritten.delete(`global ${v.index}`);
    else if (v.op === "load" || hasEffect(v)) overwritten.clear();
  }
  if (dead.size) block.body = block.body.filter((v) => !dead.has(v));
}

class Forwarding {
  private readonly atEnd = new Map<Block, Known>();
  private readonly loops: Map<Block, Loop>;

  constructor(private readonly func: FuncIR) {
    const loops = findLoops(func, dominators(func));
    this.loops = new Map(loops.map((l) => [l.header, l]));
  }

  run(): void {
    for (const block of this.func.blocks) {
      const known = this.atStart(block);
      for (const v of block.body) {
        v.args = v.args.map(resolve);
        this.step(v, known);
      }
      this.atEnd.set(block, known);
    }
  }

  /** What all predecessors agree on; in a loop's header, what also survives the loop's writes. */
  private atStart(block: Block): Known {
    const done = block.preds.map((p) => this.atEnd.get(p)).filter((k) => k !== undefined);
    const loop = this.loops.get(block);
    if (!done.length || (done.length < block.preds.length && !loop)) return new Known();
    const known = done[0]!.copy();
    for (const other of done.slice(1)) intersect(known, other);
    if (loop) this.clobber(known, loop);
    return known;
  }

  private clobber(known: Known, loop: Loop): void {
    for (const block of loop.blocks) {
      for (const v of block.body) {
        if (v.op === "store") killOverlapping(known, addressOf(v), v.mem!.bytes);
        else if (writesMemory(v)) known.places.clear();
        if (v.op === "global.set") known.globals.delete(v.index);
        else if (writesGlobals(v)) known.globals.clear();
      }
    }
  }

  private step(v: Value, known: Known): void {
    switch (v.op) {
      case "load":
        return this.load(v, known);
      case "store":
        return this.store(v, known);
      case "global.get": {
        const value = known.globals.get(v.index);
        if (value) v.forward = value;
        else known.globals.set(v.index, v);
        return;
      }
      case "global.set":
        known.globals.set(v.index, v.args[0]!);
        return;
      default:
        if (writesMemory(v)) known.places.clear();
        if (writesGlobals(v)) known.globals.clear();
    }
  }

  private load(v: Value, known: Known): void {
    const address = addressOf(v);
    const form = formOf(v.type!, v.mem!);
    const key = keyOf(address, v.mem!.bytes, form);
    const place = known.places.get(key);
    if (place) v.forward = place.value;
    else known.places.set(key, { ...address, bytes: v.mem!.bytes, value: v, form });
  }

  private store(v: Value, known: Known): void {
    const address = addressOf(v);
    const { bytes } = v.mem!;
    killOverlapping(known, address, bytes);
    const value = v.args[1]!;
    const full = value.type === "i32" ? 4 : 8;
    if (bytes === full) {
      const form = formOf(value.type!, v.mem!);
      known.places.set(keyOf(address, bytes, form), { ...address, bytes, value, form });
      return;
    }
    // What a narrow load gives back, if the stored value already is of that form.
    for (const signed of [false, true]) {
      if (!isExtended(value, bytes, signed)) continue;
      const form = formOf(value.type!, { ...v.mem!, signed });
      known.places.set(keyOf(address, bytes, form), { ...address, bytes, value, form });
    }
  }
}

/** Whether a value equals its own low bytes, extended. */
function isExtended(v: Value, bytes: number, signed: boolean): boolean {
  if (v.op === "const") {
    const bits = bytes * 8;
    return (signed ? BigInt.asIntN(bits, v.imm) : BigInt.asUintN(bits, v.imm)) === v.imm;
  }
  if (v.op === "load") return v.mem!.bytes === bytes && v.mem!.signed === signed;
  if (signed) return v.op === `extend${bytes * 8}_s`;
  return (
    v.op === "and" &&
    v.args[1]!.op === "const" &&
    v.args[1]!.imm >= 0n &&
    v.args[1]!.imm < 1n << BigInt(bytes * 8)
  );
}

/** Takes constants out of an address. The offset of `add` wraps at 2^32: only then equal texts are equal addresses. */
function addressOf(v: Value): Address {
  const address = v.args[0]!;
  const { offset } = v.mem!;
  if (address.op === "const") return { base: null, start: Number(BigInt.asUintN(32, address.imm)) + offset };
  return { base: address, start: offset };
}

function keyOf({ base, start }: Address, bytes: number, form: string): string {
  return `${base?.id ?? "abs"}+${start}:${bytes}:${form}`;
}

function formOf(type: Type, { bytes, signed }: MemAccess): string {
  const full = type === "i32" ? 4 : 8;
  return bytes === full ? type : `${type}${signed ? "s" : "u"}`;
}

/** Two accesses are known apart when they have the same base and disjoint offsets. */
function killOverlapping(known: Known, address: Address, bytes: number): void {
  for (const [key, place] of known.places) {
    if (apart(address, bytes, place)) continue;
    known.places.delete(key);
  }
}

/** The parts of `base + constant`, so that fields of one structure are told apart. */
function split(base: Value | null): { root: Value | null; constant: bigint } {
  if (base?.op === "add" && base.args[1]!.op === "const")
    return { root: base.args[0]!, constant: base.args[1]!.imm };
  return { root: base, constant: 0n };
}

function apart(a: Address, bytes: number, b: Place): boolean {
  const disjoint = (x: number, y: number) => x + bytes <= y || y + b.bytes <= x;
  if (a.base === b.base) return disjoint(a.start, b.start);
  const x = split(a.base);
  const y = split(b.base);
  if (!x.root || x.root !== y.root) return false;
  // Equal roots: the distance modulo 2^32 decides, as each address is below 2^32 before its offset is added.
  const distance = Number(BigInt.asIntN(32, y.constant - x.constant)) + b.start - a.start;
  return (distance >= bytes || -distance >= b.bytes) && Math.abs(distance) < 2 ** 31;
}

function intersect(known: Known, other: Known): void {
  for (const [key, place] of known.places)
    if (other.places.get(key)?.value !== place.value) known.places.delete(key);
  for (const [index, value] of known.globals)
    if (other.globals.get(index) !== value) known.globals.delete(index);
}
