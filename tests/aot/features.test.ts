import { describe, expect, it } from "vitest";
import { compile } from "../../tools/aot/compile.ts";
import { CompileError } from "../../tools/aot/errors.ts";
import { assemble } from "./wat.ts";

// What is not translated is refused before code is made: with the function, the TypeScript line and what to write instead.

/** One mapping: from byte 0 on, source 0, line 42. */
const MAP = JSON.stringify({ version: 3, sources: ["kernel/time.ts"], names: [], mappings: "AAyCA" });

interface Refused {
  feature: string;
  /** Fields of the module beside the function $culprit. */
  fields?: string;
  /** The function, without its name. */
  func: string;
  says: RegExp;
}

const floating = /floating point is not translated.*use integers or fixed point/;
const references = /references are not translated/;

const cases: Refused[] = [
  { feature: "a floating-point parameter", func: "(param f32)", says: floating },
  { feature: "a floating-point result", func: "(result f64) (unreachable)", says: floating },
  { feature: "a floating-point local", func: "(local f64) (nop)", says: floating },
  {
    feature: "floating-point arithmetic",
    func: "(result i32) (i32.trunc_f32_u (f32.sqrt (f32.const 2)))",
    says: floating,
  },
  {
    feature: "a floating-point load",
    fields: "(memory 1)",
    func: "(drop (f64.load (i32.const 8)))",
    says: floating,
  },
  {
    feature: "a floating-point block",
    func: "(drop (block $b (result f32) (br_if $b (f32.const 1) (i32.const 2))))",
    says: floating,
  },
  {
    feature: "a vector instruction",
    func: "(drop (i32x4.splat (i32.const 1)))",
    says: /SIMD is not translated.*use integers/,
  },
  { feature: "a vector local", func: "(local v128) (nop)", says: /SIMD is not translated.*use integers/ },
  { feature: "ref.null", func: "(drop (ref.null func))", says: references },
  { feature: "ref.func", func: "(drop (ref.func $culprit))", says: /references are not.*use call_indirect/ },
  {
    feature: "table.get",
    fields: "(table 1 funcref)",
    func: "(drop (table.get (i32.const 0)))",
    says: /references are not translated; use call_indirect/,
  },
  {
    feature: "table.set",
    fields: "(table 1 funcref)",
    func: "(table.set (i32.const 0) (ref.null func))",
    says: references,
  },
  {
    feature: "table.grow",
    fields: "(table 1 funcref)",
    func: "(drop (table.grow (ref.null func) (i32.const 1)))",
    says: /references are not|tables have a fixed size/,
  },
  { feature: "an external reference", func: "(param externref)", says: /references are not.*use integers/ },
  {
    feature: "memory.atomic.wait32",
    fields: "(memory 1 1 shared)",
    func: "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))",
    says: /no scheduler to wait in; spin with the pause intrinsic/,
  },
  {
    feature: "memory.atomic.wait64",
    fields: "(memory 1 1 shared)",
    func: "(drop (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const 0)))",
    says: /no scheduler to wait in; spin with the pause intrinsic/,
  },
  {
    feature: "memory.atomic.notify",
    fields: "(memory 1 1 shared)",
    func: "(drop (memory.atomic.notify (i32.const 0) (i32.const 1)))",
    says: /no scheduler to notify; spin with the pause intrinsic/,
  },
  {
    feature: "a second memory",
    fields: "(memory $a 1) (memory $b 1)",
    func: "(drop (i32.load $b (i32.const 0)))",
    says: /multi-memory is not translated: there is one linear memory/,
  },
  {
    feature: "a tail call",
    func: "(return_call $culprit)",
    says: /tail calls are not translated.*use a loop/,
  },
  {
    feature: "an indirect tail call",
    fields: "(type $t (func)) (table 1 funcref)",
    func: "(return_call_indirect (type $t) (i32.const 0))",
    says: /tail calls are not translated.*use a loop/,
  },
  {
    feature: "throw",
    fields: "(tag $tag)",
    func: "(throw $tag)",
    says: /exceptions are not translated.*return a status, or panic/,
  },
  {
    feature: "try_table",
    func: "(block $caught (try_table (catch_all $caught) (nop)))",
    says: /exceptions are not translated.*return a status, or panic/,
  },
  {
    feature: "garbage collection",
    func: "(drop (ref.i31 (i32.const 1)))",
    says: /garbage collection is not translated.*@unmanaged classes/,
  },
];

function refusal(wat: string): CompileError {
  try {
    compile(assemble(wat), { map: MAP });
  } catch (error) {
    expect(error).toBeInstanceOf(CompileError);
    return error as CompileError;
  }
  throw new Error("the module was accepted");
}

describe("refused with function, line and advice:", () => {
  it.each(cases)("$feature", ({ fields = "", func, says }) => {
    const error = refusal(`(module ${fields}
      (func $innocent (export "innocent") (result i32) (i32.const 1))
      (func $culprit (export "culprit") ${func}))`);
    expect(error.kind).toBe("unsupported");
    expect(error.message).toMatch(says);
    expect(error.message).toMatch(/\(at byte 0x[0-9a-f]+, in culprit, kernel\/time\.ts:42\)$/);
    expect(error.offset).toBeGreaterThan(8);
  });
});

describe("refused with advice, as no function is at fault:", () => {
  it.each([
    ["a floating-point global", "(global f64 (f64.const 1))", floating],
    ["a second memory", "(memory 1) (memory 1)", /multi-memory is not translated/],
    ["an exception tag", "(tag $tag)", /exceptions are not translated/],
    [
      "a structure type",
      `(type $s (struct (field i32))) (func (param (ref null $s)))`,
      /garbage collection is not/,
    ],
    ["a start function", "(func $main) (start $main)", /nothing calls it in the image; export it/],
    ["an imported function", `(import "env" "f" (func))`, /"env\.f": only module "intrinsics" exists/],
    [
      "an imported global",
      `(import "env" "g" (global i32))`,
      /imported global "env\.g"; keep state in the module/,
    ],
    [
      "an imported memory",
      `(import "env" "m" (memory 1))`,
      /imported memory "env\.m"; let the module define/,
    ],
    [
      "an imported table",
      `(import "env" "t" (table 1 funcref))`,
      /imported table "env\.t"; define it in the module/,
    ],
  ])("%s", (_feature, fields, says) => {
    const error = refusal(`(module ${fields} (func (export "f")))`);
    expect(error.message).toMatch(says);
    expect(error.message).toMatch(/at byte 0x[0-9a-f]+/);
  });
});
