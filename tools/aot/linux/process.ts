import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CompileOptions, type CompileResult, compile } from "../compile.ts";
import type { TrapKind } from "../ir/ir.ts";
import { readElfSymbols } from "../object/elf.ts";
import { LINUX, type Target } from "../target.ts";
import type { Module } from "../wasm/module.ts";
import {
  AS_IN_KERNEL,
  exportedCells,
  exportedFunctions,
  GUARDED,
  harnessText,
  linkerDefinitions,
  type Member,
  type MemoryLayout,
} from "./harness.ts";

const RUNNER_SOURCE = new URL("runner.asm", import.meta.url).pathname;
const RUN_TIMEOUT_MS = 60_000;

const SIGFPE = 8;
const SIGSEGV = 11;

/** What a call did. Results are raw 64-bit registers; the caller knows their types. */
export type Outcome =
  | { kind: "return"; results: bigint[]; elapsedNs: number }
  | { kind: "trap"; trap: TrapKind | "call stack exhausted"; pc: bigint };

export type Command =
  | { op: "call"; name: string; args: bigint[]; results: number }
  | { op: "global"; name: string }
  | { op: "memory"; offset: number; length: number };

export type Answer = { outcome: Outcome } | { value: bigint } | { pages: number; bytes: Uint8Array };

export interface NativeOptions extends CompileOptions {
  /** Linear memory is at address 0, of a fixed size and without page 0, so that the code is the kernel's: no segment, no base. */
  asInKernel?: boolean;
  /** Fewer registers than there are, to make spills common. */
  registers?: number;
}

/** A compiled module of a process. */
export class Instance implements Member {
  readonly module: Module;
  readonly functions: string[];
  readonly cells: string[];

  constructor(
    readonly index: number,
    readonly prefix: string,
    readonly compiled: CompileResult,
    readonly object: string,
  ) {
    this.module = compiled.module;
    this.functions = exportedFunctions(this);
    this.cells = exportedCells(this);
  }
}

/** Modules compiled and linked into one executable. Delete it with {@link close}. */
export class NativeProcess {
  private readonly directory = mkdtempSync(join(tmpdir(), "typevisor-aot-"));
  private readonly executable = join(this.directory, "process");
  private readonly instances: Instance[] = [];
  private traps: { pc: bigint; kind: TrapKind }[] = [];

  private readonly layout: MemoryLayout;

  /** `asInKernel`: the process is of one module only, with its memory where the kernel has it. */
  constructor(private readonly asInKernel = false) {
    this.layout = asInKernel ? AS_IN_KERNEL : GUARDED;
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The prefix of the next module's symbols. */
  get nextPrefix(): string {
    return `i${this.instances.length}_`;
  }

  /** Compiles a module. All modules are added before the first command is run. */
  add(bytes: Uint8Array, options: NativeOptions = {}): Instance {
    const shape: Partial<Target> = this.asInKernel ? { nullPage: true, segment: "", fixedMemory: true } : {};
    const targetOverrides = { ...shape, registers: options.registers ?? LINUX.registers };
    const compiled = compile(bytes, { ...options, target: "linux", targetOverrides });
    const prefix = this.nextPrefix;
    const object = join(this.directory, `${prefix}module.o`);
    this.assemble(compiled.asm, object, ["--gprefix", prefix, "--lprefix", prefix]);
    const instance = new Instance(this.instances.length, prefix, compiled, object);
    this.instances.push(instance);
    return instance;
  }

  private assemble(text: string, object: string, flags: string[] = []): void {
    const source = object.replace(/\.o$/, ".asm");
    writeFileSync(source, text);
    execFileSync("nasm", ["-f", "elf64", ...flags, "-o", object, source], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** Links what has been added, once. */
  link(): void {
    if (existsSync(this.executable)) return;
    const harness = join(this.directory, "harness.o");
    this.assemble(harnessText(this.instances, this.layout), harness);
    const definitions = join(this.directory, "definitions");
    writeFileSync(definitions, this.instances.flatMap(linkerDefinitions).join("\n"));
    const { image } = this.layout;
    const objects = [...this.instances.map((i) => i.object), harness, runnerObject()];
    execFileSync("ld", [
      "-static",
      "-z",
      "noexecstack",
      ...(image === null ? [] : [`-Ttext-segment=0x${image.toString(16)}`]),
      `@${definitions}`,
      "-o",
      this.executable,
      ...objects,
    ]);
    const symbols = readElfSymbols(this.executable);
    for (const { prefix, compiled } of this.instances) {
      for (const { sites } of compiled.functions)
        for (const { label, trap } of sites)
          if (trap) this.traps.push({ pc: symbols.get(`${prefix}${label}`)!, kind: trap });
    }
  }

  /** Bytes of machine code of a module. */
  codeBytes({ prefix }: Instance): number {
    this.link();
    const symbols = readElfSymbols(this.executable);
    return Number(symbols.get(`${prefix}tv_text_end`)! - symbols.get(`${prefix}tv_text_start`)!);
  }

  /** Runs commands in one process, in order. */
  run(commands: readonly (readonly [Instance, Command])[]): Answer[] {
    this.link();
    const input = Buffer.concat(commands.map(([instance, command]) => encode(instance, command)));
    const run = spawnSync(this.executable, { input, timeout: RUN_TIMEOUT_MS, maxBuffer: 2 ** 31 });
    if (run.status !== 0) throw new Error(`native run ended with status ${run.status}, signal ${run.signal}`);
    return this.decode(commands, run.stdout);
  }

  private decode(commands: readonly (readonly [Instance, Command])[], out: Buffer): Answer[] {
    let at = 0;
    const u64 = () => out.readBigUInt64LE((at += 8) - 8);
    return commands.map(([, command]): Answer => {
      if (command.op === "global") return { value: u64() };
      if (command.op === "memory") {
        const pages = out.readUInt32LE(at);
        const length = Math.max(0, Math.min(command.length, pages * 65_536 - command.offset));
        at += 4 + length;
        return { pages, bytes: out.subarray(at - length, at) };
      }
      const [signal, pc, address, elapsed] = [u64(), u64(), u64(), u64()] as const;
      if (signal) return { outcome: { kind: "trap", trap: this.trapKind(Number(signal), pc, address), pc } };
      const results = Array.from({ length: command.results }, u64);
      return { outcome: { kind: "return", results, elapsedNs: Number(elapsed) } };
    });
  }

  private trapKind(signal: number, pc: bigint, address: bigint): TrapKind | "call stack exhausted" {
    const known = this.traps.find((t) => t.pc === pc);
    if (signal !== SIGSEGV && known) return known.kind;
    if (signal === SIGFPE) throw new Error(`division trap at unknown pc 0x${pc.toString(16)}`);
    const { base, stride, reserved } = this.layout;
    const end = base + BigInt(this.instances.length - 1) * stride + reserved;
    const inside = address >= base && address < end;
    if (signal !== SIGSEGV) throw new Error(`signal ${signal} at unknown pc 0x${pc.toString(16)}`);
    return inside ? "out of bounds memory access" : "call stack exhausted";
  }
}

/** A command as runner.asm reads it. */
function encode(instance: Instance, command: Command): Buffer {
  const words: number[] = [instance.index];
  let args: bigint[] = [];
  if (command.op === "call") {
    args = command.args;
    words.push(indexOf(instance.functions, command.name), args.length, command.results);
  } else if (command.op === "global") words.push(indexOf(instance.cells, command.name));
  else words.push(command.offset, command.length);
  const buffer = Buffer.alloc(1 + words.length * 4 + args.length * 8);
  buffer.write(command.op[0]!, 0);
  words.forEach((word, i) => buffer.writeUInt32LE(word, 1 + i * 4));
  args.forEach((arg, i) => buffer.writeBigUInt64LE(BigInt.asUintN(64, arg), 1 + words.length * 4 + i * 8));
  return buffer;
}

function indexOf(list: string[], name: string): number {
  const i = list.indexOf(name);
  if (i < 0) throw new Error(`no export named "${name}"`);
  return i;
}

/** A process of a single module. Delete it with {@link close}. */
export class NativeModule {
  private readonly process: NativeProcess;
  private readonly instance: Instance;

  constructor(bytes: Uint8Array, options: NativeOptions = {}) {
    this.process = new NativeProcess(options.asInKernel);
    try {
      this.instance = this.process.add(bytes, options);
      this.process.link();
    } catch (error) {
      this.process.close();
      throw error;
    }
  }

  get compiled(): CompileResult {
    return this.instance.compiled;
  }

  /** Bytes of machine code. */
  get codeBytes(): number {
    return this.process.codeBytes(this.instance);
  }

  close(): void {
    this.process.close();
  }

  /** Runs commands in one process, in order. */
  run(commands: Command[]): Answer[] {
    return this.process.run(commands.map((command) => [this.instance, command] as const));
  }

  /** Calls one export in a fresh process. */
  call(name: string, args: bigint[], results = 1): Outcome {
    const [answer] = this.run([{ op: "call", name, args, results }]);
    return (answer as { outcome: Outcome }).outcome;
  }
}

let cachedRunner: string | null = null;

/** The runner's object file, assembled once per process. */
function runnerObject(): string {
  if (cachedRunner && existsSync(cachedRunner)) return cachedRunner;
  const directory = mkdtempSync(join(tmpdir(), "typevisor-runner-"));
  cachedRunner = join(directory, "runner.o");
  execFileSync("nasm", ["-f", "elf64", "-o", cachedRunner, RUNNER_SOURCE]);
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  if (statSync(cachedRunner).size === 0) throw new Error("nasm wrote an empty runner");
  return cachedRunner;
}
