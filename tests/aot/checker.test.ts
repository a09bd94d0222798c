import { describe, expect, it } from "vitest";
import { FUNCTION_PASSES } from "../../tools/aot/passes/index.ts";
import { buildSsa } from "../../tools/aot/passes/ssa.ts";
import { KERNEL } from "../../tools/aot/target.ts";
import { decode } from "../../tools/aot/wasm/decode.ts";
import { checkAllocation } from "../../tools/aot/x64/checker.ts";
import { type MFunc, reg } from "../../tools/aot/x64/lir.ts";
import { allocateRegisters } from "../../tools/aot/x64/regalloc.ts";
import { ALLOCATION_ORDER } from "../../tools/aot/x64/registers.ts";
import { select } from "../../tools/aot/x64/select.ts";
import { encodeModule } from "./fuzz/encode.ts";
import { generateModule } from "./fuzz/generate.ts";

/** Allocated functions of a random module, with calls, loops and spills. */
function allocated(seed: number, registers: number = ALLOCATION_ORDER.length): MFunc[] {
  const module = decode(encodeModule(generateModule(seed)));
  return module.funcs.map((func) => {
    const ir = buildSsa(module, func);
    for (const [, pass] of FUNCTION_PASSES) pass(ir, module, KERNEL);
    const machine = select(ir, module, KERNEL, true);
    allocateRegisters(machine, ALLOCATION_ORDER.slice(0, registers));
    return machine;
  });
}

/** Replaces every read register operand in turn by another machine register. */
function* corruptions(func: MFunc): Generator<() => void> {
  for (const block of func.blocks) {
    for (const inst of block.insts) {
      const roles = inst.spec.roles;
      for (const [i, operand] of inst.operands.entries()) {
        const before = inst.original?.[i];
        if (operand.kind !== "reg" || roles[i] !== "u" || before?.kind !== "reg" || inst.coalesced) continue;
        const wrong = reg((operand.reg + 1) % 16 === 4 ? 5 : (operand.reg + 1) % 16);
        inst.operands[i] = wrong;
        yield () => {
          inst.operands[i] = operand;
        };
      }
    }
  }
}

describe("the allocation checker", () => {
  it("accepts what the allocator does", () => {
    for (let seed = 1; seed <= 8; seed++) {
      for (const registers of [7, 15]) for (const func of allocated(seed, registers)) checkAllocation(func);
    }
  });

  it("finds wrong registers", () => {
    let tried = 0;
    let found = 0;
    for (const func of allocated(3)) {
      for (const undo of corruptions(func)) {
        tried++;
        try {
          checkAllocation(func);
        } catch {
          found++;
        }
        undo();
      }
      checkAllocation(func);
    }
    expect(tried).toBeGreaterThan(200);
    // The wrong register may by chance hold a copy of the right value.
    expect(found / tried).toBeGreaterThan(0.95);
  });

  it("finds a reload that was forgotten", () => {
    const func = allocated(7, 7).find((f) => f.spillBytes > 0);
    expect(func).toBeDefined();
    const block = func!.blocks.find((b) => b.insts.some((i) => !i.original && i.op === "mov"))!;
    const at = block.insts.findIndex((i) => !i.original && i.op === "mov");
    block.insts.splice(at, 1);
    expect(() => checkAllocation(func!)).toThrow(/register allocation of/);
  });
});
