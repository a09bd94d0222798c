// What a replay says when the kernel's code does something else than what was recorded.
import { SourceMap } from "../aot/sourcemap.ts";

/** The code did something else than in the recording. */
export class Divergence extends Error {
  /** Number of the exit whose handling it is. */
  exit = 0;

  constructor(
    readonly what: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`${what}: expected ${expected}, got ${actual}`);
  }
}

/** Turns places in the module into places in the sources. */
export class StackTranslator {
  private readonly map: SourceMap;

  constructor(map: string) {
    this.map = new SourceMap(map);
  }

  /** The WebAssembly frames of an error's stack, innermost first: `decode (kernel/svm/decode.ts:97)`. */
  frames(error: Error): string[] {
    const frames: string[] = [];
    for (const line of (error.stack ?? "").split("\n")) {
      const found = /^\s*at (?:(.*) \()?wasm:\/\/wasm\/.*:wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(line);
      if (found === null) continue;
      const position = this.map.find(Number.parseInt(found[2] as string, 16));
      const name = (found[1] ?? "").split("/").at(-1);
      frames.push(position === null ? `${name}` : `${name} (${position.file}:${position.line})`);
    }
    return frames;
  }
}

/** A number as reports show it. */
export function show(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
