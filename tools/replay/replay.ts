// Runs the recorded WebAssembly module over the recorded windows: the same code, the same answers, so the same outcome, or the
// difference is reported.
import {
  EVENT_EXCEPTION,
  EVENT_LIMIT,
  EVENT_MACHINE_STOPPED,
  EVENT_NEXT_WINDOW,
  EVENT_RUN_ENDED,
  HEAD_TSC_ENTRY,
} from "../../kernel/abi/recording.ts";
import { RECORD_BYTES, RECORD_OUTCOME } from "../../kernel/abi/trace.ts";
import { ReplayCpu } from "./cpu.ts";
import { Divergence, show } from "./divergence.ts";
import { EndOfLog, LogCursor } from "./log.ts";
import { globalName, type ReplayModule } from "./module.ts";
import type { Recording, Window } from "./reader.ts";

/** How a window ended. */
export type WindowEnd = "next window" | "stopped" | "limit" | "machine stopped" | "exception" | "cut off";

/** Who watches a replay. */
export interface ReplayWatcher {
  /** Exit `number` is about to be handled; `at`: offset in the window's log. */
  exit?(number: number, at: number): void;
  /**
   * An exit has been handled. `record`: its exit record (kernel/abi/trace.ts), valid until the call returns; `intrinsics`:
   * how many it used. The time of the next entry comes with the next exit.
   */
  handled?(number: number, record: DataView, intrinsics: number): void;
  /** The guest was entered again after the exit that was handled last, at this TSC. */
  entered?(tsc: bigint): void;
}

export interface Replayed {
  exits: number;
  intrinsics: number;
  windows: number;
  /** Windows at whose end all of the hypervisor's state was what the next one begins with. */
  compared: number;
  end: WindowEnd;
  divergence?: Divergence;
  /** Number of the exit that was being handled at the end, if one was. */
  open?: number;
}

/** Thrown through the WebAssembly code where a window ends. */
class EndOfWindow extends Error {
  constructor(readonly event: number) {
    super("end of the window");
  }
}

const ENDS: Record<number, WindowEnd> = {
  [EVENT_NEXT_WINDOW]: "next window",
  [EVENT_RUN_ENDED]: "stopped",
  [EVENT_LIMIT]: "limit",
  [EVENT_MACHINE_STOPPED]: "machine stopped",
  [EVENT_EXCEPTION]: "exception",
};

interface Exports {
  memory: WebAssembly.Memory;
  interrupt: (vector: number) => void;
  replay_run: (vcpu: number) => void;
  replay_record: () => number;
}

const STACK_FRAMES = 50;

/** Replays all windows, or up to the first difference. */
export async function replay(
  recording: Recording,
  module: ReplayModule,
  watcher: ReplayWatcher = {},
): Promise<Replayed> {
  // A difference is told with all of the kernel's frames, not only V8's usual ten.
  Error.stackTraceLimit = STACK_FRAMES;
  const compiled = await WebAssembly.compile(module.wasm as BufferSource);
  const total: Replayed = { exits: 0, intrinsics: 0, windows: 0, compared: 0, end: "cut off" };
  for (const [index, window] of recording.windows.entries()) {
    const next = recording.windows[index + 1];
    const run = new WindowReplay(recording, window, next, module, watcher);
    Object.assign(total, await run.run(compiled), {
      exits: total.exits + run.exits,
      intrinsics: total.intrinsics + run.intrinsics,
      windows: total.windows + 1,
      compared: total.compared + run.compared,
    });
    if (total.divergence !== undefined) break;
  }
  return total;
}

class WindowReplay {
  exits = 0;
  compared = 0;
  private readonly log: LogCursor;
  private readonly cpu: ReplayCpu;
  private exports!: Exports;
  private instance!: WebAssembly.Instance;
  private open: number | undefined;
  private answeredBefore = 0;

  constructor(
    recording: Recording,
    private readonly window: Window,
    private readonly next: Window | undefined,
    private readonly module: ReplayModule,
    private readonly watcher: ReplayWatcher,
  ) {
    this.log = new LogCursor(window.log);
    this.cpu = new ReplayCpu(this.log, recording.header.intrinsics, window, {
      entered: (head) => this.entered(head),
      handled: (outcome, goOn) => this.handled(outcome, goOn),
      ended: (event) => this.ended(event),
      interrupt: (vector) => this.exports.interrupt(vector),
    });
  }

  get intrinsics(): number {
    return this.cpu.answered;
  }

  async run(compiled: WebAssembly.Module): Promise<Pick<Replayed, "end" | "divergence" | "open">> {
    this.instance = await WebAssembly.instantiate(compiled, { intrinsics: this.cpu.imports(compiled) });
    this.exports = this.instance.exports as unknown as Exports;
    this.restore();
    try {
      this.exports.replay_run(this.window.vcpu);
      return { end: this.finish() };
    } catch (error) {
      return this.explain(error as Error);
    }
  }

  private restore(): void {
    const memory = new Uint8Array(this.exports.memory.buffer);
    memory.fill(0);
    for (const { address, bytes } of this.window.memory) memory.set(bytes, address);
    this.cpu.attach(this.exports.memory, this.window.vcpu);
    this.module.globals.forEach(({ wide, mutable }, index) => {
      const value = this.window.globals[index] as bigint;
      if (mutable)
        this.global(index).value = wide ? BigInt.asIntN(64, value) : Number(BigInt.asIntN(32, value));
    });
  }

  private global(index: number): WebAssembly.Global {
    return this.instance.exports[globalName(index)] as WebAssembly.Global;
  }

  private entered(head: DataView): void {
    if (this.exits > 0) this.watcher.entered?.(head.getBigUint64(8 * HEAD_TSC_ENTRY, true));
    this.open = this.window.firstExit + this.exits;
    this.answeredBefore = this.cpu.answered;
    this.watcher.exit?.(this.open, this.log.at);
  }

  private handled(outcome: number, goOn: boolean): void {
    const record = new DataView(this.exports.memory.buffer, this.exports.replay_record(), RECORD_BYTES);
    const number = this.open ?? 0;
    const actual = record.getUint8(RECORD_OUTCOME);
    if (actual !== outcome) throw new Divergence("outcome", `${outcome}`, `${actual}`);
    this.exits++;
    this.open = undefined;
    this.watcher.handled?.(number, record, this.cpu.answered - this.answeredBefore);
    this.goOn = goOn;
  }

  private goOn = true;

  private ended(event: number): never {
    if (event === EVENT_NEXT_WINDOW) this.compare();
    throw new EndOfWindow(event);
  }

  /** The backend's loop has ended: so it must have in the recording. */
  private finish(): WindowEnd {
    if (this.log.atEnd) return "cut off";
    if (this.log.peek() !== EVENT_RUN_ENDED || this.goOn)
      throw new Divergence("after the exit", "another entry", "the end");
    return "stopped";
  }

  private explain(error: Error): Pick<Replayed, "end" | "divergence" | "open"> {
    const { open } = this;
    if (error instanceof EndOfLog) return { end: "cut off", open };
    if (error instanceof EndOfWindow) return { end: ENDS[error.event] ?? "cut off", open };
    const divergence = error instanceof Divergence ? error : trapped(error);
    divergence.exit = open ?? this.window.firstExit + this.exits;
    return { end: "cut off", divergence, open };
  }

  /** The state at the end must be that which the next window begins with. */
  private compare(): void {
    const { next } = this;
    if (next === undefined) return;
    const expected = new Uint8Array(next.memoryBytes);
    for (const { address, bytes } of next.memory) expected.set(bytes, address);
    const actual = new Uint8Array(this.exports.memory.buffer);
    const { start, bytes } = this.window.recorder;
    expected.set(actual.subarray(start, start + bytes), start);
    if (Buffer.compare(expected, actual) !== 0) {
      const at = expected.findIndex((byte, i) => byte !== actual[i]);
      throw new Divergence(
        `linear memory at ${show(at)}`,
        show(expected[at] as number),
        show(actual[at] as number),
      );
    }
    this.module.globals.forEach(({ wide }, index) => {
      const value = BigInt.asUintN(wide ? 64 : 32, BigInt(this.global(index).value));
      const wanted = BigInt.asUintN(wide ? 64 : 32, next.globals[index] as bigint);
      if (value !== wanted) throw new Divergence(`global ${index}`, show(wanted), show(value));
    });
    this.compared = 1;
  }
}

/** A trap of WebAssembly, or a bug of the replay itself. */
function trapped(error: Error): Divergence {
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  const divergence = new Divergence("the code", "to go on", `a trap (${error.message})`);
  divergence.stack = error.stack;
  return divergence;
}
