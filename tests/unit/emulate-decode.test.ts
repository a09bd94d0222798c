// The instruction decoder against iced-x86, an independent decoder: tens of thousands of encodings in each code size.
import {
  Code,
  CpuidFeature,
  Decoder,
  DecoderOptions,
  EncodingKind,
  Mnemonic,
  OpKind,
  Register,
  RegisterExt,
} from "iced-x86";
import { beforeAll, describe, expect, test } from "vitest";
import { candidate } from "./encodings.js";
import { type KernelModule, loadKernel } from "./harness.js";
import { Random } from "./random.js";

const glue = `
import { decode } from "./kernel/exits/emulate/decode";
import { Instruction } from "./kernel/exits/emulate/instruction";
const i = changetype<Instruction>(memory.data(offsetof<Instruction>(), 16));
export function buffer(): usize { return changetype<usize>(i); }
export function run(mode: u32, available: u32): u32 { i.mode = mode; i.available = available; return decode(i); }
export function length(): u32 { return i.length; }
export function operation(): u32 { return i.operation; }
export function memoryOperand(): u32 { return i.memory ? 1 : 0; }
export function base(): u32 { return i.base; }
export function index(): u32 { return i.index; }
export function scale(): u32 { return 1 << i.scale; }
export function displacement(): u64 { return i.displacement; }
export function segment(): u32 { return i.segment; }
export function operandSize(): u32 { return i.operandSize; }
export function addressSize(): u32 { return i.addressSize; }
export function immediate(): u64 { return i.immediate; }
`;
type Theirs = InstanceType<typeof import("iced-x86").Instruction>;
const OK = 0;
const TRUNCATED = 1;
const UNDEFINED = 2;
const UNSUPPORTED = 3;
const OP_NOP = 2;
const NO_REGISTER = 0xff;
const BASE_RIP = 0xfe;
const SEGMENTS = [Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS];

let kernel: KernelModule;
beforeAll(async () => {
  kernel = await loadKernel(["kernel/exits/emulate/decode.ts"], glue);
});

function load(bytes: Uint8Array): void {
  const at = (kernel.exports.buffer as CallableFunction)() as number;
  const memory = new Uint8Array(kernel.memory.buffer, at, 16);
  memory.fill(0);
  memory.set(bytes.subarray(0, 15));
}

const call = (name: string, ...args: number[]) =>
  (kernel.exports[name] as CallableFunction)(...args) as number | bigint;
const get = (name: string) => Number(call(name)) >>> 0;

function registerNumber(register: Register): number {
  if (register === Register.None) return NO_REGISTER;
  if (register === Register.RIP || register === Register.EIP) return BASE_RIP;
  return RegisterExt.number(register);
}

/** What AMD and Intel CPUs disagree on, or iced knows under an option only: not compared. */
function skipped(theirs: Theirs): boolean {
  if (theirs.encoding !== EncodingKind.Legacy) return true;
  if (theirs.mnemonic === Mnemonic.Extrq || theirs.mnemonic === Mnemonic.Insertq) return true;
  // VIA's and Cyrix's own instructions.
  return theirs
    .cpuidFeatures()
    .some((feature) => /PADLOCK|CYRIX|CENTAUR|GEODE/i.test(CpuidFeature[feature] ?? ""));
}

describe.each([
  [16, 2],
  [32, 4],
  [64, 8],
])("%i-bit code", (bitness, mode) => {
  test("length and memory operand agree with iced-x86 over all opcode maps", () => {
    const random = new Random(bitness);
    let compared = 0;
    let emulated = 0;
    for (let round = 0; round < 24 * 1024; round++) {
      const bytes = candidate(random, (round >> 8) & 3, round & 0xff);
      const decoder = new Decoder(bitness, bytes, DecoderOptions.None);
      const theirs = decoder.decode();
      load(bytes);
      const result = call("run", mode, 15) as number;
      const hex = Buffer.from(bytes).toString("hex");
      try {
        if (theirs.code === Code.INVALID) {
          // The tables know the undefined opcodes among those that are emulated; the rest is only measured.
          const known = result === OK && get("operation") > OP_NOP;
          expect(known, `${hex}: undefined, but decoded as operation ${get("operation")}`).toBe(false);
          continue;
        }
        if (skipped(theirs)) continue;
        expect(result, `${hex}: ${theirs.toString()}`).toBe(
          theirs.mnemonic === Mnemonic.Ud2 ||
            theirs.mnemonic === Mnemonic.Ud0 ||
            theirs.mnemonic === Mnemonic.Ud1
            ? UNDEFINED
            : OK,
        );
        if (result !== OK) continue;
        expect(get("length"), `${hex}: ${theirs.toString()}`).toBe(theirs.length);
        compared++;
        if (get("operation") <= OP_NOP || !get("memoryOperand")) continue;
        emulated++;
        compareMemory(hex, theirs, mode);
      } finally {
        theirs.free();
        decoder.free();
      }
    }
    expect(compared).toBeGreaterThan(8000);
    expect(emulated).toBeGreaterThan(1500);
  });

  test("what is decoded with VEX agrees with iced-x86", () => {
    const random = new Random(3 * bitness);
    const opcodes = [
      0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2a, 0x2b, 0x6e, 0x6f, 0x7e, 0x7f, 0xd6, 0xe7, 0xf0,
    ];
    const others = [0x18, 0x19, 0x1a, 0x58, 0x59, 0x5a, 0x78, 0x79, 0xf2, 0xf3, 0xf5, 0xf6, 0xf7];
    let compared = 0;
    for (let round = 0; round < 20_000; round++) {
      const noise = Array.from({ length: 12 }, () => random.below(256));
      const opcode = random.pick([...opcodes, ...others]);
      // Outside 64-bit mode the upper two bits tell VEX from LES and LDS.
      const long = [
        0xc4,
        (random.below(8) << 5) | 0xc0 | random.pick([1, 2, 2, 3]),
        random.below(256),
        opcode,
      ];
      const bytes = Uint8Array.from([
        ...(random.below(2) ? long : [0xc5, random.below(128) | (random.below(2) ? 0xf8 : 0xc0), opcode]),
        ...noise,
      ]).subarray(0, 15);
      const decoder = new Decoder(bitness, bytes, DecoderOptions.None);
      const theirs = decoder.decode();
      load(bytes);
      const result = call("run", mode, 15) as number;
      const hex = Buffer.from(bytes).toString("hex");
      const what = `${hex}: ${theirs.toString()}`;
      if (result === OK && get("operation") > OP_NOP) {
        if (theirs.code === Code.INVALID) expect.fail(`${hex}: undefined, but decoded`);
        if (get("length") !== theirs.length) expect(get("length"), what).toBe(theirs.length);
        compared++;
        if (get("memoryOperand")) compareMemory(hex, theirs, mode);
      } else if (result === UNDEFINED && theirs.code !== Code.INVALID) {
        expect.fail(`${what}: undefined`);
      }
      theirs.free();
      decoder.free();
    }
    expect(compared).toBeGreaterThan(1000);
  });

  test("every prefix of an instruction is truncated, never something else", () => {
    const random = new Random(7 + bitness);
    for (let round = 0; round < 2000; round++) {
      const bytes = candidate(random, round & 1, random.below(256));
      load(bytes);
      if ((call("run", mode, 15) as number) !== OK) continue;
      const length = get("length");
      for (let cut = 0; cut < length; cut++) {
        load(bytes.subarray(0, cut));
        expect(call("run", mode, cut)).toBe(TRUNCATED);
      }
    }
  });

  test("random bytes end in a result and never exceed fifteen bytes", () => {
    const random = new Random(99 + bitness);
    for (let round = 0; round < 50_000; round++) {
      load(Uint8Array.from({ length: 15 }, () => random.below(256)));
      const result = call("run", mode, 15) as number;
      if (result > UNSUPPORTED || (result === OK && get("length") > 15)) expect.fail(`result ${result}`);
    }
  });
});

function compareMemory(hex: string, theirs: Theirs, mode: number): void {
  const what = `${hex}: ${theirs.toString()}`;
  const kinds = Array.from({ length: theirs.opCount }, (_, n) => theirs.opKind(n));
  if (!kinds.includes(OpKind.Memory)) return;
  const relative = theirs.isIpRelMemoryOperand;
  expect(get("base"), what).toBe(registerNumber(theirs.memoryBase));
  expect(get("index"), what).toBe(registerNumber(theirs.memoryIndex));
  if (theirs.memoryIndex !== Register.None) expect(get("scale"), what).toBe(theirs.memoryIndexScale);
  // In 64-bit code ES, CS, SS and DS are one and the same, and iced lets their prefixes show.
  const flat = (segment: number) => (mode === 8 && segment < 4 ? 3 : segment);
  expect(flat(get("segment")), what).toBe(flat(SEGMENTS.indexOf(theirs.memorySegment)));
  // iced gives relative operands as targets; its instructions here are at address 0.
  const bits = get("addressSize") * 8;
  const ours = (call("displacement") as bigint) + (relative ? BigInt(theirs.length) : 0n);
  expect(BigInt.asUintN(bits, ours), what).toBe(BigInt.asUintN(bits, theirs.memoryDisplacement));
}
