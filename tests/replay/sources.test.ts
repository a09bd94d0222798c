// Where debuggers find the sources of a recording.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../tools/lib/paths.ts";
import { changedSources, sourceFiles } from "../../tools/replay/sources.ts";
import { temporary } from "../trace/sample.ts";

const SAME = "kernel/run.ts";
const CHANGED = "kernel/exits/cpuid.ts";
const LIBRARY = "~lib/string.ts";

test("sources are the checkout's files where these are as they were recorded, else files of their own", () => {
  const texts = new Map([
    [SAME, readFileSync(join(ROOT, SAME), "utf8")],
    [CHANGED, "// as it was recorded\n"],
    [LIBRARY, "// of the compiler\n"],
  ]);
  const map = JSON.stringify({
    sources: [...texts.keys()],
    sourcesContent: [...texts.values()],
    mappings: "",
  });
  const parent = temporary();
  const { pathOf, folder, written } = sourceFiles(map, parent);
  expect(pathOf(SAME)).toBe(join(ROOT, SAME));
  expect(written).toBe(2);
  for (const name of [CHANGED, LIBRARY]) expect(pathOf(name)).toBe(join(folder, name));
  for (const [name, text] of texts) expect(readFileSync(pathOf(name), "utf8")).toBe(text);
  expect(changedSources(map)).toEqual([CHANGED]);
  // Another recording's files do not take the place of these.
  const other = sourceFiles(map.replace("as it was", "as it will be"), parent);
  expect(other.folder).not.toBe(folder);
  expect(readFileSync(pathOf(CHANGED), "utf8")).toBe(texts.get(CHANGED));
});
