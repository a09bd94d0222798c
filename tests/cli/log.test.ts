// The hypervisor's log as a stream: its end is noticed however it comes.
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { readLog } from "../../tools/machines/log.ts";

function logOf(stream: PassThrough) {
  const lines: string[] = [];
  return { lines, log: readLog(stream, (line) => lines.push(line)) };
}

test("a stream that ends: its last line, too, when it is not complete", async () => {
  const stream = new PassThrough();
  const { lines, log } = logOf(stream);
  stream.end("typevisor: one\r\ntypevisor: two");
  await log.ended;
  expect(lines).toEqual(["typevisor: one", "typevisor: two"]);
});

test("a connection that is reset ends the log, with what had arrived", async () => {
  const stream = new PassThrough();
  stream.on("error", () => {});
  const { lines, log } = logOf(stream);
  stream.write("typevisor: one\r\n");
  await new Promise((resolve) => setImmediate(resolve));
  stream.destroy(new Error("read ECONNRESET"));
  await log.ended;
  expect(lines).toEqual(["typevisor: one"]);
  expect(log.tail).toEqual(["typevisor: one"]);
});
