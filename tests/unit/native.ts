// Runs single instructions on the computer's own processor, as the reference for the emulator: a tiny Linux program,
// assembled for the occasion, loads the registers and flags of each case, executes the bytes, and writes down what they did.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Linear address and size of the block of memory that a case sees; a state is 16 registers, RFLAGS, that block, and the vector
 * registers.
 */
export const BLOCK = 0x1000_0000n;
export const BLOCK_BYTES = 128;
const MEMORY_AT = 16 * 8 + 8;
const YMM_AT = MEMORY_AT + BLOCK_BYTES;
const MMX_AT = YMM_AT + 16 * 32;
const STATE_BYTES = MMX_AT + 8 * 8;

export interface State {
  /** RAX … R15 by encoding. */
  registers: bigint[];
  flags: bigint;
  memory: Uint8Array;
  /** YMM0 … YMM15 and MM0 … MM7. */
  ymm: Uint8Array;
  mmx: Uint8Array;
}

export interface Case {
  bytes: Uint8Array;
  before: State;
}

function pack(state: State): Uint8Array {
  const packed = new Uint8Array(STATE_BYTES);
  const view = new DataView(packed.buffer);
  state.registers.forEach((value, n) => view.setBigUint64(8 * n, BigInt.asUintN(64, value), true));
  view.setBigUint64(128, state.flags, true);
  packed.set(state.memory, MEMORY_AT);
  packed.set(state.ymm, YMM_AT);
  packed.set(state.mmx, MMX_AT);
  return packed;
}

function unpack(packed: Uint8Array): State {
  const view = new DataView(packed.buffer, packed.byteOffset, STATE_BYTES);
  return {
    registers: Array.from({ length: 16 }, (_, n) => view.getBigUint64(8 * n, true)),
    flags: view.getBigUint64(128, true),
    memory: packed.slice(MEMORY_AT, YMM_AT),
    ymm: packed.slice(YMM_AT, MMX_AT),
    mmx: packed.slice(MMX_AT, STATE_BYTES),
  };
}

const names = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];

/** A static ELF64 program: one loop over the cases' code, their states in a writable copy that is written out at the end. */
function program(cases: Case[]): string {
  const loads = names
    .filter((name) => name !== "rsp")
    .map((name) => `mov ${name}, [rel scratch + ${8 * names.indexOf(name)}]`);
  const vectors = (line: (move: string, register: string, at: number) => string) =>
    [
      ...Array.from({ length: 16 }, (_, n) => line("vmovups", `ymm${n}`, YMM_AT + 32 * n)),
      ...Array.from({ length: 8 }, (_, n) => line("movq", `mm${n}`, MMX_AT + 8 * n)),
    ].join("\n  ");
  const stores = names.map((name, n) => `mov [rel scratch + ${8 * n}], ${name}`);
  return `
bits 64
org 0x400000
db 0x7f, "ELF", 2, 1, 1, 0
times 8 db 0
dw 2, 62
dd 1
dq start, 64, 0
dd 0
dw 64, 56, 2, 0, 0, 0
; everything, readable, writable and executable
dd 1, 7
dq 0, $$, $$, fileEnd - $$, fileEnd - $$ + 0x10000, 0x1000
; the block of memory
dd 1, 6
dq 0, ${BLOCK}, ${BLOCK}, 0, 0x1000, 0x1000
start:
  mov [rel ownStack], rsp
  lea rbx, [rel states]
  lea r12, [rel table]
next:
  mov [rel state], rbx
  mov [rel entry], r12
  mov rsi, rbx
  lea rdi, [rel scratch]
  mov ecx, 17
  rep movsq
  mov rdi, ${BLOCK}
  mov ecx, ${BLOCK_BYTES}
  rep movsb
  mov rax, [rel state]
  ${vectors((move, register, at) => `${move} ${register}, [rax + ${at}]`)}
  mov rax, [r12]
  mov [rel target], rax
  push qword [rel scratch + 128]
  popfq
  ${loads.join("\n  ")}
  mov rsp, [rel scratch + 32]
  jmp [rel target]
back:
  ${stores.join("\n  ")}
  mov rsp, [rel ownStack]
  pushfq
  pop qword [rel scratch + 128]
  cld
  mov rbx, [rel state]
  ${vectors((move, register, at) => `${move} [rbx + ${at}], ${register}`)}
  mov rdi, rbx
  lea rsi, [rel scratch]
  mov ecx, 17
  rep movsq
  mov rsi, ${BLOCK}
  mov ecx, ${BLOCK_BYTES}
  rep movsb
  add rbx, ${STATE_BYTES}
  mov r12, [rel entry]
  add r12, 8
  cmp qword [r12], 0
  jne next
  lea r13, [rel states]
write:
  mov eax, 1
  mov edi, 1
  mov rsi, r13
  lea rdx, [rel statesEnd]
  sub rdx, r13
  jz done
  syscall
  test rax, rax
  js done
  add r13, rax
  jmp write
done:
  mov eax, 60
  xor edi, edi
  syscall
${cases.map((one, n) => `c${n}: db ${[...one.bytes].join(",")}\n jmp near back`).join("\n")}
align 8
ownStack: dq 0
state: dq 0
entry: dq 0
target: dq 0
scratch: times 17 dq 0
table: ${cases.map((_, n) => `dq c${n}`).join("\n")}
dq 0
states: incbin "states.bin"
statesEnd:
fileEnd:
`;
}

/** Executes every case; the results are in the same order. Throws if the processor faulted on one. */
export function runNative(cases: Case[]): State[] {
  const folder = mkdtempSync(join(tmpdir(), "typevisor-native-"));
  try {
    writeFileSync(join(folder, "states.bin"), Buffer.concat(cases.map((one) => pack(one.before))));
    writeFileSync(join(folder, "cases.asm"), program(cases));
    execFileSync("nasm", ["-O0", "-f", "bin", "-o", "cases", "cases.asm"], { cwd: folder });
    execFileSync("chmod", ["+x", "cases"], { cwd: folder });
    const output = execFileSync(join(folder, "cases"), { maxBuffer: 1 << 28 });
    if (output.length !== cases.length * STATE_BYTES)
      throw new Error(`native run: ${output.length} bytes of results`);
    return cases.map((_, n) => unpack(output.subarray(n * STATE_BYTES, (n + 1) * STATE_BYTES)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
