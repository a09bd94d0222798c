import { type Block, type FuncIR, resolve, type Terminator, type Value } from "./ir.ts";

/** An operand. Passes may leave it to the next one to put replacements in place. */
function ref(operand: Value): string {
  const v = resolve(operand);
  return v.op === "const" ? `${v.imm}` : `v${v.id}`;
}

function describe(v: Value): string {
  const parts = [v.op as string];
  if (v.mem) parts.push(`${v.mem.bytes * 8}${v.mem.signed ? "s" : ""}`);
  if (v.name) parts.push(v.name);
  if (v.op === "const") parts.push(`${v.imm}`);
  if (
    ["call", "call_indirect", "call_callee", "callee", "global.get", "global.set", "param", "proj"].includes(
      v.op,
    )
  )
    parts.push(`#${v.index}`);
  const args = v.args.map(ref).join(", ");
  const offset = v.mem?.offset ? ` +${v.mem.offset}` : "";
  return `${parts.join(" ")} ${args}${offset}`.trimEnd();
}

function printValue(v: Value): string {
  return v.type ? `  v${v.id}:${v.type} = ${describe(v)}` : `  ${describe(v)}`;
}

function printTerm(term: Terminator): string {
  const args = term.args.map(ref).join(", ");
  const labels = term.targets
    .map((b, i) => (i < term.cases.length ? `${term.cases[i]}: b${b.id}` : `b${b.id}`))
    .join(", ");
  return `  ${[term.op, term.op === "trap" ? term.trap : args, labels].filter(Boolean).join(" ")}`;
}

function printBlock(block: Block): string {
  const preds = block.preds.map((p) => `b${p.id}`).join(" ");
  const head = `b${block.id}:${preds ? ` ; from ${preds}` : ""}${block.depth ? ` ; loop depth ${block.depth}` : ""}`;
  const values = [...block.phis, ...block.body].filter((v) => !v.forward);
  return [head, ...values.map(printValue), printTerm(block.term)].join("\n");
}

/** The text form of a function, for dumps and golden tests. */
export function printFunc(func: FuncIR): string {
  const { params, results } = func.signature;
  const head = `func ${func.index} "${func.name}" (${params.join(" ")}) -> (${results.join(" ")})`;
  return `${head}\n${func.blocks.map(printBlock).join("\n")}\n`;
}
