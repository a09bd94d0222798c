// The line charts of the report page, drawn by uPlot.
import uPlot from "uplot";
import { element, onWidth, seconds } from "./elements.ts";
import { BUCKETS_PER_DOUBLING, LATENCY_BUCKETS, type ReasonRow, type Report } from "./report.ts";

/** Reasons with lines of their own; a chart with more cannot be read. */
const SHOWN_REASONS = 8;
const HEIGHT = 300;
export type Color = (name: string) => string;

function axisStyle(): Pick<uPlot.Axis, "stroke" | "grid" | "ticks"> {
  const style = getComputedStyle(document.documentElement);
  const line = { stroke: style.getPropertyValue("--line"), width: 1 };
  return { stroke: style.getPropertyValue("--dim"), grid: line, ticks: line };
}

function lines(
  report: Report,
  color: Color,
  value: (_: uPlot, value: number | null) => string,
): uPlot.Series[] {
  return report.reasons
    .slice(0, SHOWN_REASONS)
    .map(({ name }) => ({ label: name, stroke: color(name), width: 1.5, value, points: { show: false } }));
}

/** A chart as wide as the page, whatever becomes of the window. */
function chart(options: Omit<uPlot.Options, "width" | "height">, data: uPlot.AlignedData): HTMLElement {
  const host = element("div", {});
  let made: uPlot | undefined;
  onWidth(host, (width) => {
    if (made === undefined) made = new uPlot({ ...options, width, height: HEIGHT }, data, host);
    else made.setSize({ width, height: HEIGHT });
  });
  return host;
}

/** Exits per second over time. */
export function rateChart(report: Report, color: Color): HTMLElement {
  const bins = report.reasons[0]?.bins.length ?? 0;
  const x = Array.from({ length: bins }, (_, i) => (i + 0.5) * report.binSeconds);
  const shown = report.reasons.slice(0, SHOWN_REASONS);
  return chart(
    {
      scales: { x: { time: false } },
      axes: [
        { ...axisStyle(), values: (_, ticks) => ticks.map((tick) => `${tick} s`) },
        { ...axisStyle(), size: 70, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) },
      ],
      series: [
        { label: "time", value: (_, value) => (value === null ? "" : seconds(value)) },
        ...lines(report, color, (_, value) => (value === null ? "" : `${Math.round(value)}/s`)),
      ],
    },
    [x, ...shown.map(({ bins }) => bins.map((count) => count / report.binSeconds))],
  );
}

/** Share of a reason's exits by how long they took. */
export function latencyChart(report: Report, color: Color): HTMLElement {
  const shown = report.reasons.slice(0, SHOWN_REASONS);
  const [first, last] = usedBuckets(shown);
  const buckets = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return chart(
    {
      scales: { x: { time: false } },
      axes: [
        {
          ...axisStyle(),
          incrs: [1, 2, 4, 8, 16].map((doublings) => doublings * BUCKETS_PER_DOUBLING),
          values: (_, ticks) => ticks.map((tick) => seconds(bucketStart(tick))),
        },
        { ...axisStyle(), size: 60, values: (_, ticks) => ticks.map((tick) => `${tick} %`) },
      ],
      series: [
        {
          label: "from",
          value: (_, value) =>
            value === null ? "" : `${seconds(bucketStart(value))} to ${seconds(bucketStart(value + 1))}`,
        },
        ...lines(report, color, (_, value) => (value === null ? "" : `${value.toFixed(1)} %`)),
      ],
    },
    [buckets, ...shown.map(({ latency, count }) => buckets.map((b) => (100 * (latency[b] ?? 0)) / count))],
  );
}

/** Seconds at which a bucket begins. */
function bucketStart(bucket: number): number {
  return 2 ** (bucket / BUCKETS_PER_DOUBLING) * 1e-9;
}

/** The first and last bucket that any of the reasons uses, with an empty one on either side. */
function usedBuckets(reasons: ReasonRow[]): [first: number, last: number] {
  const used = Array.from({ length: LATENCY_BUCKETS }, (_, b) => b).filter((b) =>
    reasons.some(({ latency }) => (latency[b] ?? 0) > 0),
  );
  return [Math.max((used[0] ?? 0) - 1, 0), Math.min((used.at(-1) ?? 0) + 1, LATENCY_BUCKETS - 1)];
}
