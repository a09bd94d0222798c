// A heat map of exits: a line per reason, a column per bin of time. uPlot has none, and a canvas needs little.
import { element, seconds } from "./elements.ts";
import type { Report } from "./report.ts";

const LINE_HEIGHT = 20;
const LABEL_WIDTH = 190;
const WIDTH = 1032;
const AXIS_HEIGHT = 22;
const TIME_MARKS = 8;

export function heatMap(report: Report): HTMLElement {
  const canvas = element("canvas", { className: "heat" });
  const reading = element("div", { className: "reading" });
  const height = report.reasons.length * LINE_HEIGHT + AXIS_HEIGHT;
  const scale = window.devicePixelRatio;
  canvas.width = WIDTH * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.scale(scale, scale);
  draw(context, report);
  canvas.addEventListener("mousemove", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) * WIDTH) / box.width;
    const y = ((event.clientY - box.top) * height) / box.height;
    reading.textContent = describe(report, x, y);
  });
  return element("div", {}, canvas, reading);
}

const binsOf = (report: Report) => report.reasons[0]?.bins.length ?? 0;

function draw(context: CanvasRenderingContext2D, report: Report): void {
  const style = getComputedStyle(document.documentElement);
  const binWidth = (WIDTH - LABEL_WIDTH) / Math.max(binsOf(report), 1);
  const most = Math.log2(1 + Math.max(...report.reasons.flatMap(({ bins }) => bins), 1));
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  report.reasons.forEach(({ name, bins }, line) => {
    const y = line * LINE_HEIGHT;
    context.fillStyle = style.getPropertyValue("--text");
    context.globalAlpha = 1;
    context.fillText(name, 0, y + LINE_HEIGHT / 2, LABEL_WIDTH - 10);
    context.fillStyle = style.getPropertyValue("--bar");
    bins.forEach((count, bin) => {
      if (count === 0) return;
      context.globalAlpha = 0.1 + (0.9 * Math.log2(1 + count)) / most;
      context.fillRect(LABEL_WIDTH + bin * binWidth, y + 1, Math.max(binWidth, 1), LINE_HEIGHT - 2);
    });
  });
  drawTimes(context, report, binWidth, style.getPropertyValue("--dim"));
}

function drawTimes(context: CanvasRenderingContext2D, report: Report, binWidth: number, color: string): void {
  const y = report.reasons.length * LINE_HEIGHT + AXIS_HEIGHT / 2;
  context.globalAlpha = 1;
  context.fillStyle = color;
  for (let mark = 0; mark < TIME_MARKS; mark++) {
    const bin = Math.round((binsOf(report) * mark) / TIME_MARKS);
    context.fillText(seconds(bin * report.binSeconds), LABEL_WIDTH + bin * binWidth, y);
  }
}

/** What lies under the pointer. */
function describe(report: Report, x: number, y: number): string {
  const reason = report.reasons[Math.floor(y / LINE_HEIGHT)];
  const bin = Math.floor(((x - LABEL_WIDTH) / (WIDTH - LABEL_WIDTH)) * binsOf(report));
  const count = reason?.bins[bin];
  if (reason === undefined || count === undefined) return "";
  return `${reason.name}: ${count} exits in ${seconds(report.binSeconds)} from ${seconds(bin * report.binSeconds)} on`;
}
