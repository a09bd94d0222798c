import { type MFunc, type MInst, operandText } from "./lir.ts";

function printInst(inst: MInst): string {
  const operands = inst.operands.map((o) => operandText(o, inst.width)).join(", ");
  const condition = ["jcc", "set", "cmov", "trapIf"].includes(inst.op) ? `.${inst.cc}` : "";
  const targets = inst.targets.map((t) => `b${t.id}`).join(" ");
  const trap = inst.trap ? `; ${inst.trap}` : "";
  const name = inst.op === "asm" ? inst.spec.text.replaceAll("\n", " / ") : inst.op;
  const gone = inst.coalesced ? "  ; coalesced" : "";
  return `  ${[`${name}${condition}`, operands, inst.symbol, targets, trap].filter(Boolean).join(" ")}${gone}`;
}

/** The text form of a machine function, for dumps. */
export function printMachine(func: MFunc): string {
  const blocks = func.blocks.map((b) =>
    [`b${b.id}: ; loop depth ${b.depth}`, ...b.insts.map(printInst)].join("\n"),
  );
  return `func ${func.index} "${func.name}"\n${blocks.join("\n")}\n`;
}
