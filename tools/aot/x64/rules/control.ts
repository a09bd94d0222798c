import { internalError } from "../../errors.ts";
import type { Block, Terminator, Value } from "../../ir/ir.ts";
import { imm, reg } from "../lir.ts";
import type { Selector } from "../selector.ts";
import { widthOf } from "../values.ts";

type TerminatorRule = (s: Selector, term: Terminator) => void;

interface Copy {
  to: number;
  from: number;
  value: Value;
}

/**
 * The copies that an edge owes to the phis of its target happen all at once: a destination is written
 * only when no other copy still reads it, and a cycle goes through one more register.
 */
function parallelCopies(s: Selector, copies: Copy[]): void {
  const pending = copies.filter((c) => c.to !== c.from);
  while (pending.length) {
    const ready = pending.findIndex((c) => !pending.some((other) => other !== c && other.from === c.to));
    if (ready >= 0) {
      const [copy] = pending.splice(ready, 1);
      s.emit("mov", widthOf(copy!.value), reg(copy!.to), reg(copy!.from));
      continue;
    }
    const broken = pending[0]!;
    const spare = s.temp();
    s.emit("mov", widthOf(broken.value), reg(spare), reg(broken.from));
    broken.from = spare;
  }
}

function phiCopies(s: Selector, target: Block): void {
  if (!target.phis.length) return;
  const edge = target.preds.indexOf(s.block);
  const constants: { to: number; value: Value }[] = [];
  const copies: Copy[] = [];
  for (const phi of target.phis) {
    const value = phi.args[edge]!;
    if (value === phi) continue;
    if (value.op === "const") constants.push({ to: s.def(phi), value });
    else copies.push({ to: s.def(phi), from: s.reg(value), value });
  }
  parallelCopies(s, copies);
  for (const { to, value } of constants) s.emit("movi", widthOf(value), reg(to), imm(value.imm));
}

const jump: TerminatorRule = (s, term) => {
  phiCopies(s, term.targets[0]!);
  s.emit("jmp", 8).targets = [s.blockOf(term.targets[0]!)];
};

function requireNoPhis(term: Terminator): void {
  if (term.targets.some((t) => t.phis.length)) throw internalError("critical edge into a block with phis");
}

/** jcc first target; jmp second: the layout decides which of the two is written. */
const branch: TerminatorRule = (s, term) => {
  requireNoPhis(term);
  const cc = s.condition(term.args[0]!);
  const inst = s.emit("jcc", 8);
  inst.cc = cc;
  inst.targets = term.targets.map((t) => s.blockOf(t));
};

/** Cases 0..n-1, then the default. */
const jumpTable: TerminatorRule = (s, term) => {
  requireNoPhis(term);
  const inst = s.emit("switch", 8, reg(s.reg(term.args[0]!)));
  inst.targets = term.targets.map((t) => s.blockOf(t));
};

const trap: TerminatorRule = (s, term) => {
  s.emit("trap", 8).trap = term.trap;
};

export { branch, jump, jumpTable, trap };
