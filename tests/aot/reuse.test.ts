// Functions that did not change are not compiled again, and what comes out is as if they had been.
import { expect, test } from "vitest";
import { type CompileOptions, type CompileResult, compile } from "../../tools/aot/compile.ts";
import type { CodeStore, StoredCode } from "../../tools/aot/reuse.ts";
import { assemble } from "./wat.ts";

/** Too large to be inlined where speed does not count. */
const LARGE = `
  (func $large (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 9))
      (then (i32.div_u (i32.const 1000) (call $leaf (local.get 0))))
      (else (i32.load (i32.add (local.get 0) (global.get $base))))))`;
/** A jump table, whose symbol has the function's number. */
const TABLE = `
  (func $table (export "table") (param i32) (result i32)
    (block $a (block $b (block $c (block $d (block $e
      (br_table $a $b $c $d $e (local.get 0)))
      (return (call $large (i32.const 1))))
      (return (i32.const 22)))
      (return (global.get $other)))
      (return (i32.const 44)))
    (i32.const 55))`;
const INDIRECT = `
  (func $indirect (export "indirect") (param i32) (result i32)
    (global.set $other (local.get 0))
    (call_indirect (type $unary) (i32.const 7) (local.get 0)))`;

const leaf = (constant: number) =>
  `(func $leaf (param i32) (result i32) (i32.mul (local.get 0) (i32.const ${constant})))`;

function moduleOf(functions: string[], globals = "", elements = 2): Uint8Array {
  return assemble(`(module
    (type $unary (func (param i32) (result i32)))
    (memory 1 1)
    (table ${elements} ${elements} funcref)
    (elem (i32.const 0) $large $leaf)
    ${globals}
    (global $base (mut i32) (i32.const 4096))
    (global $other (mut i32) (i32.const 7))
    ${functions.join("\n")})`);
}

const PLAIN = [leaf(3), LARGE, TABLE, INDIRECT];

class Store extends Map<string, StoredCode> implements CodeStore {}

/** Compiles, with the names of the functions that went through the passes. */
function made(store: Store, bytes: Uint8Array, options: CompileOptions = {}): [string[], CompileResult] {
  const indices: number[] = [];
  const spy: CodeStore = {
    get: (key) => store.get(key),
    set: (key, code) => {
      indices.push(code.functions[0]!);
      store.set(key, code);
    },
  };
  const result = compile(bytes, { ...options, store: spy });
  return [indices.map((index) => result.module.funcs[index]!.name).sort(), result];
}

function expectClean(result: CompileResult, bytes: Uint8Array, options: CompileOptions = {}): void {
  const clean = compile(bytes, options);
  expect(result.asm).toBe(clean.asm);
  expect(result.functions).toEqual(clean.functions);
}

function filled(): Store {
  const store = new Store();
  expect(made(store, moduleOf(PLAIN))[0]).toEqual(["indirect", "large", "leaf", "table"]);
  return store;
}

test("nothing is compiled twice", () => {
  const [names, result] = made(filled(), moduleOf(PLAIN));
  expect(names).toEqual([]);
  expectClean(result, moduleOf(PLAIN));
});

test("what a changed function was inlined into is compiled again with it, and nothing else", () => {
  const changed = moduleOf([leaf(5), LARGE, TABLE, INDIRECT]);
  const [names, result] = made(filled(), changed);
  expect(names).toEqual(["large", "leaf"]);
  expectClean(result, changed);
});

test("numbers of functions and variables may shift, and places in the module", () => {
  const more = `(func $new (export "new") (param i32) (result i32)
    (i32.add (call $table (local.get 0)) (global.get $first)))`;
  const changed = moduleOf([more, INDIRECT, ...PLAIN.slice(0, 3)], "(global $first (mut i32) (i32.const 1))");
  const [names, result] = made(filled(), changed);
  expect(names).toEqual(["new"]);
  expect(result.asm).not.toBe(compile(moduleOf(PLAIN)).asm);
  expectClean(result, changed);
});

test("another call of a function of the same type is the same code with another name", () => {
  const other = "(func $other_leaf (param i32) (result i32) (unreachable))";
  const calls = (name: string) => `(func $caller (export "caller") (param i32) (result i32)
    (i32.add (call $${name} (local.get 0)) (i32.const 1)))`;
  const store = new Store();
  made(store, moduleOf([...PLAIN, calls("large")]));
  const changed = moduleOf([...PLAIN, calls("table")]);
  const [names, result] = made(store, changed);
  expect(names).toEqual([]);
  expectClean(result, changed);
  const trapping = moduleOf([...PLAIN, other, calls("other_leaf")]);
  const [later, second] = made(store, trapping);
  expect(later).toContain("caller");
  expectClean(second, trapping);
});

test.each<[string, CompileOptions]>([
  ["for another target", { target: "linux" }],
  ["with fewer registers", { targetOverrides: { registers: 6 } }],
  ["for speed", { isHot: () => true }],
])("what was compiled %s is not taken", (_, options) => {
  const store = filled();
  const [names, result] = made(store, moduleOf(PLAIN), options);
  expect(names).toContain("table");
  expectClean(result, moduleOf(PLAIN), options);
});

test("a call through a table checks the size that it has now", () => {
  const grown = moduleOf(PLAIN, "", 3);
  const [names, result] = made(filled(), grown);
  expect(names).toContain("indirect");
  expectClean(result, grown);
});
