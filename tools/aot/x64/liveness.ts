import { forEachDef, forEachUse, type MBlock, type MFunc } from "./lir.ts";

/** A set of registers as bits. */
export class BitSet {
  readonly words: Uint32Array;

  constructor(readonly size: number) {
    this.words = new Uint32Array((size + 31) >>> 5);
  }

  has(i: number): boolean {
    return (this.words[i >>> 5]! & (1 << (i & 31))) !== 0;
  }

  add(i: number): void {
    this.words[i >>> 5]! |= 1 << (i & 31);
  }

  delete(i: number): void {
    this.words[i >>> 5]! &= ~(1 << (i & 31));
  }

  /** this = gen | (out & ~kill); returns whether it changed. */
  transfer(gen: BitSet, out: BitSet, kill: BitSet): boolean {
    let changed = 0;
    for (let w = 0; w < this.words.length; w++) {
      const next = (gen.words[w]! | (out.words[w]! & ~kill.words[w]!)) >>> 0;
      changed |= next ^ this.words[w]!;
      this.words[w] = next;
    }
    return changed !== 0;
  }

  union(other: BitSet): void {
    for (let w = 0; w < this.words.length; w++) this.words[w]! |= other.words[w]!;
  }

  forEach(visit: (i: number) => void): void {
    for (let w = 0; w < this.words.length; w++) {
      let word = this.words[w]!;
      while (word) {
        const bit = 31 - Math.clz32(word & -word);
        visit(w * 32 + bit);
        word &= word - 1;
      }
    }
  }
}

/** Registers live at the end of each block, by backward data flow. */
export function liveOut(func: MFunc): Map<MBlock, BitSet> {
  const size = func.nextVirtual;
  const gen = new Map<MBlock, BitSet>();
  const kill = new Map<MBlock, BitSet>();
  const liveIn = new Map<MBlock, BitSet>();
  const out = new Map<MBlock, BitSet>();
  for (const block of func.blocks) {
    const g = new BitSet(size);
    const k = new BitSet(size);
    for (let i = block.insts.length - 1; i >= 0; i--) {
      const inst = block.insts[i]!;
      forEachDef(inst, (r) => {
        g.delete(r);
        k.add(r);
      });
      forEachUse(inst, (r) => g.add(r));
    }
    gen.set(block, g);
    kill.set(block, k);
    liveIn.set(block, new BitSet(size));
    out.set(block, new BitSet(size));
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = func.blocks.length - 1; i >= 0; i--) {
      const block = func.blocks[i]!;
      const o = out.get(block)!;
      for (const succ of block.succs) o.union(liveIn.get(succ)!);
      if (liveIn.get(block)!.transfer(gen.get(block)!, o, kill.get(block)!)) changed = true;
    }
  }
  return out;
}
