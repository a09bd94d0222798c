import { afterAll, describe, expect, it } from "vitest";
import { NativeModule } from "../../tools/aot/linux/process.ts";
import { type Call, findDifference } from "./fuzz/compare.ts";
import { encodeModule } from "./fuzz/encode.ts";
import { planFor } from "./fuzz/fuzz.ts";
import { generateModule } from "./fuzz/generate.ts";
import { assemble } from "./wat.ts";

describe("generated code, run natively", () => {
  it("behaves as V8 on random modules", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const ast = generateModule(seed);
      expect(findDifference(encodeModule(ast), planFor(ast, seed)), `seed ${seed}`).toBeNull();
    }
  });

  it("divides by every kind of constant as V8 does", () => {
    const divisors = [
      1n,
      2n,
      3n,
      5n,
      6n,
      7n,
      9n,
      10n,
      11n,
      12n,
      25n,
      60n,
      100n,
      125n,
      625n,
      641n,
      1000n,
      65_535n,
      65_536n,
      0x7fffffffn,
      0x80000000n,
      0x80000001n,
      0xfffffffen,
      0xffffffffn,
    ];
    const dividends = [
      0n,
      1n,
      2n,
      6n,
      7n,
      9n,
      10n,
      99n,
      100n,
      641n,
      65_535n,
      0x7ffffffen,
      0x7fffffffn,
      0x80000000n,
      0x80000001n,
      0xfffffff9n,
      0xffffffffn,
      0x123456789abcdefn,
      0x7fffffffffffffffn,
      0x8000000000000000n,
      0xffffffffffffffffn,
    ];
    const funcs: string[] = [];
    const names: { name: string; type: "i32" | "i64" }[] = [];
    for (const type of ["i32", "i64"] as const) {
      for (const op of ["div_u", "div_s", "rem_u", "rem_s"]) {
        for (const divisor of divisors) {
          const name = `${type} ${op} ${divisor}`;
          names.push({ name, type });
          const literal = type === "i32" ? BigInt.asIntN(32, divisor) : divisor;
          funcs.push(
            `(func (export "${name}") (param ${type}) (result ${type}) (${type}.${op} (local.get 0) (${type}.const ${literal})))`,
          );
        }
      }
    }
    const calls = names.flatMap(({ name, type }) =>
      dividends.map((d) => ({
        name,
        params: [type],
        result: type,
        args: [BigInt.asIntN(type === "i32" ? 32 : 64, d)],
      })),
    );
    expect(
      findDifference(assemble(`(module ${funcs.join("\n")})`), { calls, globals: [] }, false),
    ).toBeNull();
  });

  it("walks tables by pointers as V8 does by counters", () => {
    const funcs: string[] = [];
    const calls: Call[] = [];
    const ends = [-7, -1, 0, 1, 9, 10, 0x7fffffff].flatMap((end) =>
      ["lt_s", "lt_u", "le_s", "le_u", "ge_s", "gt_u", "ne"].map((op) => ({ op, end })),
    );
    for (const { op, end } of ends) {
      for (const [start, step, shift] of [
        [0, 1, 1],
        [3, 5, 2],
        [-4, 3, 0],
        [1, 0x4000_0000, 2],
      ]) {
        const name = `${op} ${end} from ${start} by ${step} shift ${shift}`;
        const test = `(i32.${op} (local.get $i) (i32.const ${end}))`;
        const leave = op.startsWith("g") ? test : `(i32.eqz ${test})`;
        // Some would go on for long, or for ever.
        const guard = `(br_if $done (i32.gt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 40)))`;
        funcs.push(`(func (export "${name}") (param $a i32) (result i32) (local $i i32) (local $n i32) (local $sum i32)
          (local.set $i (i32.const ${start}))
          (block $done (loop $again
            (br_if $done ${leave})
            ${guard}
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load16_u offset=40
              (i32.shl (i32.add (local.get $a) (i32.mul (local.get $i) (i32.const 3))) (i32.const ${shift})))))
            (i32.store8 (i32.add (i32.mul (i32.sub (local.get $a) (local.get $i)) (i32.const 2))
              (i32.const 512)) (local.get $sum))
            (local.set $i (i32.add (local.get $i) (i32.const ${step})))
            (br $again)))
          (local.get $sum))`);
        for (const a of [0n, 20n]) calls.push({ name, params: ["i32"], result: "i32", args: [a] });
      }
    }
    const data = Array.from(
      { length: 256 },
      (_, i) => `\\${((i * 89 + 7) & 255).toString(16).padStart(2, "0")}`,
    );
    const wat = `(module (memory 1) (data (i32.const 0) "${data.join("")}") ${funcs.join("\n")})`;
    expect(findDifference(assemble(wat), { calls, globals: [] }, false)).toBeNull();
  });

  it("passes arguments and results on the stack", () => {
    const wat = `(module
      (func $f (export "f") (param i32 i64 i32 i64 i32 i64 i32 i64 i32) (result i32 i64 i32 i64)
        (local.get 8) (local.get 7) (local.get 6) (i64.sub (local.get 5) (i64.extend_i32_s (local.get 0))))
      (func (export "g") (result i32 i64 i32 i64)
        (call $f (i32.const -1) (i64.const 2) (i32.const 3) (i64.const 4)
          (i32.const 5) (i64.const 6) (i32.const 7) (i64.const -8) (i32.const -9))))`;
    const native = new NativeModule(assemble(wat), { verify: true });
    const outcome = native.call("g", [], 4);
    native.close();
    expect(outcome).toMatchObject({ kind: "return" });
    const results = outcome.kind === "return" ? outcome.results : [];
    expect(BigInt.asIntN(32, results[0]!)).toBe(-9n);
    expect(BigInt.asIntN(64, results[1]!)).toBe(-8n);
    expect(BigInt.asIntN(32, results[2]!)).toBe(7n);
    expect(BigInt.asIntN(64, results[3]!)).toBe(7n);
  });

  it("accesses memory as in the kernel: at address 0, without the first page", () => {
    const wat = `(module (memory 2)
      (data (i32.const 65536) "first") (data (i32.const 65552) "second")
      (func (export "load") (param i32) (result i32) (i32.load8_u offset=16 (local.get 0)))
      (func (export "fill") (param i32 i32) (result i32)
        (memory.fill (local.get 0) (i32.const 7) (local.get 1))
        (i32.load (i32.add (local.get 0) (local.get 1)))))`;
    const native = new NativeModule(assemble(wat), { verify: true, asInKernel: true });
    expect(native.compiled.asm).not.toContain("gs:");
    expect(native.call("load", [65_536n])).toMatchObject({
      kind: "return",
      results: [BigInt("s".charCodeAt(0))],
    });
    expect(native.call("fill", [65_537n, 2n])).toMatchObject({
      results: [BigInt(Buffer.from("st\0\0").readUInt32LE())],
    });
    const outside = { kind: "trap", trap: "out of bounds memory access" };
    expect(native.call("load", [0n])).toMatchObject(outside);
    expect(native.call("load", [131_072n])).toMatchObject(outside);
    expect(native.call("fill", [131_071n, 2n])).toMatchObject(outside);
    native.close();
  });

  it("touches every page of a large frame, so that overflow meets the guard page", () => {
    const values = Array.from({ length: 700 }, (_, i) => `(local $v${i} i64)`).join(" ");
    const loads = Array.from(
      { length: 700 },
      (_, i) => `(local.set $v${i} (i64.load offset=${i * 8} (local.get $p)))`,
    ).join("\n");
    const sums = Array.from(
      { length: 700 },
      (_, i) =>
        `(i64.store offset=${i * 8} (local.get $p) (i64.add (local.get $v${i}) (local.get $v${699 - i})))`,
    ).join("\n");
    const wat = `(module (memory 1) (func $f (export "f") (param $p i32) (result i64) ${values} ${loads} ${sums}
      (i64.add (call $f (i32.add (local.get $p) (i32.const 0))) (i64.load (local.get $p)))))`;
    const native = new NativeModule(assemble(wat), { verify: true });
    expect(native.compiled.asm).toMatch(/test byte \[rsp-4096\], 0/);
    expect(native.call("f", [0n])).toMatchObject({ kind: "trap", trap: "call stack exhausted" });
    native.close();
  });

  describe("checks an index that a loop does not change where the call is", () => {
    // Entry 1 is empty, entry 2 has another type.
    const native = new NativeModule(
      assemble(`(module
        (type $f (func (param i32) (result i32)))
        (table 3 funcref)
        (elem (i32.const 0) $decrement)
        (elem (i32.const 2) $other)
        (global $calls (export "calls") (mut i32) (i32.const 0))
        (func $decrement (type $f) (i32.sub (local.get 0) (i32.const 1)))
        (func $other)
        (func (export "countdown") (param $from i32) (param $index i32)
          (loop $again
            (if (local.get $from) (then
              (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
              (local.set $from (call_indirect (type $f) (local.get $from) (local.get $index)))
              (br $again))))))`),
      { verify: true },
    );
    const countdown = (from: bigint, index: bigint) => {
      const [outcome, calls] = native.run([
        { op: "call", name: "countdown", args: [from, index], results: 0 },
        { op: "global", name: "calls" },
      ]);
      return { ...outcome, calls: (calls as { value: bigint }).value };
    };
    afterAll(() => native.close());

    it("calls the function as often as the loop says", () => {
      expect(countdown(5n, 0n)).toMatchObject({ outcome: { kind: "return" }, calls: 5n });
    });

    it.each([
      [1n, "uninitialized element"],
      [2n, "indirect call type mismatch"],
      [3n, "undefined element"],
      [0xffff_ffffn, "undefined element"],
    ])("traps at the first call through entry %d, and not before", (index, trap) => {
      expect(countdown(5n, index)).toMatchObject({ outcome: { kind: "trap", trap }, calls: 1n });
      expect(countdown(0n, index)).toMatchObject({ outcome: { kind: "return" }, calls: 0n });
    });
  });
});
