// Compiles kernel modules with asc, in-process, exactly as the image does, and instantiates them in Node on a fake CPU.
// What runs in these tests is the WebAssembly of the kernel itself.
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { FakeCpu } from "./fake-cpu.js";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** A compiled kernel module on its own fake CPU. `memory` is the hypervisor's linear memory. */
export interface KernelModule {
  exports: Record<string, CallableFunction> & { memory: WebAssembly.Memory };
  cpu: FakeCpu;
  memory: DataView;
}

const compiled = new Map<string, Promise<WebAssembly.Module>>();

async function compile(
  key: string,
  sources: Record<string, string>,
  entries: string[],
): Promise<WebAssembly.Module> {
  const outputs = new Map<string, Uint8Array | string>();
  const { error, stderr } = await asc.main(
    [
      ...entries,
      "kernel/lib/panic.ts",
      "--config",
      "asconfig.json",
      "--target",
      "kernel",
      "--outFile",
      "out.wasm",
      "--sourceMap",
      // Those assertions as well that the exit path of the image does without.
      "--use",
      "CHECKED=1",
    ],
    {
      readFile: async (name, base) =>
        sources[name] ?? readFile(join(root, base === "." ? "" : base, name), "utf8").catch(() => null),
      writeFile: (name, contents) => void outputs.set(name, contents),
      listFiles: () => [],
    },
  );
  const wasm = outputs.get("out.wasm");
  if (error !== null || !(wasm instanceof Uint8Array))
    throw new Error(`asc failed for ${key}:\n${stderr.toString()}`);
  return WebAssembly.compile(wasm as BufferSource);
}

/**
 * Loads kernel sources as one module.
 * @param entries paths from the project's root whose exports become callable, e.g. `kernel/devices/rtc.ts`.
 * @param glue optional AssemblyScript of the test itself (module `glue.ts` beside the root), for what exports cannot express.
 */
export async function loadKernel(entries: string[], glue?: string): Promise<KernelModule> {
  const key = `${entries.join(" ")}\0${glue ?? ""}`;
  const sources: Record<string, string> = glue === undefined ? {} : { "glue.ts": glue };
  const all = glue === undefined ? entries : [...entries, "glue.ts"];
  let module = compiled.get(key);
  if (module === undefined) compiled.set(key, (module = compile(key, sources, all)));
  const cpu = new FakeCpu();
  const instance = await WebAssembly.instantiate(await module, { intrinsics: cpu.imports() });
  const exports = instance.exports as KernelModule["exports"];
  cpu.attach(exports.memory);
  (exports._start as CallableFunction | undefined)?.();
  return { exports, cpu, memory: new DataView(exports.memory.buffer) };
}

/** Reads an AssemblyScript string (UTF-16, byte length at pointer - 4). */
export function readString(memory: DataView, pointer: number): string | null {
  if (pointer === 0) return null;
  const bytes = memory.getUint32(pointer - 4, true);
  let text = "";
  for (let at = 0; at < bytes; at += 2) text += String.fromCharCode(memory.getUint16(pointer + at, true));
  return text;
}
