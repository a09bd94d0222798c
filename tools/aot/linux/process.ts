import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CompileOptions, type CompileResult, compile } from "../compile.ts";
import type { TrapKind } from "../ir/ir.ts";
import { readElfSymbols } from "../object/elf.ts";
import { functionSymbol, globalSymbol } from "../symbols.ts";
import { LINUX, NULL_PAGE_BYTES } from "../target.ts";
import type { Module } from "../wasm/module.ts";

const RUNNER_SOURCE = new URL("runner.asm", import.meta.url).pathname;
const MAX_PAGES = 65_536;
const DEFAULT_MAX_PAGES = 65_536;
/** Where the runner maps linear memory. */
const MEMORY_BASE = 0x10_0000_0000n;
const RESERVED_BYTES = 0x2_1000_0000n;
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
  /** Leaves page 0 of linear memory unmapped, as in the kernel. */
  nullPage?: boolean;
  /** Fewer registers than there are, to make spills common. */
  registers?: number;
}

/** A module compiled into an executable of its own. Delete it with {@link close}. */
export class NativeModule {
  readonly compiled: CompileResult;
  private readonly directory = mkdtempSync(join(tmpdir(), "typevisor-aot-"));
  private readonly executable = join(this.directory, "module");
  private readonly names: string[];
  private readonly cells: string[];
  private traps: { pc: bigint; kind: TrapKind }[] = [];

  constructor(bytes: Uint8Array, options: NativeOptions = {}) {
    const targetOverrides = {
      nullPage: options.nullPage ?? false,
      registers: options.registers ?? LINUX.registers,
    };
    this.compiled = compile(bytes, { ...options, target: "linux", targetOverrides });
    const { module } = this.compiled;
    this.names = [...this.compiled.exports.keys()];
    this.cells = module.globals.flatMap((g) => g.exports);
    this.build(module, options.nullPage ?? false);
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Bytes of machine code. */
  get codeBytes(): number {
    const symbols = readElfSymbols(this.executable);
    return Number(symbols.get("tv_text_end")! - symbols.get("tv_text_start")!);
  }

  private build(module: Module, nullPage: boolean): void {
    const asm = join(this.directory, "module.asm");
    writeFileSync(asm, `${withoutImports(this.compiled.asm)}\n${this.harness(module, nullPage)}`);
    const object = join(this.directory, "module.o");
    execFileSync("nasm", ["-f", "elf64", "-o", object, asm], { stdio: ["ignore", "pipe", "pipe"] });
    execFileSync("ld", ["-static", "-o", this.executable, object, runnerObject()]);
    this.readTraps();
  }

  private harness(module: Module, nullPage: boolean): string {
    const memory = module.memories[0]?.limits;
    const exported = [...this.compiled.exports.values()];
    const cells = this.cells.map((name) =>
      globalSymbol(module, module.exports.find((e) => e.name === name)!.index),
    );
    const imports = new Set(module.funcs.filter((f) => f.import).map(functionSymbol));
    return [
      "section .data",
      "global tv_harness_exports, tv_harness_cells, tv_harness_initial_pages, tv_harness_maximum_pages, tv_harness_null_page",
      "tv_harness_exports:",
      ...exported.map((symbol) => `  dq ${symbol}`),
      "tv_harness_cells:",
      ...cells.map((symbol) => `  dq ${symbol}`),
      `tv_harness_initial_pages: dd ${memory?.min ?? 0}`,
      `tv_harness_maximum_pages: dd ${Math.min(memory?.max ?? DEFAULT_MAX_PAGES, MAX_PAGES)}`,
      `tv_harness_null_page: dd ${nullPage ? NULL_PAGE_BYTES : 0}`,
      "section .text",
      ...[...imports].map((symbol) => `${symbol}: ret`),
      "",
    ].join("\n");
  }

  private readTraps(): void {
    const symbols = readElfSymbols(this.executable);
    for (const { sites } of this.compiled.functions) {
      for (const { label, trap } of sites) if (trap) this.traps.push({ pc: symbols.get(label)!, kind: trap });
    }
  }

  /** Runs commands in one process, in order. */
  run(commands: Command[]): Answer[] {
    const input = Buffer.concat(commands.map((c) => this.encode(c)));
    const run = spawnSync(this.executable, { input, timeout: RUN_TIMEOUT_MS, maxBuffer: 2 ** 31 });
    if (run.status !== 0) throw new Error(`native run ended with status ${run.status}, signal ${run.signal}`);
    return this.decode(commands, run.stdout);
  }

  /** Calls one export in a fresh process. */
  call(name: string, args: bigint[], results = 1): Outcome {
    const [answer] = this.run([{ op: "call", name, args, results }]);
    return (answer as { outcome: Outcome }).outcome;
  }

  private encode(command: Command): Buffer {
    if (command.op === "call") {
      const buffer = Buffer.alloc(13 + command.args.length * 8);
      buffer.write("c", 0);
      buffer.writeUInt32LE(this.index(this.names, command.name), 1);
      buffer.writeUInt32LE(command.args.length, 5);
      buffer.writeUInt32LE(command.results, 9);
      command.args.forEach((arg, i) => buffer.writeBigUInt64LE(BigInt.asUintN(64, arg), 13 + i * 8));
      return buffer;
    }
    const buffer = Buffer.alloc(command.op === "global" ? 5 : 9);
    buffer.write(command.op[0]!, 0);
    if (command.op === "global") buffer.writeUInt32LE(this.index(this.cells, command.name), 1);
    else {
      buffer.writeUInt32LE(command.offset, 1);
      buffer.writeUInt32LE(command.length, 5);
    }
    return buffer;
  }

  private index(list: string[], name: string): number {
    const i = list.indexOf(name);
    if (i < 0) throw new Error(`no export named "${name}"`);
    return i;
  }

  private decode(commands: Command[], out: Buffer): Answer[] {
    let at = 0;
    const u64 = () => out.readBigUInt64LE((at += 8) - 8);
    return commands.map((command): Answer => {
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
    const inside = address >= MEMORY_BASE && address < MEMORY_BASE + RESERVED_BYTES;
    if (signal !== SIGSEGV) throw new Error(`signal ${signal} at unknown pc 0x${pc.toString(16)}`);
    return inside ? "out of bounds memory access" : "call stack exhausted";
  }
}

/** Imported functions are defined in the same file, as functions that do nothing. */
function withoutImports(asm: string): string {
  return asm.replace(/^extern tv_import_.*$/gm, "");
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
