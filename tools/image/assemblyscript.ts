// The AssemblyScript compiler.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
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

/** What the process of asc.mjs is asked: a command line of asc, and what files hold that it does not find below `root`. */
export interface AscRequest {
  root: string;
  args: string[];
  virtual: Record<string, string>;
}

export interface AscReply {
  failed: boolean;
  /** What asc said. */
  words: string;
  /** Contents of the files that it wrote. */
  outputs: Record<string, string | Uint8Array>;
}

const PROCESS = fileURLToPath(new URL("asc.mjs", import.meta.url));

/**
 * Compiles kernel sources with the options of asconfig.json's target "kernel".
 * @throws UserError with asc's own words when the sources have errors.
 */
export async function compileAssemblyScript(options: AscOptions): Promise<CompiledKernel> {
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
  const args = [...options.entries, ...target, ...defines];
  const { failed, words, outputs } = await ask({ root: ROOT, args, virtual: options.virtual ?? {} });
  const wasm = outputs["kernel.wasm"];
  const map = outputs["kernel.wasm.map"];
  if (failed || !(wasm instanceof Uint8Array) || typeof map !== "string") {
    throw new UserError(`asc refused ${options.entries.join(", ")}:\n${words.trim()}`);
  }
  return { wasm, map };
}

function ask(request: AscRequest): Promise<AscReply> {
  return new Promise((resolve, reject) => {
    // Without this process' arguments for Node, which may name loaders.
    const child = fork(PROCESS, { execArgv: [], serialization: "advanced" });
    let reply: AscReply | null = null;
    child.once("message", (message) => {
      reply = message as AscReply;
    });
    child.once("error", reject);
    child.once("close", (status, signal) => {
      if (reply) resolve(reply);
      else reject(new UserError(`asc ended without a result (${signal ?? `status ${status}`}).`));
    });
    child.send(request);
  });
}
