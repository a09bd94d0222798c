// The sources of a recorded module: those that its source map carries, against those of this checkout.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { sourcesOf } from "../aot/sourcemap.ts";
import { BUILD, ROOT } from "../lib/paths.ts";

/** Characters of a hash that tell folders apart. */
const HASH_CHARACTERS = 12;

/** Names of the kernel's source files that are not in this checkout as they were recorded. */
export function changedSources(map: string): string[] {
  return [...sourcesOf(map)]
    .filter(([name]) => name.startsWith("kernel/"))
    .filter(([name, text]) => {
      // Generated sources have no file.
      return text !== "" && existsSync(join(ROOT, name)) && !isInCheckout(name, text);
    })
    .map(([name]) => name);
}

function isInCheckout(name: string, text: string): boolean {
  const path = join(ROOT, name);
  return existsSync(path) && readFileSync(path, "utf8") === text;
}

/** The map with its sources placed in this checkout, so that debuggers set breakpoints in its files. */
export function placeSources(map: string): string {
  return JSON.stringify({ ...JSON.parse(map), sourceRoot: `${pathToFileURL(ROOT)}/` });
}

export interface SourceFiles {
  /** Absolute path of a file with this source's text. */
  pathOf: (name: string) => string;
  /** The folder of those that are not in this checkout as they were recorded, and how many. */
  folder: string;
  written: number;
}

/** Sees to it that each source is a file on disk: in this checkout, or else in a folder of `build`, to which it is written. */
export function sourceFiles(map: string, parent = join(BUILD, "replay")): SourceFiles {
  const sources = sourcesOf(map);
  const hash = createHash("sha256")
    .update(JSON.stringify([...sources]))
    .digest("hex");
  const folder = join(parent, hash.slice(0, HASH_CHARACTERS));
  const outside = [...sources].filter(([name, text]) => !isInCheckout(name, text));
  for (const [name, text] of outside) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const elsewhere = new Set(outside.map(([name]) => name));
  return {
    pathOf: (name) => join(elsewhere.has(name) ? folder : ROOT, name),
    folder,
    written: outside.length,
  };
}
