// The sources of a recorded module: those that its source map carries, against those of this checkout.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sourcesOf } from "../aot/sourcemap.ts";
import { ROOT } from "../lib/paths.ts";

/** Names of the kernel's source files that are not in this checkout as they were recorded. */
export function changedSources(map: string): string[] {
  return [...sourcesOf(map)]
    .filter(([name]) => name.startsWith("kernel/"))
    .filter(([name, text]) => {
      const path = join(ROOT, name);
      // Generated sources have no file.
      return text !== "" && existsSync(path) && readFileSync(path, "utf8") !== text;
    })
    .map(([name]) => name);
}

/** The map with its sources placed in this checkout, so that debuggers set breakpoints in its files. */
export function placeSources(map: string): string {
  return JSON.stringify({ ...JSON.parse(map), sourceRoot: `${pathToFileURL(ROOT)}/` });
}
