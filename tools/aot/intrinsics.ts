/**
 * The intrinsics: imports from module "intrinsics" that are emitted inline. One line each says where operands go
 * and what is written. kernel/arch/intrinsics.ts documents what each one does.
 */

export const INTRINSICS_MODULE = "intrinsics";

export type FixedRegister = "rax" | "rbx" | "rcx" | "rdx" | "rsi" | "rdi";

/**
 * Where an argument goes: a fixed register, any register, memory at a physical address (GS segment), memory at a
 * virtual address, the port of an I/O instruction (DX, or an 8-bit immediate), a scratch descriptor's half.
 */
export type Place =
  | FixedRegister
  | "reg"
  | "regOrMem"
  | "phys"
  | "virtual"
  | "port"
  | "linear"
  | "slot0"
  | "slot8";

export interface Intrinsic {
  /** Types of arguments: i = i32, l = i64. */
  readonly params: string;
  readonly result: "" | "i" | "l";
  /** NASM lines; %0.. are the arguments that have no fixed register, then the result. */
  readonly text: string;
  readonly places: readonly Place[];
  /** Register of the result, or "reg": the last operand; "status": VMX's flags as 0, 1, 2. */
  readonly returns?: FixedRegister | "reg" | "status";
  /** Registers written beside the result. */
  readonly clobbers?: readonly FixedRegister[];
  /** No effect: may be merged, moved and dropped. */
  readonly pure?: boolean;
  /**
   * Writes neither linear memory nor globals, and lets nobody run who does (an interrupt's handler, another processor), so
   * what is known of them stays known.
   */
  readonly keepsMemory?: boolean;
  /** A function `tv_asm_<name>` in boot/ that follows the System V ABI. */
  readonly call?: boolean;
  /** Such a function that keeps no register but RSP. */
  readonly keepsNothing?: boolean;
  /** Operand width in bytes, for the operands without an explicit one. */
  readonly width?: 1 | 2 | 4 | 8;
  /** Traps with "instruction failed" when CF or ZF is set afterwards. */
  readonly mustSucceed?: boolean;
  /** Handled by a rule of its own in x64/rules/intrinsic.ts. */
  readonly special?: boolean;
}

type Extra = Partial<Omit<Intrinsic, "params" | "result" | "places" | "text">>;

/** Signature such as "il:l", places in argument order separated by blanks, then the text. */
function inline(signature: string, places: string, text: string, extra: Extra = {}): Intrinsic {
  const [params, result] = signature.split(":") as [string, Intrinsic["result"]];
  const list = places ? (places.split(" ") as Place[]) : [];
  return { params, result, places: list, text, keepsMemory: true, ...extra };
}

function external(signature: string, extra: Extra = {}): Intrinsic {
  return inline(signature, "", "", { call: true, keepsMemory: false, ...extra });
}

/** What is left of a region after its eight-byte pieces: the length is kept in RAX, or in RDX. */
const REST = "mov ecx, eax\nand ecx, 7";
const REST_DX = "mov ecx, edx\nand ecx, 7";
/** DL in every byte of RAX; the length moves to RDX. */
const SPREAD = "movzx edx, dl\nmov rax, 0x0101010101010101\nimul rax, rdx\nmov rdx, rcx";

/** EDX:EAX as one 64-bit result. */
const JOIN = "\nshl rdx, 32\nor rax, rdx";
/** RAX split into EDX:EAX. */
const SPLIT = "mov rdx, rax\nshr rdx, 32\n";

function readRegister(name: string): Intrinsic {
  return inline(":l", "", `mov %0:8, ${name}`, { returns: "reg" });
}

function writeRegister(name: string): Intrinsic {
  return inline("l:", "reg", `mov ${name}, %0:8`);
}

const CONTROL_REGISTERS = ["cr0", "cr2", "cr3", "cr4", "cr8"];
const DEBUG_REGISTERS = ["dr0", "dr1", "dr2", "dr3", "dr6", "dr7"];

function specialRegisters(): Record<string, Intrinsic> {
  const table: Record<string, Intrinsic> = {};
  for (const name of [...CONTROL_REGISTERS, ...DEBUG_REGISTERS]) {
    table[`read_${name}`] = readRegister(name);
    table[`write_${name}`] = writeRegister(name);
  }
  return table;
}

function portAccess(): Record<string, Intrinsic> {
  const table: Record<string, Intrinsic> = {};
  for (const [bits, register] of [
    [8, "al"],
    [16, "ax"],
    [32, "eax"],
  ] as const) {
    const extend = bits === 32 ? "" : `\nmovzx eax, ${register}`;
    table[`in${bits}`] = inline("i:i", "port", `in ${register}, %0:2${extend}`, { returns: "rax" });
    table[`out${bits}`] = inline("ii:", "port rax", `out %0:2, ${register}`);
  }
  return table;
}

function physicalAccess(): Record<string, Intrinsic> {
  const table: Record<string, Intrinsic> = {};
  for (const width of [1, 2, 4, 8] as const) {
    const t = width === 8 ? "l" : "i";
    const bits = width * 8;
    table[`phys_load${bits}`] = inline(`l:${t}`, "phys", "", { special: true, width });
    table[`phys_store${bits}`] = inline(`l${t}:`, "phys reg", "", { special: true, width });
    table[`phys_cmpxchg${bits}`] = inline(`l${t}${t}:${t}`, "phys rax reg", "lock cmpxchg %0, %1", {
      returns: "rax",
      width,
      // Orders memory as every atomic does.
      keepsMemory: false,
    });
  }
  return table;
}

/** VMX instructions on a 64-bit physical address held in memory. */
function vmxPointer(name: string): Intrinsic {
  return inline("l:i", "slot0", `${name} %0:a`, { returns: "status", width: 8 });
}

function vmxInvalidate(name: string): Intrinsic {
  return inline("ill:i", "reg slot0 slot8", `${name} %0:8, %1:a`, { returns: "status", width: 8 });
}

export const INTRINSICS: Record<string, Intrinsic> = {
  // model-specific registers, control registers, flags
  rdmsr: inline("i:l", "rcx", `rdmsr${JOIN}`, { returns: "rax", clobbers: ["rdx"] }),
  wrmsr: inline("il:", "rcx rax", `${SPLIT}wrmsr`, { clobbers: ["rdx"] }),
  rdmsr_safe: external("ii:i"),
  wrmsr_safe: external("il:i"),
  cpuid: inline("iii:", "rax rcx linear", "", { special: true, keepsMemory: false }),
  ...specialRegisters(),
  read_rflags: inline(":l", "", "pushfq\npop %0:8", { returns: "reg" }),
  xgetbv: inline("i:l", "rcx", `xgetbv${JOIN}`, { returns: "rax", clobbers: ["rdx"] }),
  xsetbv: inline("il:", "rcx rax", `${SPLIT}xsetbv`, { clobbers: ["rdx"] }),

  // time and waiting
  rdtsc: inline(":l", "", `rdtsc${JOIN}`, { returns: "rax", clobbers: ["rdx"] }),
  pause: inline(":", "", "pause", { keepsMemory: false }),
  mfence: inline(":", "", "mfence", { keepsMemory: false }),
  cli: inline(":", "", "cli", { keepsMemory: false }),
  sti: inline(":", "", "sti", { keepsMemory: false }),
  sti_hlt_cli: inline(":", "", "sti\nhlt\ncli", { keepsMemory: false }),
  sti_nop_cli: inline(":", "", "sti\nnop\ncli", { keepsMemory: false }),
  halt_forever: inline(":", "", "cli\n.halt%u: hlt\njmp .halt%u", { keepsMemory: false }),

  // port input and output
  ...portAccess(),

  // physical memory, through the direct map
  ...physicalAccess(),
  phys_read: inline("ill:", "rdi rsi rcx", "db 0x65\nrep movsb", {
    clobbers: ["rdi", "rsi", "rcx"],
    keepsMemory: false,
  }),
  phys_write: inline("lil:", "rdi rsi rcx", "%direct\nadd rdi, rax\nrep movsb", {
    clobbers: ["rdi", "rsi", "rcx", "rax"],
  }),
  phys_copy: inline(
    "lll:",
    "rdi rsi rcx",
    `%direct\nadd rdi, rax\nmov rax, rcx\nshr rcx, 3\ndb 0x65\nrep movsq\n${REST}\ndb 0x65\nrep movsb`,
    {
      clobbers: ["rdi", "rsi", "rcx", "rax"],
    },
  ),
  phys_fill: inline(
    "lil:",
    "rdi rdx rcx",
    `%direct\nadd rdi, rax\n${SPREAD}\nshr rcx, 3\nrep stosq\n${REST_DX}\nrep stosb`,
    {
      clobbers: ["rdi", "rdx", "rcx", "rax"],
    },
  ),
  peek64: inline("l:l", "virtual", "mov %1:8, %0:8", { returns: "reg", width: 8 }),

  // the hypervisor's own paging and per-CPU base
  invlpg: inline("l:", "virtual", "invlpg %0:a", { width: 8 }),
  wbinvd: inline(":", "", "wbinvd"),
  phys_clflush: inline("l:", "phys", "clflush %0:a", { width: 1 }),
  cpu_base: inline(":i", "", "mov %0:4, [fs:0]", { returns: "reg", pure: true }),
  read_rsp: inline(":l", "", "mov %0:8, rsp", { returns: "reg" }),
  read_rip: inline(":l", "", "lea %0:8, [rel $]", { returns: "reg" }),
  boot_layout: inline(":l", "", "mov %0:4, tv_boot_layout_pa", { returns: "reg", pure: true }),

  // arithmetic
  mul_high: inline("ll:l", "rax reg", "mul %0:8", { returns: "rdx", clobbers: ["rax"], pure: true }),
  mul_shift32: inline("ll:l", "rax reg", "mul %0:8\nshrd rax, rdx, 32", {
    returns: "rax",
    clobbers: ["rdx"],
    pure: true,
  }),
  div_wide: inline("lll:l", "rdx rax reg", "div %0:8", { returns: "rax", clobbers: ["rdx"] }),

  // VT-x
  vmxon: vmxPointer("vmxon"),
  vmxoff: inline(":", "", "vmxoff"),
  vmclear: vmxPointer("vmclear"),
  vmptrld: vmxPointer("vmptrld"),
  vmread: inline("i:l", "reg", "vmread %1:8, %0:8", { returns: "reg", mustSucceed: true }),
  vmwrite: inline("il:", "reg regOrMem", "vmwrite %0:8, %1:8", { mustSucceed: true, width: 8 }),
  vmread_status: inline("ii:i", "reg linear", "", { special: true, keepsMemory: false }),
  vmwrite_status: inline("il:i", "reg regOrMem", "vmwrite %0:8, %1:8", { returns: "status", width: 8 }),
  invept: vmxInvalidate("invept"),
  invvpid: vmxInvalidate("invvpid"),
  vmx_enter: external("ii:i"),
  run_nmi_handler: external(":"),

  // AMD-V
  stgi: inline(":", "", "stgi", { keepsMemory: false }),
  clgi: inline(":", "", "clgi"),
  vmsave: inline("l:", "rax", "vmsave"),
  vmload: inline("l:", "rax", "vmload"),
  invlpga: inline("li:", "rax rcx", "invlpga"),
  svm_enter: external("i:i", { keepsNothing: true }),

  // extended processor state
  phys_xsave: inline("ll:", "phys rax", `${SPLIT}xsave64 %0:a`, { clobbers: ["rdx"], width: 8 }),
  phys_xrstor: inline("ll:", "phys rax", `${SPLIT}xrstor64 %0:a`, { clobbers: ["rdx"], width: 8 }),
  phys_fxsave: inline("l:", "phys", "fxsave64 %0:a", { width: 8 }),
  phys_fxrstor: inline("l:", "phys", "fxrstor64 %0:a", { width: 8 }),
  simd_read: external("iii:i"),
  simd_write: external("iii:i"),
  rdpkru: inline(":i", "", "xor ecx, ecx\nrdpkru", { returns: "rax", clobbers: ["rcx", "rdx"] }),
};
