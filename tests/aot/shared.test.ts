// What processors do to each other's memory and globals: the shapes in which code waits for another processor must read again
// in every round, whatever passes have made of them.
import { describe, expect, it } from "vitest";
import { compile } from "../../tools/aot/compile.ts";
import { assemble } from "./wat.ts";

const IMPORTS = `
  (func $pause (import "intrinsics" "pause"))
  (func $hlt (import "intrinsics" "sti_hlt_cli"))
  (memory 1 1 shared)
  (global $flag (mut i32) (i32.const 0))`;

/** Each has one loop, which ends when another processor (or an interrupt's handler) has written. */
const WAITS: Record<string, string> = {
  "spin on a global": `
    (global.set $flag (i32.const 0))
    (loop $again (call $pause) (br_if $again (i32.eqz (global.get $flag))))`,
  "halt until a global is set": `
    (global.set $flag (i32.const 0))
    (loop $again (call $hlt) (br_if $again (i32.eqz (global.get $flag))))`,
  "spin on a global, atomics in the loop": `
    (global.set $flag (i32.const 0))
    (loop $again
      (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
      (br_if $again (i32.eqz (global.get $flag))))`,
  "spin on a global, a fence in the loop": `
    (global.set $flag (i32.const 0))
    (loop $again (atomic.fence) (br_if $again (i32.eqz (global.get $flag))))`,
  "flag in memory": `
    (i32.store (i32.const 128) (i32.const 0))
    (loop $again (call $pause) (br_if $again (i32.eqz (i32.load (i32.const 128)))))`,
  "flag read atomically": `
    (loop $again (br_if $again (i32.eqz (i32.atomic.load (i32.const 128)))))`,
  "test and test-and-set": `
    (loop $again
      (br_if $again (i32.load (i32.const 128)))
      (br_if $again (i32.atomic.rmw.xchg (i32.const 128) (i32.const 1))))`,
  "sequence lock": `(local $before i32)
    (loop $again
      (local.set $before (i32.atomic.load (i32.const 128)))
      (i64.store (i32.const 256) (i64.load (i32.const 136)))
      (br_if $again (i32.ne (local.get $before) (i32.atomic.load (i32.const 128)))))`,
};

/** What a round must at least read of what the other side writes, as the operand's text: once, unless a number says more. */
const READS: Record<string, [place: RegExp, times: number]> = {
  "test and test-and-set": [/128|0x80/, 2],
  "sequence lock": [/128|0x80|136|0x88/, 3],
};
const GLOBAL: [RegExp, number] = [/tv_global/, 1];
const MEMORY: [RegExp, number] = [/128|0x80/, 1];

function lines(target: "kernel" | "linux", body: string): string[] {
  const wat = `(module ${IMPORTS} (func (export "wait") ${body}))`;
  const { asm } = compile(assemble(wat), { target, verify: true });
  const start = asm.indexOf("tv_text_start:");
  return asm.slice(start, asm.indexOf("tv_text_end:")).split("\n");
}

/** The lines of the loop: from the target of the last backward jump to that jump. */
function loopOf(code: string[]): string[] {
  const places = new Map(
    code.flatMap((line, i) => (line.startsWith(".") ? [[line.slice(0, -1), i] as const] : [])),
  );
  for (let i = code.length - 1; i >= 0; i--) {
    const target = /^\s*j\w+ (\.\w+)/.exec(code[i] ?? "")?.[1];
    const at = target === undefined ? undefined : places.get(target);
    if (at !== undefined && at < i) return code.slice(at, i);
  }
  throw new Error(`no loop in:\n${code.join("\n")}`);
}

/** Whether an instruction reads memory at `place`: all that have it as operand do, but a MOV to it. */
const reads = (line: string, place: RegExp) =>
  place.test(/\[([^\]]*)\]/.exec(line)?.[1] ?? "") && !/^\s*mov (\w+ )?\[/.test(line);

describe.each(["kernel", "linux"] as const)("waiting for others, %s", (target) => {
  it.each(Object.keys(WAITS))("%s", (name) => {
    const [place, times] = READS[name] ?? (name.includes("global") ? GLOBAL : MEMORY);
    const loop = loopOf(lines(target, WAITS[name] as string));
    expect(loop.filter((line) => reads(line, place)).length, loop.join("\n")).toBeGreaterThanOrEqual(times);
  });
});
