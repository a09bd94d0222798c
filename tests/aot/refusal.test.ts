import { describe, expect, it } from "vitest";
import { compile } from "../../tools/aot/compile.ts";
import { CompileError } from "../../tools/aot/errors.ts";
import { encodeModule } from "./fuzz/encode.ts";
import { generateModule, Random } from "./fuzz/generate.ts";
import { assemble } from "./wat.ts";

function refusal(bytes: Uint8Array, options = {}): CompileError {
  try {
    compile(bytes, options);
  } catch (error) {
    if (error instanceof CompileError) return error;
    throw error;
  }
  throw new Error("the module was accepted");
}

/** A module with every section and many kinds of instructions. */
const RICH = `(module
  (type $binary (func (param i32 i64) (result i64)))
  (import "intrinsics" "rdtsc" (func $rdtsc (result i64)))
  (memory (export "memory") 1 2 shared)
  (table $t 4 funcref)
  (global $g (mut i64) (i64.const 0x123456789))
  (elem (table $t) (i32.const 1) func $mix $loop)
  (elem $passive func $mix)
  (data (i32.const 8192) "some text")
  (data $late "more text")
  (func $mix (export "mix") (param i32 i64) (result i64)
    (global.set $g (i64.xor (global.get $g) (call $rdtsc)))
    (memory.init $late (i32.const 8200) (i32.const 0) (i32.const 4))
    (table.init $t $passive (i32.const 3) (i32.const 0) (i32.const 1))
    (i64.add (i64.atomic.rmw.add (i32.const 4096) (local.get 1))
      (i64.extend16_s (i64.load16_u offset=4096 (local.get 0)))))
  (func $loop (param $n i32) (param $x i64) (result i64) (local $i i32)
    (block $out
      (loop $again
        (block $a (block $b (block $c (br_table $a $b $c $out (local.get $n)))
            (local.set $x (i64.rotl (local.get $x) (i64.const 9))))
          (local.set $x (i64.div_s (local.get $x) (i64.const 10))))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (call_indirect $t (type $binary) (local.get $i) (local.get $x) (i32.const 1))))`;

function errorOf(bytes: Uint8Array): CompileError | null {
  try {
    compile(bytes, { target: "linux" });
    return null;
  } catch (error) {
    if (error instanceof CompileError) return error;
    throw error;
  }
}

describe("refused modules", () => {
  it("names the callers of unknown and forbidden intrinsics", () => {
    const wat = (name: string) =>
      `(module (import "intrinsics" "${name}" (func $i)) (func (export "f") (call $i)))`;
    expect(refusal(assemble(wat("frobnicate"))).message).toMatch(
      /unknown intrinsic "frobnicate", called from f/,
    );
    expect(refusal(assemble(wat("wbinvd")), { forbid: ["wbinvd"] }).message).toMatch(
      /forbidden import "wbinvd" is called from f/,
    );
    const wrong = `(module (import "intrinsics" "rdtsc" (func $i (result i32))) (func (export "f") (result i32) (call $i)))`;
    expect(refusal(assemble(wrong)).message).toMatch(/"rdtsc" is declared as \(:i\) but is \(:l\)/);
  });

  it("refuses data in the page that is never mapped", () => {
    const bytes = assemble(`(module (memory 1) (data (i32.const 8) "x"))`);
    expect(refusal(bytes).message).toContain("--memoryBase 4096");
    expect(() => compile(bytes, { target: "linux" })).not.toThrow();
  });

  it("tells the offset of malformed and invalid constructs", () => {
    const bytes = Uint8Array.from([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0x6a, 0x0b,
    ]);
    const error = refusal(bytes);
    expect(error.kind).toBe("invalid");
    expect(error.offset).toBe(23);
    expect(refusal(bytes.subarray(0, 22)).kind).toBe("malformed");
    expect(refusal(new Uint8Array()).offset).toBe(0);
  });

  it("never crashes on damaged modules, and accepts none that V8 refuses", () => {
    const r = new Random(7);
    const rich = assemble(RICH);
    let accepted = 0;
    for (let i = 0; i < 1000; i++) {
      const bytes = i % 2 ? rich.slice() : encodeModule(generateModule(1 + (i % 5)));
      for (let k = 0; k <= i % 3; k++) bytes[8 + r.below(bytes.length - 8)] = r.below(256);
      const damaged = bytes.slice(0, i % 7 ? bytes.length : r.below(bytes.length));
      const error = errorOf(damaged);
      if (error) {
        expect(error.offset, `module ${i}: ${error.message}`).toBeGreaterThanOrEqual(0);
        expect(error.offset, `module ${i}: ${error.message}`).toBeLessThanOrEqual(damaged.length);
      } else {
        accepted++;
        expect(WebAssembly.validate(damaged), `module ${i}`).toBe(true);
      }
    }
    // Damage that does not show, in constants and names: those modules are compiled.
    expect(accepted).toBeGreaterThan(50);
  });

  it("neither hangs nor runs out of memory on absurd counts", () => {
    const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
    const most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    const section = (id: number, bytes: number[]) => [...header, id, bytes.length, ...bytes];
    // A count of 2^32 - 1 in every section that has one, and in the locals, labels and names inside.
    for (const id of [1, 2, 3, 4, 5, 6, 7, 9, 10, 11])
      expect(errorOf(Uint8Array.from(section(id, most)))?.kind, `section ${id}`).toBe("malformed");
    const func = [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
    const withBody = (body: number[]) => [...header, ...func, 10, body.length + 2, 1, body.length, ...body];
    expect(errorOf(Uint8Array.from(withBody([1, ...most, 0x7f, 0x0b])))?.message).toMatch(/locals/);
    expect(errorOf(Uint8Array.from(withBody([0, 0x0e, ...most, 0x0b])))?.kind).toBe("malformed");
  });
});
