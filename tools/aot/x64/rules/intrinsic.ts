import { internalError } from "../../errors.ts";
import { type FixedRegister, INTRINSICS, type Intrinsic } from "../../intrinsics.ts";
import type { Value } from "../../ir/ir.ts";
import { DIRECT_MAP_BASE } from "../../target.ts";
import { imm, type MemOperand, type MInst, mem, type Operand, reg } from "../lir.ts";
import { RAX, RBX, RCX, RDI, RDX, RSI, type Width } from "../registers.ts";
import type { Rule, Selector } from "../selector.ts";
import { fitsInt32, widthOf } from "../values.ts";
import { wideAddress } from "./address.ts";
import { callSymbol } from "./calls.ts";
import { emitLoad } from "./memory.ts";

const FIXED: Record<FixedRegister, number> = { rax: RAX, rbx: RBX, rcx: RCX, rdx: RDX, rsi: RSI, rdi: RDI };

function isFixed(place: string): place is FixedRegister {
  return place in FIXED;
}

export const intrinsic: Rule = (s, v) => {
  const spec = INTRINSICS[v.name];
  if (!spec) throw internalError(`unknown intrinsic ${v.name}`);
  if (spec.call) return callSymbol(s, v, `tv_asm_${v.name}`, spec.keepsNothing);
  if (spec.special) return special(s, v, spec);
  const operands: Operand[] = [];
  let roles = "";
  const fixed: [number, Value][] = [];
  spec.places.forEach((place, i) => {
    const arg = v.args[i]!;
    if (isFixed(place)) {
      fixed.push([FIXED[place], arg]);
      return;
    }
    const operand = place === "port" ? portOperand(s, arg, fixed) : operandFor(s, place, arg);
    if (operand) {
      operands.push(operand);
      roles += operand.kind === "imm" ? "i" : "u";
    }
  });
  for (const [register, arg] of fixed) s.moveTo(register, arg);
  const d = spec.returns === "reg" ? s.def(v) : -1;
  if (d >= 0) {
    operands.push(reg(d));
    roles += "d";
  }
  if (spec.returns === "status") return statusResult(s, v, () => emitText(s, spec, operands, roles, fixed));
  emitText(s, spec, operands, roles, fixed);
  if (spec.mustSucceed) s.trapIf("be", "instruction failed");
  if (spec.returns && spec.returns !== "reg") s.moveFrom(FIXED[spec.returns], v);
};

function emitText(
  s: Selector,
  spec: Intrinsic,
  operands: Operand[],
  roles: string,
  fixed: [number, Value][],
): MInst {
  const inst = s.emit("asm", spec.width ?? 8, ...operands);
  const text = spec.text.replace("%direct", `mov rax, 0x${DIRECT_MAP_BASE.toString(16)}`);
  inst.asm = { text, roles, flags: "write" };
  inst.uses = fixed.map(([register]) => register);
  const written = [...(spec.clobbers ?? [])];
  if (spec.returns && isFixed(spec.returns)) written.push(spec.returns);
  inst.defs = written.map((name) => FIXED[name]);
  return inst;
}

function operandFor(s: Selector, place: string, arg: Value): Operand | null {
  switch (place) {
    case "reg":
      return reg(s.reg(arg));
    case "regOrMem":
      return s.foldLoad(arg) ?? reg(s.reg(arg));
    case "phys":
      return wideAddress(s, arg, "gs");
    case "virtual":
      return wideAddress(s, arg, "");
    case "slot0":
    case "slot8": {
      s.outgoing(place === "slot0" ? 8 : 16);
      const slot = mem({ area: "outgoing", disp: place === "slot0" ? 0 : 8 });
      s.emit("mov", 8, slot, reg(s.reg(arg)));
      return place === "slot0" ? slot : null;
    }
    default:
      throw internalError(`operand place ${place}`);
  }
}

const MAX_IMMEDIATE_PORT = 255n;

function portOperand(_s: Selector, arg: Value, fixed: [number, Value][]): Operand | null {
  if (arg.op === "const" && arg.imm >= 0n && arg.imm <= MAX_IMMEDIATE_PORT) return imm(arg.imm);
  fixed.push([RDX, arg]);
  return reg(RDX);
}

/** VMfailInvalid sets CF, VMfailValid sets ZF: status = CF + 2 * ZF. */
function statusResult(s: Selector, v: Value, instruction: () => void): void {
  const failValid = reg(s.temp());
  const failInvalid = reg(s.temp());
  s.emit("movi", 4, failValid, imm(0));
  s.emit("movi", 4, failInvalid, imm(0));
  instruction();
  s.emit("set", 1, failValid).cc = "e";
  s.emit("set", 1, failInvalid).cc = "c";
  s.emit("lea", 4, reg(s.def(v)), mem({ base: failInvalid.reg, index: failValid.reg, scale: 2 }));
}

/** A read of physical memory of its result's full width. */
export function isPhysicalLoad(v: Value): boolean {
  return v.op === "intrinsic" && (v.name === "phys_load32" || v.name === "phys_load64");
}

function special(s: Selector, v: Value, spec: Intrinsic): void {
  if (v.name === "cpuid") return cpuid(s, v);
  if (v.name === "vmread_status") return vmreadStatus(s, v);
  const place = wideAddress(s, v.args[0]!, "gs");
  const width = spec.width!;
  if (v.name.startsWith("phys_load")) {
    const d = s.def(v);
    return emitLoad(s, d, place, width, false, widthOf(v));
  }
  const value = v.args[1]!;
  s.emit("mov", width, place, storedOperand(s, value, width));
}

function storedOperand(s: Selector, value: Value, width: Width): Operand {
  const narrowed = value.op === "const" ? BigInt.asIntN(width * 8, value.imm) : null;
  if (narrowed !== null && fitsInt32(narrowed)) return imm(narrowed);
  return reg(width < 8 ? s.low(value) : s.reg(value));
}

/** CPUID's four results go straight to memory. */
function cpuid(s: Selector, v: Value): void {
  const [leaf, subleaf, result] = v.args as [Value, Value, Value];
  const at = (disp: number): MemOperand => s.address(result, { offset: disp, bytes: 4, signed: false });
  const places = [0, 4, 8, 12].map(at);
  s.moveTo(RAX, leaf);
  s.moveTo(RCX, subleaf);
  const inst = s.emit("asm", 4);
  inst.asm = { text: "cpuid", roles: "" };
  inst.uses = [RAX, RCX];
  inst.defs = [RAX, RBX, RCX, RDX];
  [RAX, RBX, RCX, RDX].forEach((register, i) => s.emit("mov", 4, places[i]!, reg(register)));
}

function vmreadStatus(s: Selector, v: Value): void {
  const [field, result] = v.args as [Value, Value];
  const value = reg(s.temp());
  const place = s.address(result, { offset: 0, bytes: 8, signed: false });
  const encoding = reg(s.reg(field));
  statusResult(s, v, () => {
    // Moves leave the flags alone, so the status is still there after the store.
    s.emit("movi", 8, value, imm(0));
    const inst = s.emit("asm", 8, place, value, encoding);
    inst.asm = {
      text: "vmread %1:8, %2:8\njbe .failed%u\nmov %0:8, %1:8\n.failed%u:",
      roles: "umu",
      flags: "write",
    };
  });
}
