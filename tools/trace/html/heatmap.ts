// A heat map of exits: a line per reason, a column per bin of time. uPlot has none, and a canvas needs little.
import type { Color } from "./charts.ts";
import { element, onWidth, seconds } from "./elements.ts";
import type { Report } from "./report.ts";

const LINE_HEIGHT = 20;
/** Room for the names, at most a share of the width. */
const LABEL_WIDTH = 190;
const LABEL_SHARE = 0.4;
const AXIS_HEIGHT = 22;
/** Room for a time below the map. */
const MARK_WIDTH = 105;
const FONT = "12px system-ui, sans-serif";

/** Sizes in pixels of the page. */
interface Layout {
  width: number;
  labels: number;
}

export function heatMap(report: Report, color: Color): HTMLElement {
  const canvas = element("canvas", { className: "heat" });
  const reading = element("div", { className: "reading" });
  const host = element("div", {}, canvas, reading);
  let layout: Layout = { width: 0, labels: 0 };
  onWidth(host, (width) => {
    layout = { width, labels: Math.min(LABEL_WIDTH, width * LABEL_SHARE) };
    draw(sized(canvas, width, report.reasons.length * LINE_HEIGHT + AXIS_HEIGHT), report, color, layout);
  });
  canvas.addEventListener("mousemove", (event) => {
    const box = canvas.getBoundingClientRect();
    reading.textContent = describe(report, layout, event.clientX - box.left, event.clientY - box.top);
  });
  return host;
}

/** Gives a canvas its size, in as many points as the screen has. */
function sized(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.scale(scale, scale);
  return context;
}

const binsOf = (report: Report) => report.reasons[0]?.bins.length ?? 0;

function draw(context: CanvasRenderingContext2D, report: Report, color: Color, layout: Layout): void {
  const style = getComputedStyle(document.documentElement);
  const binWidth = (layout.width - layout.labels) / Math.max(binsOf(report), 1);
  const most = Math.log2(1 + Math.max(...report.reasons.flatMap(({ bins }) => bins), 1));
  context.font = FONT;
  context.textBaseline = "middle";
  report.reasons.forEach(({ name, bins }, line) => {
    const y = line * LINE_HEIGHT;
    context.fillStyle = style.getPropertyValue("--text");
    context.globalAlpha = 1;
    context.fillText(fitting(context, name, layout.labels - 10), 0, y + LINE_HEIGHT / 2);
    context.fillStyle = color(name);
    bins.forEach((count, bin) => {
      if (count === 0) return;
      context.globalAlpha = 0.1 + (0.9 * Math.log2(1 + count)) / most;
      context.fillRect(layout.labels + bin * binWidth, y + 1, Math.max(binWidth, 1), LINE_HEIGHT - 2);
    });
  });
  context.globalAlpha = 1;
  context.fillStyle = style.getPropertyValue("--dim");
  drawTimes(context, report, layout);
}

/** A name, or as much of it as there is room for: squeezed letters cannot be read. */
function fitting(context: CanvasRenderingContext2D, name: string, width: number): string {
  if (context.measureText(name).width <= width) return name;
  let length = name.length;
  while (length > 1 && context.measureText(`${name.slice(0, length)}…`).width > width) length--;
  return `${name.slice(0, length)}…`;
}

function drawTimes(context: CanvasRenderingContext2D, report: Report, { width, labels }: Layout): void {
  const y = report.reasons.length * LINE_HEIGHT + AXIS_HEIGHT / 2;
  const marks = Math.max(Math.floor((width - labels) / MARK_WIDTH), 1);
  for (let mark = 0; mark < marks; mark++) {
    const bin = Math.round((binsOf(report) * mark) / marks);
    const x = labels + (bin * (width - labels)) / Math.max(binsOf(report), 1);
    context.fillText(seconds(bin * report.binSeconds), x, y);
  }
}

/** What lies under the pointer. */
function describe(report: Report, { width, labels }: Layout, x: number, y: number): string {
  const reason = report.reasons[Math.floor(y / LINE_HEIGHT)];
  const bin = Math.floor(((x - labels) / (width - labels)) * binsOf(report));
  const count = reason?.bins[bin];
  if (reason === undefined || count === undefined) return "";
  return `${reason.name}: ${count} exits in ${seconds(report.binSeconds)} from ${seconds(bin * report.binSeconds)} on`;
}
