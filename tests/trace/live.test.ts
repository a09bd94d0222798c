// The live view: its numbers, and on a terminal a file that grows while it is shown.
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXIT_CPUID } from "../../kernel/abi/exits.ts";
import { FrameSplitter } from "../../tools/trace/frames.ts";
import { LiveTable } from "../../tools/trace/live.ts";
import { FrameDecoder } from "../../tools/trace/reader.ts";
import { Terminal, typevisor } from "../cli/cli.ts";
import { writeLongTrace } from "./long.ts";
import { exitAt, HZ, stream, svmSample, temporary, traceFile } from "./sample.ts";

const SECOND = Number(HZ);

test("rates are those of the last whole second of the trace", () => {
  const cpuid = (at: number) => exitAt(at, 2000, { reason: 0x72, kind: EXIT_CPUID });
  const records = [0.1, 0.2, 1.1, 1.5, 1.9, 2.5].map((seconds) => cpuid(seconds * SECOND));
  const table = new LiveTable();
  const decoder = new FrameDecoder(table.visitor);
  for (const frame of new FrameSplitter().push(stream(records, { lost: 4n }))) decoder.frame(frame);
  const lines = table.lines("x", 50);
  expect(lines[0]).toBe("x (svm): second 2, 3 exits/s, 6 in all, 4 lost");
  expect(lines[3]?.trim().split(/\s+/).slice(0, 4)).toEqual(["cpuid", "3", "6", "2.00us"]);
  expect(table.ended).toBe(true);
  expect(table.lines("x", 2)).toHaveLength(2);
});

test("a growing file on a terminal, to its end", async () => {
  const path = join(temporary(), "growing.trace");
  const whole = stream(svmSample);
  writeFileSync(path, whole.subarray(0, 20));
  const terminal = new Terminal(`stty rows 24 cols 100; $TYPEVISOR trace ${path} --live; echo status $?`);
  await terminal.expect("waiting for the first exits");
  appendFileSync(path, whole.subarray(20));
  await terminal.expect("6 in all");
  await terminal.expect("status 0");
});

test("a long file is shown piece by piece, so that it can be left", async () => {
  const path = join(temporary(), "long.trace");
  const frames: Buffer[] = [];
  await writeLongTrace(200_000, (frame) => frames.push(frame));
  writeFileSync(path, Buffer.concat(frames));
  const terminal = new Terminal(`stty rows 24 cols 100; $TYPEVISOR trace ${path} --live; echo status $?`);
  await terminal.expect("status 0");
  const totals = new Set(Array.from(terminal.screen.matchAll(/(\d+) in all/g), ([, total]) => Number(total)));
  // More than three pieces of 1 MiB.
  expect(totals.size).toBeGreaterThan(3);
  expect(Math.max(...totals)).toBe(200_000);
});

test("without a terminal it is refused", async () => {
  const { stderr, status } = await typevisor(["trace", traceFile(stream(svmSample)), "--live"]);
  expect(stderr).toMatch(/--live needs a terminal/);
  expect(status).toBe(125);
});
