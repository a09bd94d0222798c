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

describe("refused modules", () => {
  it("names function, place and alternative for floating point", () => {
    const error = refusal(
      assemble(`(module (func $scale (export "scale") (param i32) (result i32)
      (i32.trunc_f64_s (f64.mul (f64.convert_i32_s (local.get 0)) (f64.const 1.5)))))`),
    );
    expect(error.kind).toBe("unsupported");
    expect(error.message).toMatch(
      /f64\.convert_i32_s: floating point.*use integers or fixed point.*byte 0x[0-9a-f]+, in scale/,
    );
  });

  it("gives the TypeScript line when there is a source map", () => {
    const bytes = assemble(`(module (func (export "f") (result f32) (f32.const 1)))`);
    // One mapping: from byte 0 on, source 0, line 42.
    const map = JSON.stringify({ version: 3, sources: ["kernel/time.ts"], names: [], mappings: "AAyCA" });
    expect(refusal(bytes, { map }).message).toContain("kernel/time.ts:42");
  });

  it("refuses references, SIMD and waiting", () => {
    expect(
      refusal(
        assemble(
          `(module (table 1 funcref) (func (export "f") (param i32) (drop (table.get (local.get 0)))))`,
        ),
      ).kind,
    ).toBe("unsupported");
    expect(
      refusal(assemble(`(module (func (export "f") (drop (v128.const i32x4 0 0 0 0))))`)).message,
    ).toContain("SIMD");
    const wait = `(module (memory 1 1 shared)
      (func (export "f") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))))`;
    expect(refusal(assemble(wait)).message).toContain("pause");
  });

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
    for (let i = 0; i < 200; i++) {
      const bytes = encodeModule(generateModule(1 + (i % 5)));
      for (let k = 0; k <= i % 3; k++) bytes[8 + r.below(bytes.length - 8)] = r.below(256);
      const end = i % 7 ? bytes.length : r.below(bytes.length);
      const damaged = bytes.slice(0, end);
      let accepted = true;
      try {
        compile(damaged, { target: "linux" });
      } catch (error) {
        if (!(error instanceof CompileError)) throw error;
        accepted = false;
      }
      if (accepted) expect(WebAssembly.validate(damaged), `module ${i}`).toBe(true);
    }
  });
});
