import { afterEach, describe, expect, it } from "vitest";
import { CompileError } from "../../tools/aot/errors.ts";
import { INSTANTIATE, MEMORY_TOO_SMALL } from "../../tools/aot/linux/harness.ts";
import type { Command, Instance, Outcome } from "../../tools/aot/linux/process.ts";
import { ScriptModules } from "./spec/modules.ts";
import { assemble } from "./wat.ts";

describe("modules linked into one process", () => {
  let modules = new ScriptModules();

  afterEach(() => {
    modules.process.close();
    modules = new ScriptModules();
  });

  function add(name: string, wat: string): Instance {
    const instance = modules.add(assemble(wat));
    modules.register(name, modules.exportsOf(instance));
    return instance;
  }

  type Call = readonly [Instance, string, ...bigint[]];

  /** Instantiates all modules, then makes the calls in one process: their first results as i32, or the traps. */
  function run(instances: Instance[], calls: Call[]): (number | string)[] {
    const command = (name: string, args: bigint[]): Command => ({ op: "call", name, args, results: 1 });
    const answers = modules.process.run([
      ...instances.map((instance) => [instance, command(INSTANTIATE, [])] as const),
      ...calls.map(([instance, name, ...args]) => [instance, command(name, args)] as const),
    ]);
    return answers.slice(instances.length).map((answer) => {
      const outcome = (answer as { outcome: Outcome }).outcome;
      return outcome.kind === "trap" ? outcome.trap : Number(BigInt.asIntN(32, outcome.results[0]!));
    });
  }

  it("run each function on the memory of its own module, whichever way it is called", () => {
    // $peek of module a reads 1 at address 0, that of b reads 2.
    const a = add(
      "a",
      `(module (memory 1) (data (i32.const 0) "\\01")
        (table (export "table") 4 funcref) (elem (i32.const 0) $peek)
        (type $get (func (result i32)))
        (func $peek (export "peek") (result i32) (i32.load8_u (i32.const 0)))
        (func (export "indirect") (param i32) (result i32)
          (i32.add (i32.mul (call_indirect (type $get) (local.get 0)) (i32.const 10)) (call $peek))))`,
    );
    const b = add(
      "b",
      `(module (import "a" "peek" (func $peekA (result i32))) (import "a" "table" (table 4 funcref))
        (import "a" "indirect" (func $indirect (param i32) (result i32)))
        (memory 1) (data (i32.const 0) "\\02") (elem (i32.const 1) $peek)
        (func $peek (result i32) (i32.load8_u (i32.const 0)))
        (func (export "both") (result i32)
          (i32.add (i32.add (i32.mul (call $peek) (i32.const 100)) (i32.mul (call $peekA) (i32.const 10))) (call $peek)))
        (func (export "there and back") (result i32)
          (i32.add (i32.mul (call $indirect (i32.const 1)) (i32.const 10)) (call $peek))))`,
    );
    expect(
      run(
        [a, b],
        [
          [b, "both"],
          [a, "indirect", 0n],
          [a, "indirect", 1n],
          [b, "there and back"],
        ],
      ),
    ).toEqual([212, 11, 21, 212]);
  });

  it("pass arguments and results on the stack from module to module", () => {
    const params = Array.from({ length: 9 }, (_, i) => `(i32.const ${i + 1})`).join(" ");
    const a = add(
      "a",
      `(module (memory 1) (func (export "f") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32 i32 i32)
        (local.get 6) (local.get 7) (i32.sub (local.get 8) (local.get 0))))`,
    );
    const b = add(
      "b",
      `(module (import "a" "f" (func $f (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32 i32 i32))) (memory 1)
        (func (export "g") (result i32) (local $x i32) (local $y i32) (local $z i32)
          (call $f ${params}) (local.set $z) (local.set $y) (local.set $x)
          (i32.add (i32.add (i32.mul (local.get $x) (i32.const 100)) (i32.mul (local.get $y) (i32.const 10))) (local.get $z))))`,
    );
    expect(run([a, b], [[b, "g"]])).toEqual([788]);
  });

  it("share variables, and know one that is imported twice", () => {
    const a = add(
      "a",
      `(module (global $v (export "v") (mut i32) (i32.const 5)) (global (export "c") i32 (i32.const 3))
        (func (export "get") (result i32) (global.get $v)))`,
    );
    const b = add(
      "b",
      `(module (import "a" "v" (global $x (mut i32))) (import "a" "v" (global $y (mut i32)))
        (import "a" "c" (global $c i32)) (memory (export "m") 1) (data (global.get $c) "\\2a")
        (func (export "swap") (param i32) (result i32) (local $old i32)
          (local.set $old (global.get $y)) (global.set $x (local.get 0))
          (i32.add (i32.mul (local.get $old) (i32.const 10)) (global.get $y)))
        (func (export "data") (result i32) (i32.load8_u (i32.const 3))))`,
    );
    expect(
      run(
        [a, b],
        [
          [b, "swap", 7n],
          [a, "get"],
          [b, "data"],
        ],
      ),
    ).toEqual([57, 7, 42]);
  });

  it("share memory and its size", () => {
    const a = add(
      "a",
      `(module (memory (export "m") 1 3) (data (i32.const 8) "\\07")
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "size") (result i32) (memory.size)))`,
    );
    const b = add(
      "b",
      `(module (import "a" "m" (memory 1 4)) (data (i32.const 9) "\\08")
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`,
    );
    const results = run(
      [a, b],
      [
        [b, "load", 8n],
        [a, "load", 9n],
        [a, "load", 65_536n],
        [b, "grow", 2n],
        [a, "size"],
        [a, "load", 65_536n],
        [b, "grow", 1n],
      ],
    );
    expect(results).toEqual([7, 8, "out of bounds memory access", 1, 3, 0, -1]);
  });

  it("agree on the types of functions in tables", () => {
    const a = add(
      "a",
      `(module (type $one (func (result i32))) (type $two (func (param i32) (result i32)))
        (table (export "t") 3 funcref) (func $f (type $one) (i32.const 11)) (elem (i32.const 0) $f)
        (func (export "one") (param i32) (result i32) (call_indirect (type $one) (local.get 0)))
        (func (export "two") (param i32) (result i32) (call_indirect (type $two) (i32.const 4) (local.get 0))))`,
    );
    // The same types in another order, after one that only this module has.
    const b = add(
      "b",
      `(module (type $other (func (param i64))) (type $two (func (param i32) (result i32))) (type $one (func (result i32)))
        (import "a" "t" (table 3 funcref)) (func $o (type $other)) (func $g (type $two) (i32.mul (local.get 0) (i32.const 5)))
        (elem (i32.const 1) $g) (elem declare func $o)
        (func (export "one") (param i32) (result i32) (call_indirect (type $one) (local.get 0))))`,
    );
    const results = run(
      [a, b],
      [
        [a, "two", 1n],
        [b, "one", 0n],
        [a, "one", 1n],
        [b, "one", 1n],
        [b, "one", 2n],
        [b, "one", 3n],
      ],
    );
    expect(results).toEqual([
      20,
      11,
      "indirect call type mismatch",
      "indirect call type mismatch",
      "uninitialized element",
      "undefined element",
    ]);
  });

  it("exhaust the stack by calling each other, and recover", () => {
    const a = add(
      "a",
      `(module (memory 1) (data (i32.const 0) "\\05") (table (export "t") 1 funcref) (type $f (func (result i32)))
        (func (export "call") (result i32) (i32.add (call_indirect (type $f) (i32.const 0)) (i32.load8_u (i32.const 0))))
        (func (export "load") (result i32) (i32.load8_u (i32.const 0))))`,
    );
    const b = add(
      "b",
      `(module (import "a" "call" (func $call (result i32))) (import "a" "t" (table 1 funcref)) (memory 1)
        (func $again (result i32) (i32.add (call $call) (i32.load8_u (i32.const 0)))) (elem (i32.const 0) $again))`,
    );
    expect(
      run(
        [a, b],
        [
          [a, "call"],
          [a, "load"],
        ],
      ),
    ).toEqual(["call stack exhausted", 5]);
  });

  it("keep what was copied before a segment that does not fit", () => {
    const a = add(
      "a",
      `(module (memory (export "m") 1) (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))`,
    );
    const b = add(
      "b",
      `(module (import "a" "m" (memory 1)) (data (i32.const 4) "\\63") (data (i32.const 65535) "xy")
        (func $s unreachable) (start $s))`,
    );
    const answers = modules.process.run([
      [b, { op: "call", name: INSTANTIATE, args: [], results: 1 }],
      [a, { op: "call", name: "load", args: [4n], results: 1 }],
      [a, { op: "call", name: "load", args: [65_535n], results: 1 }],
    ]);
    expect(answers.map((a) => ("outcome" in a ? a.outcome : null))).toMatchObject([
      { trap: "out of bounds memory access" },
      { results: [99n] },
      { results: [0n] },
    ]);
  });

  it("find the memory too small, or large enough after it has grown", () => {
    const a = add(
      "a",
      `(module (memory (export "m") 1) (func (export "grow") (result i32) (memory.grow (i32.const 1))))`,
    );
    const b = add("b", `(module (import "a" "m" (memory 2)))`);
    const instantiate: Command = { op: "call", name: INSTANTIATE, args: [], results: 1 };
    const answers = modules.process.run([
      [b, instantiate],
      [a, { ...instantiate, name: "grow" }],
      [b, instantiate],
    ]);
    const results = answers.map(
      (answer) => (answer as { outcome: { results: bigint[] } }).outcome.results[0],
    );
    expect(results).toEqual([MEMORY_TOO_SMALL, 1n, 0n]);
  });

  const EXPORTER = `(module (func (export "f") (param i32)) (global (export "g") i32 (i32.const 1))
    (global (export "v") (mut i64) (i64.const 1)) (table (export "t") 10 20 funcref) (table (export "open") 10 funcref)
    (memory (export "m") 2 8))`;

  it.each([
    [`(import "a" "nothing" (func))`, "unknown import"],
    [`(import "b" "f" (func))`, "unknown import"],
    [`(import "a" "f" (func (param i64)))`, "incompatible import type"],
    [`(import "a" "f" (func (param i32) (result i32)))`, "incompatible import type"],
    [`(import "a" "f" (global i32))`, "incompatible import type"],
    [`(import "a" "g" (global (mut i32)))`, "incompatible import type"],
    [`(import "a" "g" (global i64))`, "incompatible import type"],
    [`(import "a" "v" (global i64))`, "incompatible import type"],
    [`(import "a" "t" (table 11 funcref))`, "incompatible import type"],
    [`(import "a" "t" (table 10 19 funcref))`, "incompatible import type"],
    [`(import "a" "open" (table 10 30 funcref))`, "incompatible import type"],
    [`(import "a" "t" (memory 1))`, "incompatible import type"],
    [`(import "a" "m" (memory 1 7))`, "incompatible import type"],
    [`(import "a" "m" (memory 1 8 shared))`, "incompatible import type"],
  ])("do not link %s", (imported, message) => {
    add("a", EXPORTER);
    const bytes = assemble(`(module ${imported})`);
    let error: unknown;
    try {
      modules.add(bytes);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(CompileError);
    const { kind, offset, message: text } = error as CompileError;
    expect(kind).toBe("unlinkable");
    expect(text).toContain(message);
    // The offset is that of the exporter's name.
    expect(bytes.subarray(offset, offset + 2)).toEqual(Uint8Array.from([1, imported.charCodeAt(9)]));
  });

  it.each([
    `(import "a" "f" (func (param i32)))`,
    `(import "a" "g" (global i32))`,
    `(import "a" "v" (global (mut i64)))`,
    `(import "a" "t" (table 10 20 funcref))`,
    `(import "a" "t" (table 0 25 funcref))`,
    `(import "a" "open" (table 5 funcref))`,
    `(import "a" "m" (memory 0 8))`,
    `(import "a" "m" (memory 2))`,
  ])("link %s", (imported) => {
    add("a", EXPORTER);
    expect(() => add("b", `(module ${imported})`)).not.toThrow();
  });
});
