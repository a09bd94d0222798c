import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import binaryen from "binaryen";
import { describe, expect, it } from "vitest";
import { compile } from "../../tools/aot/compile.ts";

// Every golden/*.wat is compiled and compared with the .txt beside it. The first line says what to show:
//   ;; asm [linux]        the assembly of each function
//   ;; dump PASS,...      each function after these passes
// After a change that is meant, `npm run bless:aot` rewrites the expected texts; review them with git diff.

const DIRECTORY = new URL("golden/", import.meta.url).pathname;
// Names of functions reach the compiler.
binaryen.setDebugInfo(true);

const BLESS = process.env.BLESS === "1";

function assemble(wat: string): Uint8Array {
  const module = binaryen.parseText(wat);
  module.setFeatures(binaryen.Features.All);
  try {
    return module.emitBinary();
  } finally {
    module.dispose();
  }
}

/** The functions' text without what only concerns the assembler and the symbol table. */
function functionsOf(asm: string): string {
  const start = asm.indexOf("tv_text_start:\n") + "tv_text_start:\n".length;
  const text = asm.slice(start, asm.indexOf("tv_text_end:"));
  const lines = text.split("\n").filter((l) => !/^(\.L\d+|\.end|tv_function_\d+|tv_[\w$]+):$|^%line/.test(l));
  return `${lines.join("\n").trim()}\n`;
}

function show(wat: string): string {
  const [, kind, argument] = /^;; (\w+) ?(.*)/.exec(wat)!;
  const bytes = assemble(wat);
  if (kind === "asm")
    return functionsOf(
      compile(bytes, {
        target: argument === "linux" ? "linux" : "kernel",
        verify: true,
        inline: false,
      }).asm,
    );
  const parts: string[] = [];
  compile(bytes, {
    verify: true,
    isHot: (name) => name.startsWith("hot"),
    dump: argument!.split(","),
    onDump: (pass, text) => parts.push(`--- ${pass}\n${text}`),
  });
  return parts.join("");
}

describe("golden texts", () => {
  for (const file of readdirSync(DIRECTORY)
    .filter((f) => f.endsWith(".wat"))
    .sort()) {
    it(file, () => {
      const actual = show(readFileSync(join(DIRECTORY, file), "utf8"));
      const expectedFile = join(DIRECTORY, file.replace(/\.wat$/, ".txt"));
      if (BLESS) writeFileSync(expectedFile, actual);
      expect(actual).toBe(readFileSync(expectedFile, "utf8"));
    });
  }

  it("are the same on every run", () => {
    for (const file of readdirSync(DIRECTORY).filter((f) => f.endsWith(".wat"))) {
      const wat = readFileSync(join(DIRECTORY, file), "utf8");
      expect(show(wat)).toBe(show(wat));
    }
  });
});
