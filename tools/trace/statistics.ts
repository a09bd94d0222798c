// Counts and times by key, and the table that `perf kvm stat report` prints for them: the same columns, in the same order.

/** Count, total, extremes and spread of a series of times in TSC ticks. */
export class Series {
  count = 0;
  total = 0;
  min = Number.POSITIVE_INFINITY;
  max = 0;
  private mean = 0;
  private squares = 0;

  /** Adds one time. Mean and spread by Welford's recurrence, so that long traces lose no precision. */
  add(ticks: number): void {
    this.count++;
    this.total += ticks;
    if (ticks < this.min) this.min = ticks;
    if (ticks > this.max) this.max = ticks;
    const delta = ticks - this.mean;
    this.mean += delta / this.count;
    this.squares += delta * (ticks - this.mean);
  }

  get average(): number {
    return this.mean;
  }

  /** Standard error of the mean, in percent of the mean: the `( +- x% )` of perf. */
  get relativeError(): number {
    if (this.count < 2 || this.mean === 0) return 0;
    return (100 * Math.sqrt(this.squares / (this.count - 1) / this.count)) / this.mean;
  }
}

/** Series by key. */
export class Statistics {
  readonly series = new Map<string, Series>();

  add(key: string, ticks: number): void {
    let series = this.series.get(key);
    if (series === undefined) {
      series = new Series();
      this.series.set(key, series);
    }
    series.add(ticks);
  }
}

export const SORT_KEYS = [
  "sample",
  "percent_sample",
  "time",
  "percent_time",
  "min_time",
  "max_time",
  "mean_time",
] as const;
export type SortKey = (typeof SORT_KEYS)[number];

const value: Record<SortKey, (series: Series) => number> = {
  sample: (s) => s.count,
  percent_sample: (s) => s.count,
  time: (s) => s.total,
  percent_time: (s) => s.total,
  min_time: (s) => s.min,
  max_time: (s) => s.max,
  mean_time: (s) => s.average,
};

/** Keys and series in descending order; equal ones by name, so that the same trace always prints the same. */
export function sorted(statistics: Statistics, key: SortKey): [string, Series][] {
  return [...statistics.series].sort(
    ([nameA, a], [nameB, b]) => value[key](b) - value[key](a) || (nameA < nameB ? -1 : 1),
  );
}

/**
 * The table as text.
 * @param heading the key column's title, as perf's: "VM-EXIT", "MMIO Access", "IO Port Access" …
 */
export function formatTable(
  statistics: Statistics,
  heading: string,
  key: SortKey,
  tscHz: number,
  title: string,
): string {
  const rows = sorted(statistics, key);
  const samples = rows.reduce((sum, [, series]) => sum + series.count, 0);
  const ticks = rows.reduce((sum, [, series]) => sum + series.total, 0);
  const micros = (t: number) => `${((t * 1e6) / tscHz).toFixed(2)}us`;
  const percent = (part: number, whole: number) => `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(2)}%`;
  const lines = [
    title,
    "",
    [
      heading.padStart(24),
      "Samples".padStart(10),
      "Samples%".padStart(9),
      "Time%".padStart(9),
      "Min Time".padStart(12),
      "Max Time".padStart(12),
      "Avg time".padStart(12),
    ].join(" "),
    "",
    ...rows.map(([name, s]) =>
      [
        name.padStart(24),
        String(s.count).padStart(10),
        percent(s.count, samples).padStart(9),
        percent(s.total, ticks).padStart(9),
        micros(s.min).padStart(12),
        micros(s.max).padStart(12),
        micros(s.average).padStart(12),
        `( +- ${s.relativeError.toFixed(2).padStart(6)}% )`,
      ].join(" "),
    ),
    "",
    `Total Samples:${samples}, Total events handled time:${micros(ticks)}.`,
  ];
  return `${lines.join("\n")}\n`;
}
