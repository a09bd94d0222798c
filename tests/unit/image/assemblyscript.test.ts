// AssemblyScript's compiler, in its own process.
import { expect, test } from "vitest";
import { compileAssemblyScript } from "../../../tools/image/assemblyscript.ts";
import { UserError } from "../../../tools/lib/user-error.ts";

const NAME = "kernel/only-in-memory.ts";
/** Where asconfig.json says that failed assertions go. */
const PANIC = "kernel/lib/panic.ts";
const ABORT = "export function abort(_m: usize, _f: usize, _l: u32, _c: u32): void {\n  unreachable();\n}\n";
const compile = (source: string, defines: Record<string, string> = {}) =>
  compileAssemblyScript({ entries: [NAME, PANIC], virtual: { [NAME]: source, [PANIC]: ABORT }, defines });

test("sources that exist only in memory, with constants from outside", async () => {
  const source = "export function answer(): i32 { return <i32>ANSWER; }\n";
  const { wasm, map } = await compile(source, { ANSWER: "42" });
  const module = new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
  const { answer } = new WebAssembly.Instance(module, { env: { abort() {} } }).exports;
  expect((answer as () => number)()).toBe(42);
  expect(JSON.parse(map).sources).toContain(NAME);
});

test("a mistake in the sources is told in asc's words, with its place", async () => {
  const attempt = compile("export function answer(): i32 {\n  return missing;\n}\n");
  await expect(attempt).rejects.toThrow(UserError);
  await expect(attempt).rejects.toThrow(/asc refused .*only-in-memory.ts[\s\S]*'missing'[\s\S]*\(2,10\)/);
});
