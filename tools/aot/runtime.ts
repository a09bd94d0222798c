import type { TrapKind } from "./ir/ir.ts";
import type { Routine } from "./routine.ts";
import { isConstantTable } from "./sharing.ts";
import { startRoutine, startSteps } from "./start.ts";
import { type RegionInstruction, regionSymbol, tableCodes, tableTypes, trapRoutine } from "./symbols.ts";
import { type Target, WASM_PAGE_BYTES } from "./target.ts";
import type { Module } from "./wasm/module.ts";

/** Copies shorter than this are done in a loop: the string instructions take long to start. */
const STRING_MIN_BYTES = 256;

/** Leaves the size of linear memory in bytes in rax. */
function memoryBytes(module: Module, target: Target): string[] {
  const pages = module.memories[0]?.limits.min ?? 0;
  if (target.fixedMemory) return [`mov rax, ${pages * WASM_PAGE_BYTES}`];
  return ["mov eax, [rel tv_memory_pages]", "shl rax, 16"];
}

/** Turns an offset in linear memory into a pointer, where the two differ. */
function toPointer(target: Target, ...registers: string[]): string[] {
  return target.segment ? registers.map((r) => `add ${r}, [rel tv_memory_base]`) : [];
}

function checkRange(start: string, length: string): string[] {
  return [`lea r8, [${start}+${length}]`, "cmp r8, rax", "ja .trap"];
}

function memoryCopy(symbol: string, module: Module, target: Target): Routine {
  return {
    symbol,
    name: "memory.copy",
    traps: [{ label: ".trap", kind: "out of bounds memory access" }],
    text: [
      ...memoryBytes(module, target),
      ...checkRange("rdi", "rdx"),
      ...checkRange("rsi", "rdx"),
      ...toPointer(target, "rdi", "rsi"),
      "mov rcx, rdx",
      "mov rax, rdi",
      "sub rax, rsi",
      "cmp rax, rcx",
      "jb .backward",
      `cmp rcx, ${STRING_MIN_BYTES}`,
      "jae .string",
      ...copyLoop("forward"),
      ".string:",
      "rep movsb",
      "ret",
      ".backward:",
      ...copyLoop("backward"),
      ".trap:",
      "ud2",
    ],
  };
}

/** Eight bytes at a time, then the rest byte by byte; backward when the destination overlaps from above. */
function copyLoop(direction: "forward" | "backward"): string[] {
  const l = direction[0]!;
  const up = direction === "forward";
  return [
    "sub rcx, 8",
    `jb .${l}tail`,
    `.${l}loop:`,
    ...(up
      ? ["mov rax, [rsi]", "mov [rdi], rax", "add rsi, 8", "add rdi, 8"]
      : ["mov rax, [rsi+rcx]", "mov [rdi+rcx], rax"]),
    "sub rcx, 8",
    `jae .${l}loop`,
    `.${l}tail:`,
    "add rcx, 8",
    `jz .${l}done`,
    `.${l}byte:`,
    ...(up
      ? ["mov al, [rsi]", "mov [rdi], al", "inc rsi", "inc rdi", "dec rcx"]
      : ["mov al, [rsi+rcx-1]", "mov [rdi+rcx-1], al", "dec rcx"]),
    `jnz .${l}byte`,
    `.${l}done:`,
    "ret",
  ];
}

function memoryFill(symbol: string, module: Module, target: Target): Routine {
  return {
    symbol,
    name: "memory.fill",
    traps: [{ label: ".trap", kind: "out of bounds memory access" }],
    text: [
      ...memoryBytes(module, target),
      ...checkRange("rdi", "rdx"),
      ...toPointer(target, "rdi"),
      "movzx eax, sil",
      "mov rcx, 0x0101010101010101",
      "imul rax, rcx",
      "mov rcx, rdx",
      `cmp rcx, ${STRING_MIN_BYTES}`,
      "jae .string",
      "sub rcx, 8",
      "jb .tail",
      ".loop:",
      "mov [rdi], rax",
      "add rdi, 8",
      "sub rcx, 8",
      "jae .loop",
      ".tail:",
      "add rcx, 8",
      "jz .done",
      ".byte:",
      "mov [rdi+rcx-1], al",
      "dec rcx",
      "jnz .byte",
      ".done:",
      "ret",
      ".string:",
      "mov [rdi+rcx-8], rax",
      "shr rcx, 3",
      "rep stosq",
      "ret",
      ".trap:",
      "ud2",
    ],
  };
}

function memoryInit(symbol: string, module: Module, target: Target, segment: number): Routine {
  return {
    symbol,
    name: "memory.init",
    traps: [{ label: ".trap", kind: "out of bounds memory access" }],
    text: [
      ...memoryBytes(module, target),
      ...checkRange("rdi", "rdx"),
      `mov rax, [rel tv_data_${segment}_length]`,
      ...checkRange("rsi", "rdx"),
      ...toPointer(target, "rdi"),
      `lea rax, [rel tv_data_${segment}]`,
      "add rsi, rax",
      "mov rcx, rdx",
      "rep movsb",
      "ret",
      ".trap:",
      "ud2",
    ],
  };
}

function drop(symbol: string, kind: "data" | "elem", segment: number): Routine {
  const text = [`mov qword [rel tv_${kind}_${segment}_length], 0`, "ret"];
  return { symbol, name: `${kind}.drop`, traps: [], text };
}

interface Elements {
  code: string;
  type: string;
  /** Instruction that loads the length into rax. */
  length: string;
}

/** Copies code addresses and type numbers; overlapping ranges of one table are handled by direction. */
function tableMove(symbol: string, name: string, to: Elements, from: Elements): Routine {
  return {
    symbol,
    name,
    traps: [{ label: ".trap", kind: "out of bounds table access" }],
    text: [
      to.length,
      ...checkRange("rdi", "rdx"),
      from.length,
      ...checkRange("rsi", "rdx"),
      "cmp rdi, rsi",
      "ja .backward",
      ".forward:",
      "sub rdx, 1",
      "jb .done",
      ...moveElement(to, from, "rsi", "rdi"),
      "inc rsi",
      "inc rdi",
      "jmp .forward",
      ".backward:",
      "sub rdx, 1",
      "jb .done",
      "lea r8, [rsi+rdx]",
      "lea r9, [rdi+rdx]",
      ...moveElement(to, from, "r8", "r9"),
      "jmp .backward",
      ".done:",
      "ret",
      ".trap:",
      "ud2",
    ],
  };
}

function moveElement(to: Elements, from: Elements, source: string, target: string): string[] {
  return [
    `mov rax, [${from.code}+${source}*8]`,
    `mov [${to.code}+${target}*8], rax`,
    `mov eax, [${from.type}+${source}*4]`,
    `mov [${to.type}+${target}*4], eax`,
  ];
}

function tableElements(module: Module, t: number): Elements {
  return { code: tableCodes(t), type: tableTypes(t), length: `mov eax, ${module.tables[t]!.limits.min}` };
}

function segmentElements(i: number): Elements {
  return {
    code: `tv_elem_${i}_code`,
    type: `tv_elem_${i}_type`,
    length: `mov rax, [rel tv_elem_${i}_length]`,
  };
}

/** The instructions on regions of memory and tables: those of the functions, and those that start the module. */
function* regionInstructions(module: Module): Generator<RegionInstruction> {
  for (const { body } of module.funcs)
    for (const { op, index, index2 } of body) yield { name: op.name, index, index2 };
  for (const { init, drop } of startSteps(module)) yield* [init, drop];
}

function routineFor(instruction: RegionInstruction, module: Module, target: Target): Routine | null {
  const { name, index, index2 } = instruction;
  const symbol = regionSymbol(instruction);
  switch (name) {
    case "memory.copy":
      return memoryCopy(symbol, module, target);
    case "memory.fill":
      return memoryFill(symbol, module, target);
    case "memory.init":
      return memoryInit(symbol, module, target, index);
    case "data.drop":
      return drop(symbol, "data", index);
    case "elem.drop":
      return drop(symbol, "elem", index);
    case "table.copy":
      return tableMove(symbol, name, tableElements(module, index), tableElements(module, index2));
    case "table.init":
      return tableMove(symbol, name, tableElements(module, index2), segmentElements(index));
    default:
      return null;
  }
}

/** Where table entries lead that may not be called; the frame above tells which call it was. */
function trapRoutines(): Routine[] {
  const kinds: TrapKind[] = ["undefined element", "uninitialized element", "indirect call type mismatch"];
  return kinds.map((kind) => ({
    symbol: trapRoutine(kind),
    name: `call_indirect/${kind.replaceAll(" ", "_")}`,
    traps: [{ label: ".trap", kind }],
    text: [".trap:", "ud2"],
  }));
}

/** The routines that the module's code calls. */
export function runtimeRoutines(module: Module, target: Target): Routine[] {
  const found = new Map<string, Routine>();
  for (const instruction of regionInstructions(module)) {
    const routine = routineFor(instruction, module, target);
    if (routine) found.set(routine.symbol, routine);
  }
  if (module.tables.some((_, t) => isConstantTable(module, target, t)))
    for (const routine of trapRoutines()) found.set(routine.symbol, routine);
  const start = startRoutine(module);
  return start ? [...found.values(), start] : [...found.values()];
}
