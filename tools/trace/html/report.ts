// What the HTML report shows: plain numbers, collected here and drawn by the page's own script (page.ts).

/** Durations are counted in this many buckets per doubling. */
export const BUCKETS_PER_DOUBLING = 4;
/** Bucket n begins at 2^(n / BUCKETS_PER_DOUBLING) ns; the last holds whatever is longer. */
export const LATENCY_BUCKETS = 160;

export interface ReasonRow {
  name: string;
  count: number;
  /** Seconds. */
  time: number;
  latency: number[];
  /** Exits in each bin of time. */
  bins: number[];
}

export interface HotSpot {
  /** Hexadecimal, or `symbol+offset (address)`. */
  place: string;
  count: number;
  time: number;
  /** The reason met most often there. */
  reason: string;
}

export interface Phase {
  name: string;
  explanation: string;
  /** Seconds after the trace began. */
  from: number;
  to: number;
  exits: number;
  time: number;
  /** The most frequent reasons with their counts. */
  reasons: [name: string, count: number][];
}

export interface Report {
  title: string;
  backend: string;
  exits: number;
  lost: number;
  /** Seconds: the whole trace, in exits other than HLT, waiting in HLT, and spent sending the trace. */
  duration: number;
  exitTime: number;
  haltTime: number;
  overheadTime: number;
  /** Seconds a bin. */
  binSeconds: number;
  /** Most frequent first. */
  reasons: ReasonRow[];
  hotSpots: HotSpot[];
  /** Addresses that were too many to be kept. */
  hotSpotsDropped: number;
  phases: Phase[];
  /** Anything that is missing, in words. */
  warnings: string[];
}
