// The functions of the sources (tools/aot/symtab), kept from one build to the next: only files that changed are parsed.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { type Extent, Scopes } from "../aot/symtab/scopes.ts";

/** By file name: of which text, and what is in it. */
type Known = Record<string, { digest: string; extents: Extent[] }>;

/** Brings the file `kept` up to date with source files, given by name and text; `version` is that of their parser. */
export async function updateScopes(
  kept: string,
  version: string,
  sources: ReadonlyMap<string, string>,
): Promise<void> {
  const known = readKnown(kept);
  const now: Known = {};
  for (const [file, text] of sources) {
    const digest = createHash("sha256").update(version).update(text).digest("hex");
    const same = known[file]?.digest === digest ? known[file] : null;
    // The parser is loaded on demand: it takes as long as all the rest.
    now[file] = same ?? { digest, extents: (await import("../aot/symtab/extents.ts")).extentsOf(file, text) };
  }
  writeFileSync(kept, JSON.stringify(now));
}

export function readScopes(kept: string): Scopes {
  const files = JSON.parse(readFileSync(kept, "utf8")) as Known;
  return new Scopes(new Map(Object.entries(files).map(([file, { extents }]) => [file, extents])));
}

function readKnown(kept: string): Known {
  try {
    return JSON.parse(readFileSync(kept, "utf8"));
  } catch {
    // Missing, or cut short by an interrupted build: all files are parsed.
    return {};
  }
}
