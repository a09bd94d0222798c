// The AssemblyScript compiler, in this process.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { ROOT } from "../lib/paths.ts";
import { UserError } from "../lib/user-error.ts";

export interface CompiledKernel {
  wasm: Uint8Array;
  /** Source map (JSON text). */
  map: string;
}

export interface AscOptions {
  /** Source files from the project's root; exports of these are exports of the module. */
  entries: string[];
  /** Integer constants that the sources may name as globals. */
  defines?: Record<string, string>;
  /** Sources that exist only in memory, by file name. */
  virtual?: Record<string, string>;
}

/**
 * Compiles kernel sources with the options of asconfig.json's target "kernel".
 * @throws UserError with asc's own words when the sources have errors.
 */
export async function compileAssemblyScript(options: AscOptions): Promise<CompiledKernel> {
  const outputs = new Map<string, string | Uint8Array>();
  const defines = Object.entries(options.defines ?? {}).flatMap(([name, value]) => [
    "--use",
    `${name}=${value}`,
  ]);
  const target = [
    "--config",
    "asconfig.json",
    "--target",
    "kernel",
    "--outFile",
    "kernel.wasm",
    "--sourceMap",
  ];
  const { error, stderr } = await asc.main([...options.entries, ...target, ...defines], {
    readFile: (name, base) => readSource(options.virtual?.[name], join(ROOT, base === "." ? "" : base, name)),
    writeFile: (name, contents) => void outputs.set(name, contents),
    listFiles: () => [],
  });
  const wasm = outputs.get("kernel.wasm");
  const map = outputs.get("kernel.wasm.map");
  if (error !== null || !(wasm instanceof Uint8Array) || typeof map !== "string") {
    throw new UserError(`asc refused ${options.entries.join(", ")}:\n${stderr.toString().trim()}`);
  }
  return { wasm, map };
}

/** asc asks for many places before it finds a file: absence is an answer. */
async function readSource(virtual: string | undefined, path: string): Promise<string | null> {
  return virtual ?? readFile(path, "utf8").catch(() => null);
}
