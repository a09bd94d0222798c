import { bindingsOf } from "../linkage.ts";
import { rootsOf } from "../passes/inline.ts";
import { START_SYMBOL } from "../start.ts";
import { entrySymbol, functionSymbol, globalSymbol } from "../symbols.ts";
import { NULL_PAGE_BYTES } from "../target.ts";
import type { Module } from "../wasm/module.ts";

// The assembly that joins the modules of a process: tables for the runner, entries for calls between modules, memories.

/** Most pages of a memory: all of 32-bit addresses. */
const MAX_PAGES = 65_536;
/** Where the runner puts memories. */
export interface MemoryLayout {
  /** Address of the first memory. */
  readonly base: bigint;
  /** From one to the next: more than any address can reach. */
  readonly stride: bigint;
  /** Bytes from the base on that are taken for a memory. */
  readonly reserved: bigint;
  /** The bytes before this one are not mapped. */
  readonly first: number;
  /** Where the executable is linked to, if it matters. */
  readonly image: bigint | null;
}

/** Anywhere. Reserved are all 32-bit addresses plus all 32-bit offsets, and a guard. */
export const GUARDED: MemoryLayout = {
  base: 0x10_0000_0000n,
  stride: 0x3_0000_0000n,
  reserved: 0x2_1000_0000n,
  first: 0,
  image: null,
};

/**
 * At address 0, as in the kernel; the executable is above it, where 32-bit addresses reach it as they do the kernel's. One
 * memory only, of less than 1.5 GiB, which wrong addresses can leave. Linux lets everybody map 64 KiB and above
 * (vm.mmap_min_addr).
 */
export const AS_IN_KERNEL: MemoryLayout = {
  base: 0n,
  stride: 0n,
  reserved: 0x6000_0000n,
  first: 0x1_0000,
  image: 0x7000_0000n,
};

/** A module of the process. Its symbols carry the prefix. */
export interface Member {
  readonly prefix: string;
  readonly module: Module;
}

/** What a call of {@link INSTANTIATE} returns when a memory that the module imports is smaller than it asks for. */
export const MEMORY_TOO_SMALL = 1n;
/** An export that every module has beside its own: it checks imported memories, copies segments, calls the start function. */
export const INSTANTIATE = "(instantiate)";

export function exportedFunctions({ module }: Member): string[] {
  return [...module.exports.filter((e) => e.kind === "func").map((e) => e.name), INSTANTIATE];
}

export function exportedCells({ module }: Member): string[] {
  return module.exports.filter((e) => e.kind === "global").map((e) => e.name);
}

/** Arguments for the linker: each symbol that a module imports is defined as that of the exporter. */
export function linkerDefinitions({ prefix, module }: Member): string[] {
  return bindingsOf(module).map(([open, defined]) => `--defsym=${prefix}${open}=${defined}`);
}

/** Assembles tables and entries, collecting the symbols of the modules that they name. */
class Harness {
  private readonly text: string[] = [];
  private readonly data: string[] = [];
  private readonly memories: string[] = [];
  private readonly defined: string[] = [];
  private readonly used = new Set<string>(["tv_runner_enter", "tv_runner_grow"]);

  constructor(
    private readonly members: readonly Member[],
    private readonly layout: MemoryLayout,
  ) {}

  render(): string {
    const tables = this.members.map(({ prefix }) => {
      return `  dq ${prefix}exports, ${prefix}cells, ${this.use(`${prefix}tv_memory_base`)}`;
    });
    for (const member of this.members) this.member(member);
    for (const symbol of this.defined) this.used.delete(symbol);
    const runner = [
      "tv_runner_instances",
      "tv_runner_memories",
      "tv_runner_memories_end",
      "tv_runner_first",
      "tv_runner_reserved",
    ];
    return [
      "bits 64",
      "default rel",
      ...[...this.used].map((symbol) => `extern ${symbol}`),
      ...[...runner, ...this.defined].map((symbol) => `global ${symbol}`),
      "section .data align=8",
      "tv_runner_instances:",
      ...tables,
      "tv_runner_memories:",
      ...this.memories,
      "tv_runner_memories_end:",
      `tv_runner_reserved: dq ${this.layout.reserved}`,
      `tv_runner_first: dd ${this.layout.first}`,
      ...this.data,
      "section .text",
      ...this.text,
      "",
    ].join("\n");
  }

  private use(symbol: string): string {
    this.used.add(symbol);
    return symbol;
  }

  private define(symbol: string, ...lines: string[]): void {
    this.defined.push(symbol);
    this.text.push(`${symbol}:`, ...lines.map((line) => `  ${line}`));
  }

  private member(member: Member): void {
    const { prefix, module } = member;
    const own = (symbol: string) => this.use(`${prefix}${symbol}`);
    const named = (kind: string) => module.exports.filter((e) => e.kind === kind);
    const functions = named("func").map(({ index }) => own(functionSymbol(module.funcs[index]!)));
    const cells = named("global").map(({ index }) => own(globalSymbol(module, index)));
    this.data.push(
      `${prefix}exports:`,
      ...[...functions, `${prefix}instantiate`].map((symbol) => `  dq ${symbol}`),
    );
    this.data.push(`${prefix}cells:`, ...cells.map((symbol) => `  dq ${symbol}`));
    if (!module.memories[0]?.import) this.memory(member);
    this.define(`${prefix}tv_rt_memory_grow`, `lea rsi, [${own("tv_memory_base")}]`, "jmp tv_runner_grow");
    for (const index of rootsOf(module)) this.entry(member, index);
    this.instantiate(member);
  }

  /** Address, size and limit of a memory, and its initial contents, as runner.asm expects them. */
  private memory({ prefix, module }: Member): void {
    const limits = module.memories[0]?.limits;
    const { base, stride, first } = this.layout;
    const address = base + BigInt(this.memories.length / 4) * stride;
    // The image of a memory without page 0 starts behind that.
    const skipped = Math.max(0, first - NULL_PAGE_BYTES);
    this.memories.push(
      `${prefix}tv_memory_base: dq ${address}`,
      `${prefix}tv_memory_pages: dd ${limits?.min ?? 0}`,
      `  dd ${Math.min(limits?.max ?? MAX_PAGES, MAX_PAGES)}`,
      `  dq ${this.use(`${prefix}tv_linear_init`)} + ${skipped}, ${this.use(`${prefix}tv_linear_init_end`)}`,
    );
    this.defined.push(`${prefix}tv_memory_base`, `${prefix}tv_memory_pages`);
  }

  private entry({ prefix, module }: Member, index: number): void {
    const func = module.funcs[index]!;
    if (func.import) return;
    const base = `mov r10, [${this.use(`${prefix}tv_memory_base`)}]`;
    const code = `lea r11, [${this.use(`${prefix}${functionSymbol(func)}`)}]`;
    this.define(`${prefix}${entrySymbol(func)}`, base, code, "jmp tv_runner_enter");
  }

  private instantiate({ prefix, module }: Member): void {
    const memory = module.memories[0];
    const shares = [...module.memories, ...module.tables].some((space) => space.import);
    const start = module.start === null ? null : module.funcs[module.start]!;
    this.define(
      `${prefix}instantiate`,
      `mov eax, ${MEMORY_TOO_SMALL}`,
      `cmp dword [${this.use(`${prefix}tv_memory_pages`)}], ${memory?.import ? memory.limits.min : 0}`,
      "jb .end",
      ...(shares ? [`call ${this.use(`${prefix}${START_SYMBOL}`)}`] : []),
      ...(start ? [`call ${this.use(`${prefix}${functionSymbol(start)}`)}`] : []),
      "xor eax, eax",
      ".end: ret",
    );
  }
}

export function harnessText(members: readonly Member[], layout: MemoryLayout): string {
  return new Harness(members, layout).render();
}
