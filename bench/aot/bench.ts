// Speed of generated code against wasm2c + gcc -O2 on the same modules, interleaved in one run:
//   npm run bench:aot [-- DIRECTORY of further modules]
// A module is an AssemblyScript file that exports run(n: i32): u64. Both sides have memory without checks of bounds: ours at
// address 0, as in the kernel, that of wasm2c behind a pointer of its instance. All functions count as hot.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { NativeModule } from "../../tools/aot/linux/process.ts";
import { runScript } from "../../tools/lib/script.ts";

const MODULES = new URL("modules/", import.meta.url).pathname;
const ASC = new URL("../../node_modules/assemblyscript/bin/asc.js", import.meta.url).pathname;
const RUNTIME = "/usr/share/wabt/wasm2c";
const ROUNDS = 9;
/** Where the kernel's layout begins on Linux (tools/aot/linux/harness.ts). */
const MEMORY_BASE = "65536";
/** Work per measurement: long against process start and timer resolution. */
const TARGET_NS = 60e6;

/** Times one call of run(n) and prints "result nanoseconds". */
const DRIVER = `
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "module.h"
u32 wasm_rt_dummy;
struct Z_env_instance_t { int unused; };
void Z_envZ_abort(struct Z_env_instance_t* e, u32 a, u32 b, u32 c, u32 d) { abort(); }
static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}
int main(int argc, char** argv) {
  static Z_module_instance_t instance;
  wasm_rt_init();
  Z_module_init_module();
  INSTANTIATE;
  long start = now();
  u64 result = Z_moduleZ_run(&instance, atoi(argv[1]));
  long end = now();
  printf("%llu %ld\\n", (unsigned long long)result, end - start);
}
`;

interface Measured {
  result: bigint;
  ns: number;
}

interface Contender {
  run(n: number): Measured;
  bytes: number;
  buildMs: number;
}

function viaGcc(wasm: string, directory: string, needsAbort: boolean): Contender {
  const start = performance.now();
  execFileSync("wasm2c", ["-n", "module", wasm, "-o", join(directory, "module.c")]);
  const instantiate = `Z_module_instantiate(&instance${needsAbort ? ", NULL" : ""})`;
  writeFileSync(join(directory, "driver.c"), DRIVER.replace("INSTANTIATE", instantiate));
  const executable = join(directory, "gcc");
  const sources = [join(directory, "driver.c"), join(directory, "module.c"), join(RUNTIME, "wasm-rt-impl.c")];
  execFileSync("gcc", ["-O2", "-w", "-I", directory, "-I", RUNTIME, ...sources, "-o", executable, "-lm"]);
  const buildMs = performance.now() - start;
  execFileSync("gcc", [
    "-O2",
    "-w",
    "-c",
    "-I",
    directory,
    "-I",
    RUNTIME,
    sources[1]!,
    "-o",
    join(directory, "module.o"),
  ]);
  const size = execFileSync("size", [join(directory, "module.o")], { encoding: "utf8" });
  return {
    buildMs,
    bytes: Number(size.split("\n")[1]!.trim().split(/\s+/)[0]),
    run: (n) => {
      const [result, ns] = execFileSync(executable, [String(n)], { encoding: "utf8" }).split(" ");
      return { result: BigInt(result!), ns: Number(ns) };
    },
  };
}

function viaAot(wasm: string): Contender & { close(): void } {
  const start = performance.now();
  const native = new NativeModule(readFileSync(wasm), { asInKernel: true, isHot: () => true });
  return {
    buildMs: performance.now() - start,
    bytes: native.codeBytes,
    close: () => native.close(),
    run: (n) => {
      const outcome = native.call("run", [BigInt(n)]);
      if (outcome.kind === "trap") throw new Error(`trap: ${outcome.trap}`);
      return { result: outcome.results[0]!, ns: outcome.elapsedNs };
    },
  };
}

/** How many rounds take about the time of a measurement. The first estimate is of cold code. */
function roundsFor(contender: Contender): number {
  let n = 10;
  for (let i = 0; i < 2; i++) n = Math.max(1, Math.round((n * TARGET_NS) / Math.max(contender.run(n).ns, 1)));
  return n;
}

interface Row {
  name: string;
  ours: number;
  gcc: number;
  ratio: number;
  bytes: number;
  gccBytes: number;
  buildMs: number;
  gccBuildMs: number;
}

function measure(source: string): Row {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-bench-"));
  try {
    const wasm = join(directory, "module.wasm");
    const flags = [
      "-O3",
      "--runtime",
      "stub",
      "--memoryBase",
      MEMORY_BASE,
      "--initialMemory",
      "64",
      "-o",
      wasm,
    ];
    execFileSync(process.execPath, [ASC, source, ...flags], {
      cwd: directory,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const needsAbort = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(wasm))).length > 0;
    const gcc = viaGcc(wasm, directory, needsAbort);
    const aot = viaAot(wasm);
    const n = roundsFor(aot);
    let ours = Number.POSITIVE_INFINITY;
    let theirs = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      const a = aot.run(n);
      const b = gcc.run(n);
      if (a.result !== b.result) throw new Error(`${source}: results differ: ${a.result}, gcc ${b.result}`);
      ours = Math.min(ours, a.ns);
      theirs = Math.min(theirs, b.ns);
    }
    aot.close();
    return {
      name: basename(source, ".ts"),
      ours,
      gcc: theirs,
      ratio: ours / theirs,
      bytes: aot.bytes,
      gccBytes: gcc.bytes,
      buildMs: aot.buildMs,
      gccBuildMs: gcc.buildMs,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function main(): void {
  const only = process.argv[3];
  const directories = [MODULES, ...process.argv.slice(2, 3)];
  const sources = directories.flatMap((d) =>
    readdirSync(d)
      .filter((f) => f.endsWith(".ts"))
      .map((f) => join(d, f)),
  );
  const rows = sources.filter((s) => !only || s.includes(only)).map(measure);
  console.log("module      ours ms   gcc ms   ratio   bytes  gcc bytes   build ms  gcc build ms");
  for (const r of rows) {
    const columns = [
      (r.ours / 1e6).toFixed(1),
      (r.gcc / 1e6).toFixed(1),
      r.ratio.toFixed(3),
      r.bytes,
      r.gccBytes,
      r.buildMs.toFixed(0),
      r.gccBuildMs.toFixed(0),
    ];
    const widths = [9, 8, 7, 7, 10, 10, 13];
    console.log(r.name.padEnd(10) + columns.map((c, i) => String(c).padStart(widths[i]!)).join(" "));
  }
  const mean = Math.exp(rows.reduce((sum, r) => sum + Math.log(r.ratio), 0) / rows.length);
  console.log(`geometric mean of time against wasm2c + gcc -O2: ${mean.toFixed(3)}`);
}

await runScript("bench:aot", main);
