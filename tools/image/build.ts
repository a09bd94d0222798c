// The hypervisor's image: TypeScript -> WebAssembly -> x86-64 assembly -> objects -> ELF.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { compile } from "../aot/compile.ts";
import { CompileError } from "../aot/errors.ts";
import type { FunctionInfo } from "../aot/function-info.ts";
import { readElfSymbols } from "../aot/object/elf.ts";
import { sourcesOf } from "../aot/sourcemap.ts";
import type { Scopes } from "../aot/symtab/scopes.ts";
import { buildSymbolTable, type Symbols, symbolTableAssembly } from "../aot/symtab/write.ts";
import { dwarfAssembly } from "../dwarf/assembly.ts";
import { generateRecorders, RECORDERS } from "../gen/recorders.ts";
import { findProgram, mustRun } from "../lib/command.ts";
import { withLock } from "../lib/lock.ts";
import { BUILD, ROOT } from "../lib/paths.ts";
import { formatSize } from "../lib/size.ts";
import { UserError } from "../lib/user-error.ts";
import { refuseAllocation } from "./allocation.ts";
import { type Cache, digestOf, filesBelow, openCache } from "./cache.ts";
import { openCodeStore } from "./codestore.ts";
import { debugInformation, type LabelledPlace, labelLines } from "./debuginfo.ts";
import { withFrameTable } from "./frametable.ts";
import { isHot } from "./hot.ts";
import { readScopes, updateScopes } from "./scopes.ts";

export interface BuildOptions {
  log?: (line: string) => void;
  /** Runs every step, even if nothing has changed. */
  force?: boolean;
  /** Integer constants for the sources (`--use` of asc). */
  defines?: Record<string, string>;
  /** The image that records what its code asks of the processor and is told (kernel/record). */
  recording?: boolean;
  /** Main file, from the project's root. Another than kernel/main.ts makes an image of its own name. */
  entry?: string;
}

export interface Image {
  /** The WebAssembly module that the image's code was made from, and its source map. */
  wasm: string;
  map: string;
  /** elf32 multiboot image, stripped: what loaders take. */
  elf: string;
  /** The same as elf64, with symbols and line numbers: for debuggers. */
  elf64: string;
}

const MAIN = "kernel/main.ts";
const WASM_PAGE = 65_536;

/** -O1: every forward jump is near; NASM's search for short ones takes over a hundred passes over the whole kernel. */
const NASM_FORMAT = ["-f", "elf64", "-O1"];
/** NASM's own line table, for sources that people wrote; generated ones bring theirs. */
const NASM_DEBUG = ["-g", "-F", "dwarf"];

/** The recorders stand between the kernel and its intrinsics; they use these themselves. */
const RECORDERS_INTERPOSED = {
  prefix: "record_",
  exempt: (name: string) => name.startsWith("kernel/record/"),
};

/** Files of one build. */
interface Paths extends Image {
  directory: string;
  asm: string;
  /** What the linker must know beside the objects. */
  link: string;
  functions: string;
  /** Machine code of functions from earlier builds. */
  codes: string;
  /** Places of the code that the debugging information is about, by their labels. */
  places: string;
  /** Functions of the sources. */
  scopes: string;
  symtab: string;
  debug: string;
  offsets: string;
}

/** Builds the image; steps whose inputs have not changed are skipped. Other processes that build wait. */
export function buildImage(options: BuildOptions = {}): Promise<Image> {
  requireTools();
  return withLock(join(BUILD, "image.lock"), () => build(options));
}

async function build(options: BuildOptions): Promise<Image> {
  const log = options.log ?? (() => {});
  const paths = pathsOf(options);
  mkdirSync(paths.directory, { recursive: true });
  const cache = openCache(join(paths.directory, "stamps.json"), options.force ?? false);
  const say = async (what: string, step: () => Promise<boolean>) => {
    const start = performance.now();
    if (await step()) log(`image: ${what}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
  };
  await say("TypeScript to WebAssembly", () => compileKernel(cache, paths, options));
  await say("WebAssembly to x86-64", () => generateCode(cache, paths, options));
  await say("structure offsets for the assembler", () => writeOffsets(cache, paths));
  const objects = await assembleAll(cache, paths);
  await findScopes(cache, paths);
  objects.push(...(await Promise.all([makeSymbolTable(cache, paths), makeDebugInformation(cache, paths)])));
  if (await link(cache, paths, objects)) {
    log(
      `image: ${relative(ROOT, paths.elf)}, ${formatSize(Math.ceil(statSync(paths.elf).size / 1024) * 1024)}`,
    );
  }
  return { elf: paths.elf, elf64: paths.elf64, wasm: paths.wasm, map: paths.map };
}

function requireTools(): void {
  const missing = Object.entries({ nasm: "nasm", ld: "binutils", objcopy: "binutils" }).filter(
    ([name]) => !findProgram(name),
  );
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name).join(", ");
  const packages = [...new Set(missing.map(([, name]) => name))].join(" ");
  throw new UserError(
    `Building the image needs ${names}. Install the Debian packages ${packages} (\`make setup\` does).`,
  );
}

function pathsOf(options: BuildOptions): Paths {
  const defines = Object.entries(options.defines ?? {}).map(([name, value]) => `-${name}=${value}`);
  const entry = options.entry ?? MAIN;
  const plain = entry === MAIN && defines.length === 0;
  const variant = `${basename(entry, ".ts")}${defines.join("").replace(/[^\w.=-]/g, "_")}`;
  const name = `${plain ? "typevisor" : `typevisor-${variant}`}${options.recording ? "-recording" : ""}`;
  const directory = join(BUILD, "image", name);
  return {
    directory,
    wasm: join(directory, "kernel.wasm"),
    map: join(directory, "kernel.wasm.map"),
    asm: join(directory, "kernel.asm"),
    link: join(directory, "link.json"),
    functions: join(directory, "functions.json"),
    codes: join(directory, "codes"),
    places: join(directory, "places.json"),
    scopes: join(directory, "scopes.json"),
    symtab: join(directory, "symtab.asm"),
    debug: join(directory, "debug.asm"),
    offsets: join(directory, "vcpu.inc"),
    elf: join(BUILD, `${name}.elf`),
    elf64: join(BUILD, `${name}.elf64`),
  };
}

/** What asc reads: any kernel source, whether or not it is imported; and the entry, wherever it is. */
function kernelSources(entry: string): string[] {
  const all = new Set([...filesBelow(join(ROOT, "kernel"), /\.ts$/), join(ROOT, entry)]);
  return [...all, join(ROOT, "asconfig.json"), join(ROOT, "package-lock.json")].sort();
}

function compileKernel(cache: Cache, paths: Paths, options: BuildOptions): Promise<boolean> {
  const entry = options.entry ?? MAIN;
  const generated: Record<string, string> = options.recording ? { [RECORDERS]: generateRecorders() } : {};
  return cache.step({
    name: "asc",
    inputs: kernelSources(entry),
    parameters: [entry, options.defines, generated],
    outputs: [paths.wasm, paths.map],
    run: async () => {
      // Loaded on demand: compilers take longer to load than an up-to-date build takes to check.
      const { compileAssemblyScript } = await import("./assemblyscript.ts");
      const entries = [entry, "kernel/lib/panic.ts", ...Object.keys(generated)];
      const defines = { ...options.defines, ...(options.recording ? { RECORDING: "1" } : {}) };
      const { wasm, map } = await compileAssemblyScript({ entries, defines, virtual: generated });
      writeFileSync(paths.wasm, wasm);
      writeFileSync(paths.map, map);
    },
  });
}

function generateCode(cache: Cache, paths: Paths, options: BuildOptions): Promise<boolean> {
  return cache.step({
    name: "aot",
    inputs: [paths.wasm, paths.map, ...compilerSources()],
    parameters: [options.recording],
    outputs: [paths.asm, paths.link, paths.functions, paths.places],
    run: async () => {
      if (options.force) rmSync(paths.codes, { force: true });
      const store = openCodeStore(paths.codes, digestOf(filesBelow(join(ROOT, "tools/aot"), /\.ts$/)));
      const map = readFileSync(paths.map, "utf8");
      const interpose = options.recording ? RECORDERS_INTERPOSED : undefined;
      const result = explain(() =>
        compile(readFileSync(paths.wasm), { target: "kernel", map, isHot, interpose, store }),
      );
      store.save();
      refuseAllocation(result.module, map);
      const { asm, places } = labelLines(result.asm);
      writeFileSync(paths.asm, withFrameTable(asm));
      writeFileSync(paths.places, JSON.stringify(places));
      writeFileSync(paths.functions, JSON.stringify(result.functions));
      const pages = result.module.memories[0]?.limits.min ?? 0;
      writeFileSync(paths.link, JSON.stringify({ linearBytes: pages * WASM_PAGE }));
    },
  });
}

/** The code generator's refusals are about the sources, so they are for people. */
function explain<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof CompileError)
      throw new UserError(`The code generator refused the kernel: ${error.message}`);
    throw error;
  }
}

function writeOffsets(cache: Cache, paths: Paths): Promise<boolean> {
  return cache.step({
    name: "offsets",
    inputs: [
      ...filesBelow(join(ROOT, "kernel/vcpu"), /\.ts$/),
      ...filesBelow(join(ROOT, "tools/gen"), /\.ts$/),
    ],
    outputs: [paths.offsets],
    run: async () => {
      const { generateOffsets } = await import("../gen/offsets.ts");
      writeFileSync(paths.offsets, await generateOffsets());
    },
  });
}

/** Assembles boot/*.asm and the generated code; returns the objects in the order of the link. */
async function assembleAll(cache: Cache, paths: Paths): Promise<string[]> {
  const includes = filesBelow(join(ROOT, "boot"), /\.inc$/);
  const sources = [...filesBelow(join(ROOT, "boot"), /\.asm$/), paths.asm];
  const objects = sources.map((source) => join(paths.directory, `${basename(source, ".asm")}.o`));
  await Promise.all(
    sources.map((source, i) =>
      cache.step({
        name: `nasm ${basename(source)}`,
        inputs: [source, ...(source === paths.asm ? [] : [...includes, paths.offsets])],
        parameters: [NASM_FORMAT, NASM_DEBUG],
        outputs: [objects[i]!],
        run: () => assemble(source, objects[i]!, paths.directory),
      }),
    ),
  );
  return objects;
}

async function assemble(source: string, object: string, directory: string): Promise<void> {
  const format = source.startsWith(directory) ? NASM_FORMAT : [...NASM_FORMAT, ...NASM_DEBUG];
  const include = ["-I", join(ROOT, "boot/"), "-I", `${directory}/`];
  // From the project's folder, so that debuggers find the sources in any checkout.
  await mustRun("nasm", [...format, ...include, "-o", object, relative(ROOT, source)], { cwd: ROOT });
}

/** Functions of the sources, for both tables. */
function findScopes(cache: Cache, paths: Paths): Promise<boolean> {
  const parser = [join(ROOT, "tools/aot/symtab/extents.ts"), join(ROOT, "tools/image/scopes.ts")];
  return cache.step({
    name: "scopes",
    inputs: [paths.map, ...parser],
    outputs: [paths.scopes],
    run: () => updateScopes(paths.scopes, digestOf(parser), sourcesOf(readFileSync(paths.map, "utf8"))),
  });
}

/** The table that turns addresses into TypeScript lines; it needs the offsets that NASM gave the generated code. */
function makeSymbolTable(cache: Cache, paths: Paths): Promise<string> {
  const inputs = filesBelow(join(ROOT, "tools/aot/symtab"), /\.ts$/);
  return makeTable(cache, paths, paths.symtab, inputs, (functions, symbols, sources) =>
    symbolTableAssembly(buildSymbolTable(functions, symbols, sources)),
  );
}

/** The same for debuggers, which is not loaded. */
function makeDebugInformation(cache: Cache, paths: Paths): Promise<string> {
  const writers = ["tools/dwarf", "tools/aot/symtab"].flatMap((folder) =>
    filesBelow(join(ROOT, folder), /\.ts$/),
  );
  const inputs = [paths.places, join(ROOT, "tools/image/debuginfo.ts"), ...writers];
  return makeTable(cache, paths, paths.debug, inputs, (functions, symbols, sources) => {
    const places = JSON.parse(readFileSync(paths.places, "utf8")) as LabelledPlace[];
    return dwarfAssembly(debugInformation(functions, places, symbols, sources));
  });
}

/** Assembles a table about the generated code into an object of its own, which it returns. */
async function makeTable(
  cache: Cache,
  paths: Paths,
  source: string,
  inputs: string[],
  write: (functions: FunctionInfo[], symbols: Symbols, sources: Scopes) => string,
): Promise<string> {
  const name = basename(source, ".asm");
  const code = join(paths.directory, `${basename(paths.asm, ".asm")}.o`);
  const object = join(paths.directory, `${name}.o`);
  await cache.step({
    name,
    inputs: [code, paths.functions, paths.scopes, ...inputs],
    outputs: [object],
    run: async () => {
      const functions = JSON.parse(readFileSync(paths.functions, "utf8")) as FunctionInfo[];
      writeFileSync(source, write(functions, readElfSymbols(code), readScopes(paths.scopes)));
      await assemble(source, object, paths.directory);
    },
  });
  return object;
}

function link(cache: Cache, paths: Paths, objects: string[]): Promise<boolean> {
  const script = join(ROOT, "boot/image.ld");
  return cache.step({
    name: "link",
    inputs: [...objects, script, paths.link, paths.functions],
    outputs: [paths.elf, paths.elf64],
    run: async () => {
      const { linearBytes } = JSON.parse(readFileSync(paths.link, "utf8"));
      const format = [
        "-m",
        "elf_x86_64",
        "-static",
        "-nostdlib",
        "--nmagic",
        "-z",
        "max-page-size=4096",
        "--build-id=none",
      ];
      const layout = [`--defsym=LINEAR_BYTES=${linearBytes}`, "-T", script];
      await mustRun("ld", [...format, ...layout, "-o", paths.elf64, ...objects]);
      await nameFunctions(paths);
      await mustRun("objcopy", ["--strip-all", "-O", "elf32-i386", paths.elf64, paths.elf]);
    },
  });
}

/** Gives the generated functions the names of the sources, and drops the labels inside them: for debuggers. */
async function nameFunctions(paths: Paths): Promise<void> {
  const functions = JSON.parse(readFileSync(paths.functions, "utf8")) as FunctionInfo[];
  const names = join(paths.directory, "names");
  // In this file a blank ends a name and a # begins a comment; methods are Class#name.
  const lines = functions.map(
    ({ symbol, name }) => `${symbol} ${name.replace("#", ".").replace(/\s/g, "_")}\n`,
  );
  writeFileSync(names, lines.join(""));
  const labels = ["tv_function_*.*", "tv_rt_*.*", "..@*"].flatMap((pattern) => ["--strip-symbol", pattern]);
  await mustRun("objcopy", ["--wildcard", ...labels, paths.elf64]);
  await mustRun("objcopy", [`--redefine-syms=${names}`, paths.elf64]);
}

/** What the code in the image depends on beside the WebAssembly module. */
function compilerSources(): string[] {
  return [
    ...filesBelow(join(ROOT, "tools/aot"), /\.ts$/),
    join(ROOT, "tools/image/hot.ts"),
    join(ROOT, "tools/image/debuginfo.ts"),
    join(ROOT, "tools/image/frametable.ts"),
  ];
}
