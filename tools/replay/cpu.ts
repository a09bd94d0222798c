// The processor of a replay: every intrinsic is answered from the log, and what the code asks is compared with it.
import {
  EVENT_EXCEPTION,
  EVENT_EXIT_HANDLED,
  EVENT_INTERRUPT,
  EVENT_INTERRUPT_DONE,
  EVENT_LIMIT,
  EVENT_MACHINE_STOPPED,
  EVENT_NEXT_WINDOW,
  EVENT_RUN_ENDED,
  EVENT_WAIT_DONE,
  HEAD_WORDS,
} from "../../kernel/abi/recording.ts";
import { INTRINSICS, type Intrinsic } from "../aot/intrinsics.ts";
import { ENTRIES, MEMORY_BYTES, WAITS } from "../gen/recorders.ts";
import { GPRS } from "../trace/describe.ts";
import { Divergence, show } from "./divergence.ts";
import { EndOfLog, type LogCursor } from "./log.ts";

type Value = number | bigint;

const EVENT_NAMES: Record<number, string> = {
  [EVENT_EXIT_HANDLED]: "the end of the exit's handling",
  [EVENT_INTERRUPT]: "an interrupt",
  [EVENT_INTERRUPT_DONE]: "the end of an interrupt's handler",
  [EVENT_WAIT_DONE]: "the end of the wait",
  [EVENT_RUN_ENDED]: "the end of the run",
  [EVENT_LIMIT]: "the end of the recording",
  [EVENT_NEXT_WINDOW]: "the next window",
  [EVENT_MACHINE_STOPPED]: "the machine's stop",
  [EVENT_EXCEPTION]: "an exception in the hypervisor",
};

const HEAD_NAMES = [...GPRS, "tscExit", "tscEntry", "cr2", "hostStack", "hostVmcb"];

/** What the processor tells the replay. */
export interface CpuListener {
  /** The guest has been entered and has exited, or the entry has failed. */
  entered(head: DataView): void;
  /** The handling of an exit is over: what the log says of it. */
  handled(outcome: number, goOn: boolean): void;
  /** The log goes on with something that is not an intrinsic's: throws what ends the window. */
  ended(event: number): never;
  /** The processor takes an interrupt: runs its handler. */
  interrupt(vector: number): void;
}

export class ReplayCpu {
  /** Intrinsics answered. */
  answered = 0;
  /** The vCPU's head as the log last had it. */
  private known: bigint[] = [];
  private memory!: Uint8Array;
  private view!: DataView;

  constructor(
    private readonly log: LogCursor,
    private readonly names: readonly string[],
    private readonly fixed: { cpuBase: number; bootLayout: bigint },
    private readonly listener: CpuListener,
  ) {}

  /** Takes the restored memory; `vcpu`: the vCPU's address in it. */
  attach(memory: WebAssembly.Memory, vcpu: number): void {
    this.memory = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.known = Array.from({ length: HEAD_WORDS }, (_, word) =>
      this.view.getBigUint64(vcpu + 8 * word, true),
    );
  }

  /** Functions for the module's imports. */
  imports(module: WebAssembly.Module): WebAssembly.ModuleImports {
    const computed: Record<string, (...values: never[]) => Value | undefined> = {
      boot_layout: () => this.fixed.bootLayout,
      cpu_base: () => this.fixed.cpuBase,
      mul_high: (a: bigint, b: bigint) => (unsigned(a) * unsigned(b)) >> 64n,
      mul_shift32: (a: bigint, b: bigint) => (unsigned(a) * unsigned(b)) >> 32n,
      div_wide: (high: bigint, low: bigint, divisor: bigint) => divide(high, low, divisor),
      pause: () => void this.handled(),
      mfence: () => undefined,
      cli: () => undefined,
      sti: () => undefined,
    };
    const table: WebAssembly.ModuleImports = {};
    for (const { name } of WebAssembly.Module.imports(module)) {
      const spec = INTRINSICS[name];
      const event = this.names.indexOf(name);
      if (event >= 0 && spec !== undefined) table[name] = this.recorded(name, event, spec);
      else table[name] = computed[name] ?? (() => this.unrecorded(name));
    }
    return table;
  }

  /** An exit's handling may be over: takes its event from the log if it is next. */
  handled(): void {
    if (this.log.peek() !== EVENT_EXIT_HANDLED) return;
    this.log.byte();
    const outcome = Number(this.log.number());
    this.listener.handled(outcome, this.log.number() !== 0n);
    if (this.log.peek() === EVENT_NEXT_WINDOW) this.listener.ended(EVENT_NEXT_WINDOW);
  }

  /** One intrinsic: compares, answers, does to memory what the processor did. */
  private recorded(name: string, event: number, spec: Intrinsic): (...values: Value[]) => Value | undefined {
    const bytes = MEMORY_BYTES[name];
    return (...values) => {
      this.begin(name, event);
      values.forEach((value, i) => void this.check(`argument ${i + 1} of ${name}`, value));
      if (ENTRIES.has(name)) this.checkHead(Number(values[0]) >>> 0);
      const result = spec.result === "" ? undefined : this.log.number();
      if (bytes !== undefined && (bytes.when === undefined || bytes.when === `r == ${result}`)) {
        const length = /^a\d$/.test(bytes.length)
          ? Number(values[Number(bytes.length[1])])
          : Number(bytes.length);
        this.region(name, Number(values[bytes.at]) >>> 0, length, bytes.writes);
      }
      if (ENTRIES.has(name)) this.head(Number(values[0]) >>> 0);
      if (WAITS.has(name)) this.wait();
      this.answered++;
      if (result === undefined) return undefined;
      return spec.result === "i" ? Number(BigInt.asIntN(32, result)) : result;
    };
  }

  private begin(name: string, event: number): void {
    const next = this.log.peek();
    if (next === event) {
      this.log.byte();
      return;
    }
    if (next === undefined) throw new EndOfLog();
    if (next === EVENT_LIMIT || next === EVENT_MACHINE_STOPPED || next === EVENT_EXCEPTION)
      this.listener.ended(next);
    throw new Divergence("intrinsic", this.names[next] ?? EVENT_NAMES[next] ?? `event ${next}`, name);
  }

  private check(what: string, value: Value): void {
    const expected = this.log.number();
    const actual = typeof value === "number" ? BigInt(value >>> 0) : unsigned(value);
    if (actual !== expected) throw new Divergence(what, show(expected), show(actual));
  }

  /** What the intrinsic wrote to linear memory; or what it read there, which is compared. */
  private region(name: string, address: number, length: number, writes: boolean): void {
    const bytes = this.log.bytes(length);
    if (writes) {
      this.memory.set(bytes, address);
      return;
    }
    const held = this.memory.subarray(address, address + length);
    const at = bytes.findIndex((byte, i) => byte !== held[i]);
    if (at < 0) return;
    throw new Divergence(`byte ${at} that ${name} writes`, show(bytes[at] as number), show(held[at] ?? 0));
  }

  /** The guest is entered with these registers. */
  private checkHead(vcpu: number): void {
    this.readHead();
    for (let word = 0; word < HEAD_WORDS; word++) {
      const actual = this.view.getBigUint64(vcpu + 8 * word, true);
      const expected = this.known[word] as bigint;
      if (actual !== expected)
        throw new Divergence(`${HEAD_NAMES[word]} at the entry`, show(expected), show(actual));
    }
  }

  private readHead(): void {
    const changed = this.log.number();
    for (let word = 0; word < HEAD_WORDS; word++) {
      if ((changed >> BigInt(word)) & 1n) this.known[word] = this.log.number();
    }
  }

  /** The guest has exited with these registers. */
  private head(vcpu: number): void {
    this.readHead();
    this.known.forEach((value, word) => void this.view.setBigUint64(vcpu + 8 * word, value, true));
    this.listener.entered(new DataView(this.view.buffer, vcpu, 8 * HEAD_WORDS));
  }

  private wait(): void {
    while (this.log.peek() === EVENT_INTERRUPT) {
      this.log.byte();
      this.listener.interrupt(Number(this.log.number()));
      this.begin("the end of an interrupt's handler", EVENT_INTERRUPT_DONE);
    }
    this.begin("the end of the wait", EVENT_WAIT_DONE);
  }

  /** The report of a failure walks the stack: from there on there is nothing to replay. */
  private unrecorded(name: string): never {
    const next = this.log.peek();
    if (next === EVENT_MACHINE_STOPPED || next === undefined) this.listener.ended(EVENT_MACHINE_STOPPED);
    throw new Divergence("intrinsic", this.names[next] ?? EVENT_NAMES[next] ?? `event ${next}`, name);
  }
}

function unsigned(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function divide(high: bigint, low: bigint, divisor: bigint): bigint {
  const quotient =
    unsigned(divisor) === 0n ? -1n : ((unsigned(high) << 64n) | unsigned(low)) / unsigned(divisor);
  if (quotient < 0n || quotient >> 64n)
    throw new Divergence("div_wide", "a quotient of 64 bits", "an overflow");
  return quotient;
}
