// The program with which VS Code's debugger reads DWARF of WebAssembly, asked as that debugger asks it.

import { fileURLToPath, pathToFileURL } from "node:url";
import { type IWasmWorker, spawn } from "@vscode/dwarf-debugging";

const MODULE = "module";

export interface SourceLine {
  path: string;
  line: number;
}

/** Offsets count from the start of the code section's contents. */
export class Symbols {
  private constructor(
    private readonly worker: IWasmWorker,
    /** Absolute paths of the source files. */
    readonly files: string[],
  ) {}

  static async of(wasm: Uint8Array): Promise<Symbols> {
    const nothing = () => Promise.reject(new Error("no code runs"));
    const worker = spawn({
      getWasmLinearMemory: nothing,
      getWasmLocal: nothing,
      getWasmGlobal: nothing,
      getWasmOp: nothing,
    });
    await worker.rpc.sendMessage("hello", [], false);
    const raw = { url: "wasm://wasm/kernel", code: Uint8Array.from(wasm).buffer };
    const files = await worker.rpc.sendMessage("addRawModule", MODULE, undefined, raw);
    if (!Array.isArray(files)) throw new Error(`symbols are missing: ${files.missingSymbolFiles}`);
    return new Symbols(
      worker,
      files.map((url) => fileURLToPath(url)),
    );
  }

  /** The place of the source, of the innermost frame or of one around it. */
  async lineAt(codeOffset: number, inlineFrameIndex = 0): Promise<SourceLine | undefined> {
    const location = { rawModuleId: MODULE, codeOffset, inlineFrameIndex };
    const [found] = await this.worker.rpc.sendMessage("rawLocationToSourceLocation", location);
    return found && { path: fileURLToPath(found.sourceFileURL), line: found.lineNumber + 1 };
  }

  /** Where the parts of the code of a line start. */
  async offsetsOf({ path, line }: SourceLine): Promise<number[]> {
    const ranges = await this.worker.rpc.sendMessage("sourceLocationToRawLocation", {
      rawModuleId: MODULE,
      sourceFileURL: pathToFileURL(path).href,
      lineNumber: line - 1,
      columnNumber: -1,
    });
    return ranges.map(({ startOffset }) => startOffset);
  }

  /** Lines that have code, in ascending order. */
  async linesOf(path: string): Promise<number[]> {
    const lines = await this.worker.rpc.sendMessage("getMappedLines", MODULE, pathToFileURL(path).href);
    return (lines ?? []).map((line) => line + 1).sort((a, b) => a - b);
  }

  /** Names of the functions at a place, innermost first. */
  async functionsAt(codeOffset: number): Promise<string[]> {
    const location = { rawModuleId: MODULE, codeOffset, inlineFrameIndex: 0 };
    const info = await this.worker.rpc.sendMessage("getFunctionInfo", location);
    return "frames" in info ? info.frames.map(({ name }) => name) : [];
  }

  dispose(): Promise<void> {
    return this.worker.dispose();
  }
}
