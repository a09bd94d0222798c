// Speed of generated code against wasm2c + gcc -O2 on the same modules and against g++ -O2 on the same sources (cplusplus.ts),
// interleaved in one run:
//   npm run bench:aot [-- DIRECTORY of further modules [PART of a name]]
// A module is an AssemblyScript file that exports run(n: i32): u64. No side checks bounds of memory: ours is at address 0, as in
// the kernel, so is that of g++; that of wasm2c is behind a pointer of its instance. All functions count as hot.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { NativeModule } from "../../tools/aot/linux/process.ts";
import { runScript } from "../../tools/lib/script.ts";
import { toCPlusPlus } from "./cplusplus.ts";

const MODULES = new URL("modules/", import.meta.url).pathname;
const ASC = new URL("../../node_modules/assemblyscript/bin/asc.js", import.meta.url).pathname;
const RUNTIME = "/usr/share/wabt/wasm2c";
const ROUNDS = 9;
const MEMORY_PAGES = 64;
const MEMORY_BYTES = MEMORY_PAGES * 65_536;
/** Above the memory. */
const CPLUSPLUS_TEXT = "0x10000000";
/** Where the kernel's layout begins on Linux (tools/aot/linux/harness.ts). */
const MEMORY_BASE = "65536";
/** Work per measurement: long against process start and timer resolution. */
const TARGET_NS = 60e6;

/** Times one call of run(n) and prints "result nanoseconds". */
const DRIVER = `
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
PARTS
static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}
int main(int argc, char** argv) {
  START;
  long start = now();
  unsigned long long result = RUN(atoi(argv[1]));
  long end = now();
  printf("%llu %ld\\n", result, end - start);
}
`;

function driver(parts: string, start: string, run: string): string {
  return DRIVER.replace("PARTS", parts).replace("START", start).replace("RUN(", run);
}

const OF_WASM2C = `
#include "module.h"
u32 wasm_rt_dummy;
struct Z_env_instance_t { int unused; };
void Z_envZ_abort(struct Z_env_instance_t* e, u32 a, u32 b, u32 c, u32 d) { abort(); }
static Z_module_instance_t instance;
`;

const OF_CPLUSPLUS = `
#include <sys/mman.h>
unsigned long long run(int n);
static void map(void) {
  void* at = (void*)${MEMORY_BASE}UL;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(at, ${MEMORY_BYTES}UL - ${MEMORY_BASE}UL, PROT_READ | PROT_WRITE, flags, -1, 0) != at) abort();
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

/** What an executable measures, one call of it for each measurement. */
function contender(executable: string, object: string, buildMs: number): Contender {
  const size = execFileSync("size", [object], { encoding: "utf8" });
  return {
    buildMs,
    bytes: Number(size.split("\n")[1]!.trim().split(/\s+/)[0]),
    run: (n) => {
      const [result, ns] = execFileSync(executable, [String(n)], { encoding: "utf8" }).split(" ");
      return { result: BigInt(result!), ns: Number(ns) };
    },
  };
}

function viaWasm2c(wasm: string, directory: string, needsAbort: boolean): Contender {
  const start = performance.now();
  const path = (name: string) => join(directory, name);
  execFileSync("wasm2c", ["-n", "module", wasm, "-o", path("module.c")]);
  const instantiate = `Z_module_instantiate(&instance${needsAbort ? ", NULL" : ""})`;
  const begin = `wasm_rt_init(); Z_module_init_module(); ${instantiate}`;
  writeFileSync(path("driver.c"), driver(OF_WASM2C, begin, "Z_moduleZ_run(&instance, "));
  const flags = ["-O2", "-w", "-I", directory, "-I", RUNTIME];
  execFileSync("gcc", [...flags, "-c", path("module.c"), "-o", path("module.o")]);
  const others = [path("driver.c"), join(RUNTIME, "wasm-rt-impl.c")];
  execFileSync("gcc", [...flags, ...others, path("module.o"), "-o", path("gcc"), "-lm"]);
  return contender(path("gcc"), path("module.o"), performance.now() - start);
}

function viaCPlusPlus(source: string, directory: string): Contender {
  const start = performance.now();
  const path = (name: string) => join(directory, name);
  writeFileSync(path("native.cc"), toCPlusPlus(readFileSync(source, "utf8")));
  writeFileSync(path("native-driver.c"), driver(OF_CPLUSPLUS, "map()", "run("));
  // Sums wrap around, as in AssemblyScript; the rest is what any program gets.
  const flags = ["-O2", "-w", "-fwrapv", "-fno-pie"];
  execFileSync("g++", [...flags, "-c", path("native.cc"), "-o", path("native.o")]);
  const link = ["-no-pie", `-Wl,-Ttext-segment=${CPLUSPLUS_TEXT}`];
  execFileSync("gcc", [...flags, ...link, path("native-driver.c"), path("native.o"), "-o", path("native")]);
  return contender(path("native"), path("native.o"), performance.now() - start);
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
  ours: Contender;
  /** Least time of each contender, in nanoseconds: ours, wasm2c, g++. */
  times: [ours: number, wasm2c: number, native: number];
  wasm2c: Contender;
  native: Contender;
}

function measure(source: string): Row {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-bench-"));
  try {
    const wasm = join(directory, "module.wasm");
    const memory = ["--memoryBase", MEMORY_BASE, "--initialMemory", String(MEMORY_PAGES)];
    execFileSync(process.execPath, [ASC, source, "-O3", "--runtime", "stub", ...memory, "-o", wasm], {
      cwd: directory,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const needsAbort = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(wasm))).length > 0;
    const wasm2c = viaWasm2c(wasm, directory, needsAbort);
    const native = viaCPlusPlus(source, directory);
    const ours = viaAot(wasm);
    const n = roundsFor(ours);
    const times: Row["times"] = [
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ];
    for (let round = 0; round < ROUNDS; round++) {
      const measured = [ours, wasm2c, native].map((contender) => contender.run(n));
      const results = new Set(measured.map(({ result }) => result));
      if (results.size > 1) throw new Error(`${source}: results differ: ${[...results].join(", ")}`);
      measured.forEach(({ ns }, i) => {
        times[i] = Math.min(times[i]!, ns);
      });
    }
    ours.close();
    return { name: basename(source, ".ts"), times, ours, wasm2c, native };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function geometricMean(values: number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const COLUMNS = ["ours ms", "/ wasm2c", "/ g++", "bytes", "wasm2c", "g++", "build ms", "wasm2c", "g++"];

function main(): void {
  const only = process.argv[3];
  const directories = [MODULES, ...process.argv.slice(2, 3)];
  const sources = directories.flatMap((d) =>
    readdirSync(d)
      .filter((f) => f.endsWith(".ts"))
      .map((f) => join(d, f)),
  );
  const rows = sources.filter((s) => !only || s.includes(only)).map(measure);
  const print = (name: string, columns: string[]) =>
    console.log(name.padEnd(10) + columns.map((c) => c.padStart(10)).join(""));
  print("module", COLUMNS);
  for (const { name, times, ours, wasm2c, native } of rows) {
    const all = [ours, wasm2c, native];
    const ratios = [times[0] / times[1], times[0] / times[2]].map((ratio) => ratio.toFixed(3));
    const sizes = all.map(({ bytes }) => String(bytes));
    const builds = all.map(({ buildMs }) => buildMs.toFixed(0));
    print(name, [(times[0] / 1e6).toFixed(1), ...ratios, ...sizes, ...builds]);
  }
  const ratios = [1, 2].map((other) => rows.map(({ times }) => times[0] / times[other]!));
  print("mean", ["", ...ratios.map((of) => geometricMean(of).toFixed(3))]);
  print("worst", ["", ...ratios.map((of) => Math.max(...of).toFixed(3))]);
}

await runScript("bench:aot", main);
