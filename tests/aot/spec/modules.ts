import { execFileSync } from "node:child_process";
import type { CompileError } from "../../../tools/aot/errors.ts";
import { exportsOf, type Linkage, linkImports } from "../../../tools/aot/linkage.ts";
import { type Instance, NativeProcess } from "../../../tools/aot/linux/process.ts";
import { decode } from "../../../tools/aot/wasm/decode.ts";
import type { ValueType } from "../../../tools/aot/wasm/opcodes.ts";
import { type Extern, type FuncType, typeKey } from "../../../tools/aot/wasm/types.ts";

const SPECTEST = new URL("spectest.wat", import.meta.url).pathname;

/** What modules of a script export, and why it cannot be used if the module was refused. */
export interface Exports {
  externs: Map<string, Extern>;
  refused: string;
}

/** Why a module was refused, in the words by which skipped commands are counted. */
export function refusal(error: CompileError): string {
  if (/floating point/.test(error.message)) return "floating point";
  if (/references|reference types/.test(error.message)) return "reference types";
  if (/SIMD/.test(error.message)) return "SIMD";
  return error.message;
}

/** Exports of the suite's host module that are of floating-point types: modules that import them are refused. */
function floatingExports(): Map<string, Extern> {
  const func = (...params: ValueType[]): Extern => ({
    kind: "func",
    type: { params, results: [] },
    symbol: "",
  });
  const global = (type: ValueType): Extern => ({
    kind: "global",
    type,
    mutable: false,
    value: null,
    symbol: "",
  });
  return new Map([
    ["print_f32", func("f32")],
    ["print_f64", func("f64")],
    ["print_i32_f32", func("i32", "f32")],
    ["print_f64_f64", func("f64", "f64")],
    ["global_f32", global("f32")],
    ["global_f64", global("f64")],
  ]);
}

/** The modules of one script, in one process. */
export class ScriptModules implements Linkage {
  readonly process = new NativeProcess();
  private readonly registered = new Map<string, Exports>();
  private readonly floating = floatingExports();
  private readonly types = new Map<string, number>();

  register(name: string, exports: Exports): void {
    this.registered.set(name, exports);
  }

  find(module: string, name: string): Extern | undefined {
    if (module === "spectest" && !this.registered.has(module)) this.addSpectest();
    const found = this.registered.get(module)?.externs.get(name);
    return found ?? (module === "spectest" ? this.floating.get(name) : undefined);
  }

  refusal(module: string, name: string): string {
    if (module === "spectest" && this.floating.has(name)) return "floating point";
    return this.registered.get(module)?.refused ?? "";
  }

  typeNumber(type: FuncType): number {
    const key = typeKey(type);
    if (!this.types.has(key)) this.types.set(key, this.types.size + 1);
    return this.types.get(key)!;
  }

  private addSpectest(): void {
    const wasm = execFileSync("wat2wasm", [SPECTEST, "--output=-"]);
    this.registered.set("spectest", this.exportsOf(this.add(wasm)));
  }

  /** Compiles a module into the process. */
  add(bytes: Uint8Array): Instance {
    return this.process.add(bytes, { verify: true, linkage: this });
  }

  exportsOf({ module, prefix }: Instance): Exports {
    return { externs: exportsOf(module, prefix), refused: "" };
  }

  /** The exports of a module that was refused, as far as others can be checked against them. */
  exportsOfRefused(bytes: Uint8Array, error: CompileError): Exports {
    const module = decode(bytes);
    linkImports(module, {
      find: (from, name) => this.find(from, name),
      typeNumber: () => 0,
      refusal: () => "",
    });
    return { externs: exportsOf(module, ""), refused: refusal(error) };
  }
}
