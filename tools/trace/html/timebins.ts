// Counts over time in a bounded number of bins, without knowing how long the trace is: when time outruns the bins, they
// become twice as wide and pairs of them are added up.

const MAX_BINS = 512;
const FIRST_WIDTH_SECONDS = 1 / 1024;

export class TimeBins {
  /** Seconds a bin. */
  width = FIRST_WIDTH_SECONDS;
  /** Bins in use. */
  used = 0;
  private readonly rows = new Map<string, Float64Array>();

  add(row: string, seconds: number): void {
    while (seconds >= this.width * MAX_BINS) this.widen();
    const bin = Math.max(Math.floor(seconds / this.width), 0);
    this.used = Math.max(this.used, bin + 1);
    let bins = this.rows.get(row);
    if (bins === undefined) {
      bins = new Float64Array(MAX_BINS);
      this.rows.set(row, bins);
    }
    bins[bin] = (bins[bin] as number) + 1;
  }

  /** The bins in use of a row. */
  row(name: string): number[] {
    return Array.from(this.rows.get(name)?.subarray(0, this.used) ?? []);
  }

  private widen(): void {
    this.width *= 2;
    this.used = Math.ceil(this.used / 2);
    for (const bins of this.rows.values()) {
      for (let i = 0; i < MAX_BINS / 2; i++) bins[i] = (bins[2 * i] as number) + (bins[2 * i + 1] as number);
      bins.fill(0, MAX_BINS / 2);
    }
  }
}
