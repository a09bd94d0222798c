// The executor against the computer's own processor: each instruction runs once there and once emulated, on device memory
// and on RAM, from the same registers, flags and memory.
import { beforeAll, describe, expect, test } from "vitest";
import { bmi, type Form, vectors } from "./emulate-forms.js";
import { DATA32, EXIT, ExitsMachine, OUTCOME } from "./exits-machine.js";
import { BLOCK, BLOCK_BYTES, type Case, runNative, type State } from "./native.js";
import { Random } from "./random.js";

const CF = 1n;
const PF = 1n << 2n;
const AF = 1n << 4n;
const ZF = 1n << 6n;
const SF = 1n << 7n;
const DF = 1n << 10n;
const OF = 1n << 11n;
const ALL = CF | PF | AF | ZF | SF | OF;
const OSFXSR = 1n << 9n;
const OSXSAVE = 1n << 18n;
const CODE = 0x1000n;
const MEMORY_AT = 64n;

const imm8 = () => 1;
const immZ = (size: number) => (size === 2 ? 2 : 4);

const arithmetic = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"].flatMap((name, n): Form[] => {
  const undefinedFlags = ["or", "and", "xor"].includes(name) ? AF : 0n;
  const lock = name !== "cmp";
  return [
    { name: `${name} m8, r8`, opcode: [8 * n], byte: true, undefinedFlags, lock },
    { name: `${name} m, r`, opcode: [8 * n + 1], undefinedFlags, lock },
    { name: `${name} r8, m8`, opcode: [8 * n + 2], byte: true, undefinedFlags },
    { name: `${name} r, m`, opcode: [8 * n + 3], undefinedFlags },
    { name: `${name} m8, imm8`, opcode: [0x80], reg: n, immediate: imm8, byte: true, undefinedFlags, lock },
    { name: `${name} m, imm`, opcode: [0x81], reg: n, immediate: immZ, undefinedFlags, lock },
    { name: `${name} m, imm8`, opcode: [0x83], reg: n, immediate: imm8, undefinedFlags, lock },
  ];
});

const shifts = ["rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"].flatMap((name, n): Form[] => {
  // OF is defined for shifts by one only, and so is its test; AF is undefined for shifts and untouched by rotates.
  const one = n >= 4 ? AF : 0n;
  const many = one | OF | (n >= 4 ? CF : 0n);
  return [
    { name: `${name} m8, 1`, opcode: [0xd0], reg: n, byte: true, undefinedFlags: one },
    { name: `${name} m, 1`, opcode: [0xd1], reg: n, undefinedFlags: one },
    { name: `${name} m8, cl`, opcode: [0xd2], reg: n, byte: true, undefinedFlags: many },
    { name: `${name} m, cl`, opcode: [0xd3], reg: n, undefinedFlags: many },
    { name: `${name} m8, imm8`, opcode: [0xc0], reg: n, immediate: imm8, byte: true, undefinedFlags: many },
    { name: `${name} m, imm8`, opcode: [0xc1], reg: n, immediate: imm8, undefinedFlags: many },
  ];
});

const moves: Form[] = [
  { name: "mov m8, r8", opcode: [0x88], byte: true },
  { name: "mov m, r", opcode: [0x89] },
  { name: "mov r8, m8", opcode: [0x8a], byte: true },
  { name: "mov r, m", opcode: [0x8b] },
  { name: "mov m8, imm8", opcode: [0xc6], reg: 0, immediate: imm8, byte: true },
  { name: "mov m, imm", opcode: [0xc7], reg: 0, immediate: immZ },
  { name: "movzx r, m8", opcode: [0x0f, 0xb6] },
  { name: "movzx r, m16", opcode: [0x0f, 0xb7] },
  { name: "movsx r, m8", opcode: [0x0f, 0xbe] },
  { name: "movsx r, m16", opcode: [0x0f, 0xbf] },
  { name: "movsxd r, m32", opcode: [0x63] },
  { name: "movbe r, m", opcode: [0x0f, 0x38, 0xf0] },
  { name: "movbe m, r", opcode: [0x0f, 0x38, 0xf1] },
  { name: "xchg m8, r8", opcode: [0x86], byte: true, lock: true },
  { name: "xchg m, r", opcode: [0x87], lock: true },
  { name: "push m", opcode: [0xff], reg: 6 },
  { name: "pop m", opcode: [0x8f], reg: 0 },
  ...Array.from({ length: 16 }, (_, n): Form => ({ name: `cmov${n} r, m`, opcode: [0x0f, 0x40 + n] })),
  ...Array.from(
    { length: 16 },
    (_, n): Form => ({ name: `set${n} m8`, opcode: [0x0f, 0x90 + n], reg: 0, byte: true }),
  ),
];

/** A dividend whose quotient fits, made from the divisor in memory. */
function divisible(signed: boolean) {
  return (state: State, random: Random, size: number): void => {
    const bits = BigInt(8 * size);
    const at = Number(MEMORY_AT);
    let divisor = 0n;
    for (let n = size - 1; n >= 0; n--) divisor = (divisor << 8n) | BigInt(state.memory[at + n] as number);
    if (divisor === 0n) state.memory[at] = 3;
    if (divisor === 0n) divisor = 3n;
    const d = signed ? BigInt.asIntN(8 * size, divisor) : divisor;
    const q = signed ? BigInt.asIntN(8 * size, random.wide()) : BigInt.asUintN(8 * size, random.wide());
    const magnitude = d < 0n ? -d : d;
    let r = random.wide() % magnitude;
    let dividend = d * q;
    if (signed && dividend < 0n) r = -r;
    // A quotient of 0 with a negative divisor would change the sign of the remainder's dividend: any sign is right.
    dividend += r;
    const low = BigInt.asUintN(8 * size, dividend);
    const high = BigInt.asUintN(8 * size, dividend >> bits);
    if (size === 1) {
      state.registers[0] = ((state.registers[0] as bigint) & ~0xffffn) | (high << 8n) | low;
    } else {
      state.registers[0] = low;
      state.registers[2] = high;
    }
  };
}

const others: Form[] = [
  { name: "test m8, r8", opcode: [0x84], byte: true, undefinedFlags: AF },
  { name: "test m, r", opcode: [0x85], undefinedFlags: AF },
  { name: "test m8, imm8", opcode: [0xf6], reg: 0, immediate: imm8, byte: true, undefinedFlags: AF },
  { name: "test m, imm", opcode: [0xf7], reg: 0, immediate: immZ, undefinedFlags: AF },
  { name: "not m8", opcode: [0xf6], reg: 2, byte: true, lock: true },
  { name: "not m", opcode: [0xf7], reg: 2, lock: true },
  { name: "neg m8", opcode: [0xf6], reg: 3, byte: true, lock: true },
  { name: "neg m", opcode: [0xf7], reg: 3, lock: true },
  { name: "mul m8", opcode: [0xf6], reg: 4, byte: true, undefinedFlags: SF | ZF | AF | PF },
  { name: "mul m", opcode: [0xf7], reg: 4, undefinedFlags: SF | ZF | AF | PF },
  { name: "imul m8", opcode: [0xf6], reg: 5, byte: true, undefinedFlags: SF | ZF | AF | PF },
  { name: "imul m", opcode: [0xf7], reg: 5, undefinedFlags: SF | ZF | AF | PF },
  { name: "imul r, m", opcode: [0x0f, 0xaf], undefinedFlags: SF | ZF | AF | PF },
  { name: "imul r, m, imm", opcode: [0x69], immediate: immZ, undefinedFlags: SF | ZF | AF | PF },
  { name: "imul r, m, imm8", opcode: [0x6b], immediate: imm8, undefinedFlags: SF | ZF | AF | PF },
  { name: "div m8", opcode: [0xf6], reg: 6, byte: true, undefinedFlags: ALL, prepare: divisible(false) },
  { name: "div m", opcode: [0xf7], reg: 6, undefinedFlags: ALL, prepare: divisible(false) },
  { name: "idiv m8", opcode: [0xf6], reg: 7, byte: true, undefinedFlags: ALL, prepare: divisible(true) },
  { name: "idiv m", opcode: [0xf7], reg: 7, undefinedFlags: ALL, prepare: divisible(true) },
  { name: "inc m8", opcode: [0xfe], reg: 0, byte: true, lock: true },
  { name: "inc m", opcode: [0xff], reg: 0, lock: true },
  { name: "dec m8", opcode: [0xfe], reg: 1, byte: true, lock: true },
  { name: "dec m", opcode: [0xff], reg: 1, lock: true },
  { name: "cmpxchg m8, r8", opcode: [0x0f, 0xb0], byte: true, lock: true },
  { name: "cmpxchg m, r", opcode: [0x0f, 0xb1], lock: true },
  { name: "xadd m8, r8", opcode: [0x0f, 0xc0], byte: true, lock: true },
  { name: "xadd m, r", opcode: [0x0f, 0xc1], lock: true },
  { name: "shld m, r, imm8", opcode: [0x0f, 0xa4], immediate: imm8, undefinedFlags: AF | OF | CF },
  { name: "shld m, r, cl", opcode: [0x0f, 0xa5], undefinedFlags: AF | OF | CF },
  { name: "shrd m, r, imm8", opcode: [0x0f, 0xac], immediate: imm8, undefinedFlags: AF | OF | CF },
  { name: "shrd m, r, cl", opcode: [0x0f, 0xad], undefinedFlags: AF | OF | CF },
  ...[4, 5, 6, 7].map(
    (reg): Form => ({
      name: `bt${reg} m, imm8`,
      opcode: [0x0f, 0xba],
      reg,
      immediate: imm8,
      undefinedFlags: OF | SF | AF | PF,
      lock: reg > 4,
    }),
  ),
  ...[0xa3, 0xab, 0xb3, 0xbb].map(
    (opcode): Form => ({
      name: `bt ${opcode.toString(16)} m, r`,
      opcode: [0x0f, opcode],
      undefinedFlags: OF | SF | AF | PF,
      // Any bit within the block.
      prepare: (state, random) =>
        state.registers.forEach((_, n) => {
          if (n !== 4 && n !== 7) state.registers[n] = BigInt(random.below(8 * 100) - 8 * 56);
        }),
    }),
  ),
  { name: "bsf r, m", opcode: [0x0f, 0xbc], undefinedFlags: ALL & ~ZF },
  { name: "bsr r, m", opcode: [0x0f, 0xbd], undefinedFlags: ALL & ~ZF },
  { name: "tzcnt r, m", opcode: [0xf3, 0x0f, 0xbc], undefinedFlags: OF | SF | AF | PF },
  { name: "lzcnt r, m", opcode: [0xf3, 0x0f, 0xbd], undefinedFlags: OF | SF | AF | PF },
  { name: "popcnt r, m", opcode: [0xf3, 0x0f, 0xb8] },
  { name: "cmpxchg8b m", opcode: [0x0f, 0xc7], reg: 1, lock: true },
];

const strings: Form[] = ["movs", "cmps", "stos", "lods", "scas"].flatMap((name, n): Form[] => {
  const opcode = [0xa4, 0xa6, 0xaa, 0xac, 0xae][n] as number;
  const prepare = (state: State, random: Random): void => {
    state.registers[1] = BigInt(random.below(4));
    state.registers[6] = BLOCK + 48n;
    state.registers[7] = BLOCK + 64n;
    if (random.below(2) === 0) state.flags |= DF;
    // Runs of equal elements, so that REPE goes on for a while.
    if (random.below(2) === 0) state.memory.fill(0x55, 24, 100);
    if (random.below(2) === 0) state.registers[0] = 0x5555_5555_5555_5555n;
  };
  return [
    { name: `${name}b`, opcode: [opcode], bare: true, byte: true, prepare },
    { name, opcode: [opcode + 1], bare: true, prepare },
    { name: `rep ${name}b`, opcode: [0xf3, opcode], bare: true, byte: true, prepare },
    { name: `rep ${name}`, opcode: [0xf3, opcode + 1], bare: true, prepare },
    { name: `repne ${name}`, opcode: [0xf2, opcode + 1], bare: true, prepare },
  ];
});

/** A stack in the middle of the block, and flags there that POPF may load: neither TF nor AC, which Linux would act on. */
const onStack = (state: State): void => {
  state.registers[4] = BLOCK + 48n;
  state.registers[5] = BLOCK + 40n;
};

const special: Form[] = [
  { name: "crc32 r, m8", opcode: [0x0f, 0x38, 0xf0], prefix: 0xf2, sizes: [4, 8] },
  { name: "crc32 r, m", opcode: [0x0f, 0x38, 0xf1], prefix: 0xf2, sizes: [2, 4, 8] },
  { name: "adcx r, m", opcode: [0x0f, 0x38, 0xf6], prefix: 0x66, sizes: [4, 8] },
  { name: "adox r, m", opcode: [0x0f, 0x38, 0xf6], prefix: 0xf3, sizes: [4, 8] },
  { name: "cmpxchg16b m", opcode: [0x0f, 0xc7], reg: 1, lock: true, sizes: [8], prepare: sixteen },
  {
    name: "xlat",
    opcode: [0xd7],
    bare: true,
    sizes: [4],
    prepare: (state, random) => {
      state.registers[3] = BLOCK;
      state.registers[0] = ((state.registers[0] as bigint) & ~0xffn) | BigInt(random.below(BLOCK_BYTES));
    },
  },
  { name: "pushf", opcode: [0x9c], bare: true, sizes: [8, 2], prepare: onStack },
  {
    name: "popf",
    opcode: [0x9d],
    bare: true,
    sizes: [8, 2],
    prepare: (state) => {
      onStack(state);
      state.memory[49] = (state.memory[49] as number) & ~1;
      state.memory[50] = (state.memory[50] as number) & ~4;
    },
  },
  ...[
    [0, 0],
    [8, 1],
    [16, 3],
  ].map(
    ([room, level]): Form => ({
      name: `enter ${room}, ${level}`,
      opcode: [0xc8, room as number, 0, level as number],
      bare: true,
      sizes: [8, 2],
      prepare: nesting,
    }),
  ),
  { name: "leave", opcode: [0xc9], bare: true, sizes: [8, 2], prepare: onStack },
  { name: "push fs", opcode: [0x0f, 0xa0], bare: true, sizes: [8], prepare: onStack },
  { name: "mov m, ds", opcode: [0x8c], reg: 3, sizes: [4] },
];

/** Half of the time memory holds what is expected. */
function sixteen(state: State, random: Random): void {
  if (random.below(2) === 0) return;
  const view = new DataView(state.memory.buffer);
  view.setBigUint64(Number(MEMORY_AT), state.registers[0] as bigint, true);
  view.setBigUint64(Number(MEMORY_AT) + 8, state.registers[2] as bigint, true);
}

/** Frame pointers of the enclosing frames above the stack, little room asked for. */
function nesting(state: State): void {
  state.registers[4] = BLOCK + 96n;
  state.registers[5] = BLOCK + 120n;
}

/** One random case of a form: operand size, registers, displacement, LOCK. */
function instance(form: Form, random: Random): Case & { size: number } {
  const sizes = form.sizes
    ? form.sizes
    : form.byte
      ? [1]
      : form.name.startsWith("cmpxchg8b")
        ? [4]
        : form.name.includes("push") || form.name.includes("pop")
          ? [8, 2]
          : [2, 4, 8];
  const size = form.name.startsWith("popcnt") ? random.pick([2, 4, 8]) : random.pick(sizes);
  const bytes: number[] = [];
  const opcode = [...form.opcode];
  if (form.lock && random.below(3) === 0) bytes.push(0xf0);
  if (form.prefix !== undefined) bytes.push(form.prefix);
  if (size === 2) bytes.push(0x66);
  while (!form.vex && [0xf2, 0xf3].includes(opcode[0] as number)) bytes.push(opcode.shift() as number);
  let reg = form.reg ?? random.pick([0, 1, 2, 3, 5, 6, 8, 10, 13, 15]);
  if (form.prepare && form.opcode[1] !== undefined && (form.opcode[1] & 0xe7) === 0xa3)
    reg = random.pick([0, 1, 2, 3, 5, 6, 9]);
  const stack = /^(push|pop|enter|leave)/.test(form.name);
  const rex =
    (size === 8 && !(form.bare && stack) && !form.name.startsWith("push") && !form.name.startsWith("pop m")
      ? 8
      : 0) | (reg >= 8 ? 4 : 0);
  if (form.vex) bytes.push(...vexPrefix(form.vex, rex, random));
  else if (rex !== 0 || (form.byte && random.below(2) === 0)) bytes.push(0x40 | rex);
  bytes.push(...opcode);
  const before: State = {
    registers: Array.from({ length: 16 }, () => random.wide()),
    flags: 0x202n | (BigInt(random.next()) & ALL),
    memory: Uint8Array.from({ length: BLOCK_BYTES }, () => random.below(256)),
    ymm: Uint8Array.from({ length: 16 * 32 }, () => random.below(256)),
    mmx: Uint8Array.from({ length: 8 * 8 }, () => random.below(256)),
  };
  if (random.below(4) === 0)
    before.memory.fill(random.pick([0, 0xff, 0x80]), Number(MEMORY_AT), Number(MEMORY_AT) + 8);
  before.registers[4] = BLOCK + 32n;
  before.registers[7] = BLOCK + MEMORY_AT;
  if (!form.bare) {
    // [rdi + disp8], with RDI moved the other way.
    const displacement = random.below(17) - 8;
    before.registers[7] = BLOCK + MEMORY_AT - BigInt(displacement);
    bytes.push(0x47 | ((reg & 7) << 3), displacement & 0xff);
  }
  for (let n = form.immediate?.(size) ?? 0; n > 0; n--) bytes.push(random.below(256));
  form.prepare?.(before, random, size);
  return { bytes: Uint8Array.from(bytes), before, size };
}

/** Two bytes where they suffice, now and then three all the same. */
function vexPrefix(vex: NonNullable<Form["vex"]>, rex: number, random: Random): number[] {
  // RSP and RDI are needed for other things.
  const source = vex.source ? random.pick([0, 1, 2, 3, 5, 6, 8, 10, 13, 15]) : 0;
  const last = ((~source & 15) << 3) | (vex.long << 2) | vex.prefix;
  const r = rex & 4 ? 0 : 0x80;
  if (vex.map === 1 && (rex & 8) === 0 && random.below(3) !== 0) return [0xc5, r | last];
  return [0xc4, r | 0x60 | vex.map, (rex & 8 ? 0x80 : 0) | last];
}

let m: ExitsMachine;
beforeAll(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

/** Emulates a case on device memory. `gpa`: the address that the nested fault reports. */
function emulate(one: Case, gpa: bigint): State {
  m.reset(64);
  m.code(CODE, one.bytes);
  one.before.registers.forEach((value, n) => m.setReg(n, value));
  m.set("rflags", one.before.flags);
  // As the computer runs the cases: a process, with SSE and AVX on. Its DS is null, its FS too.
  m.set("cr4", OSFXSR | OSXSAVE);
  m.cpu.extendedControl.set(0, 7n);
  for (const n of [3, 4]) m.segment(n, 0, 0n, 0xffffffff, DATA32);
  m.cpu.ymm.set(one.before.ymm);
  m.cpu.mmx.set(one.before.mmx);
  one.before.memory.forEach((byte, n) => m.setDevice(BLOCK + BigInt(n), 1, BigInt(byte)));
  const outcome = m.exit(EXIT.nestedFault, { gpa, flags: 2 });
  const hex = Buffer.from(one.bytes).toString("hex");
  expect(m.finish(outcome), `${hex}: ${m.exception()}`).toBe(OUTCOME.resume);
  expect(m.get("rip"), hex).toBe(CODE + BigInt(one.bytes.length));
  return {
    registers: Array.from({ length: 16 }, (_, n) => m.reg(n)),
    flags: m.get("rflags"),
    memory: Uint8Array.from({ length: BLOCK_BYTES }, (_, n) => Number(m.device(BLOCK + BigInt(n), 1))),
    ymm: m.cpu.ymm.slice(),
    mmx: m.cpu.mmx.slice(),
  };
}

describe.each([
  ["arithmetic", arithmetic],
  ["shifts", shifts],
  ["moves", moves],
  ["others", others],
  ["strings", strings],
  ["special", special],
  ["BMI", bmi],
  ["vectors", vectors],
])("%s", (group, forms) => {
  test("does what the processor does", () => {
    const random = new Random(group.length);
    const cases = forms.flatMap((form) =>
      Array.from({ length: 40 }, () => ({ form, ...instance(form, random) })),
    );
    const expected = runNative(cases);
    const wrong = new Map<string, string>();
    cases.forEach((one, n) => {
      // Once with a reported address that is that of no operand, so that each is computed; once with the operand's own.
      for (const gpa of [BLOCK + 0x1000n, BLOCK + MEMORY_AT]) {
        const differences = compare(expected[n] as State, emulate(one, gpa), one.form.undefinedFlags ?? 0n);
        if (differences.length === 0 || undefinedResult(one)) continue;
        wrong.set(one.form.name, `${Buffer.from(one.bytes).toString("hex")}: ${differences.join("; ")}`);
      }
    });
    expect(Object.fromEntries(wrong)).toEqual({});
  });
});

/** Where `ours` differs from `theirs`, in words. */
function compare(theirs: State, ours: State, undefinedFlags: bigint): string[] {
  const differences: string[] = [];
  theirs.registers.forEach((value, r) => {
    if (value === ours.registers[r]) return;
    differences.push(`r${r} ${value.toString(16)} not ${ours.registers[r]?.toString(16)}`);
  });
  const mask = ALL & ~undefinedFlags;
  if (((theirs.flags ^ ours.flags) & mask) !== 0n) {
    differences.push(`flags ${(theirs.flags & ALL).toString(16)} not ${(ours.flags & ALL).toString(16)}`);
  }
  const hex = (state: State) => Buffer.from(state.memory).toString("hex");
  for (const kind of ["ymm", "mmx"] as const) {
    const [a, b] = [Buffer.from(theirs[kind]).toString("hex"), Buffer.from(ours[kind]).toString("hex")];
    if (a !== b) differences.push(`${kind} ${a} not ${b}`);
  }
  if (hex(theirs) !== hex(ours)) differences.push(`memory ${hex(theirs)} not ${hex(ours)}`);
  return differences;
}

/** Double shifts of 16-bit operands by more than 16, whose results the manual leaves open. */
function undefinedResult(one: Case & { form: Form; size: number }): boolean {
  if (!/^sh[lr]d/.test(one.form.name) || one.size !== 2) return false;
  const count = one.form.immediate
    ? (one.bytes.at(-1) as number)
    : Number((one.before.registers[1] as bigint) & 0xffn);
  return (count & 31) > 16;
}
