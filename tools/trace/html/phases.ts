// The phases of a guest's life as far as exits tell them: by where the code lies that exits.
import type { Phase } from "./report.ts";

const SHOWN_REASONS = 4;
/** Canonical addresses: kernels live in the upper half, programs in the lower. */
const UPPER_HALF = 1n << 63n;

const NAMES: [name: string, explanation: string][] = [
  ["Start", "code at low addresses: firmware, boot loader, the kernel unpacking itself"],
  ["Kernel", "the kernel runs at its own addresses; no program has run yet"],
  ["Programs", "from the first exit of a program on; the kernel's exits on its behalf are here too"],
];
const START = 0;
const KERNEL = 1;
const PROGRAMS = 2;

interface Count {
  from: number;
  to: number;
  exits: number;
  time: number;
  reasons: Map<string, number>;
}

export class Phases {
  private readonly counts: Count[] = [];
  private current = START;

  /** Seconds since the trace began, and seconds that the exit took. */
  add(rip: bigint, reason: string, seconds: number, taken: number): void {
    if (rip >= UPPER_HALF) this.current = Math.max(this.current, KERNEL);
    else if (this.current === KERNEL) this.current = PROGRAMS;
    const count = this.phase(seconds);
    count.to = Math.max(count.to, seconds + taken);
    count.exits++;
    count.time += taken;
    count.reasons.set(reason, (count.reasons.get(reason) ?? 0) + 1);
  }

  result(): Phase[] {
    return this.counts.flatMap((count, phase) => {
      const [name, explanation] = NAMES[phase] as [string, string];
      const reasons = [...count.reasons].sort(([, a], [, b]) => b - a).slice(0, SHOWN_REASONS);
      const { from, to, exits, time } = count;
      return [{ name, explanation, from, to, exits, time, reasons }];
    });
  }

  private phase(seconds: number): Count {
    let count = this.counts[this.current];
    if (count === undefined) {
      count = { from: seconds, to: seconds, exits: 0, time: 0, reasons: new Map() };
      this.counts[this.current] = count;
    }
    return count;
  }
}
