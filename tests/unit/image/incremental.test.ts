// A build after a change of one kernel file: only what depends on it is compiled, and the image is that of a clean build.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compile } from "../../../tools/aot/compile.ts";
import type { CodeStore, StoredCode } from "../../../tools/aot/reuse.ts";
import { compileAssemblyScript } from "../../../tools/image/assemblyscript.ts";
import { buildImage } from "../../../tools/image/build.ts";
import { isHot } from "../../../tools/image/hot.ts";
import { ROOT } from "../../../tools/lib/paths.ts";

const TIMEOUT_MS = 300_000;
const CHANGED = "kernel/exits/cpuid.ts";

test(
  "a handler that changes, and lines that move",
  async () => {
    const image = await buildImage();
    const options = { target: "kernel", isHot } as const;
    const store: Map<string, StoredCode> & CodeStore = new Map();
    const before = compile(readFileSync(image.wasm), {
      ...options,
      map: readFileSync(image.map, "utf8"),
      store,
    });
    const known = store.size;

    const source = readFileSync(join(ROOT, CHANGED), "utf8");
    const edited = `// One more line.\n${source.replace("vcpu.rdx = slot.edx;", "vcpu.rdx = slot.edx ^ 1;")}`;
    const entries = ["kernel/main.ts", "kernel/lib/panic.ts"];
    const { wasm, map } = await compileAssemblyScript({ entries, virtual: { [CHANGED]: edited } });
    const after = compile(wasm, { ...options, map, store });
    const clean = compile(wasm, { ...options, map });

    expect(store.size - known).toBeGreaterThan(0);
    expect(store.size - known).toBeLessThan(before.functions.length / 50);
    // All that the later steps read of the compiler's result.
    expect(after.asm === clean.asm).toBe(true);
    expect(after.functions).toEqual(clean.functions);
    expect(after.asm === before.asm).toBe(false);
  },
  TIMEOUT_MS,
);
