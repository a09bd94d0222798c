import { expect, test } from "vitest";
import { ExecFrame, encodeExec } from "../../tools/console/exec.ts";
import { UserError } from "../../tools/lib/user-error.ts";

/** Feeds a stream in pieces of `size` bytes. */
function feed(stream: string, size: number) {
  const frame = new ExecFrame("n0nce");
  const bytes = Buffer.from(stream, "latin1");
  let output = "";
  for (let at = 0; at < bytes.length; at += size) {
    output += Buffer.from(frame.push(bytes.subarray(at, at + size))).toString("latin1");
  }
  return { output, status: frame.status, started: frame.started };
}

const sizes = [1, 2, 3, 7, 16, 1000];

test.each(sizes)("output and status are found in pieces of %i bytes", (size) => {
  const stream =
    "boot noise\r\ntypevisor:n0nce:begin\nhello\r\n\x00\xfftail without newlinetypevisor:n0nce:end:7\nPower down";
  expect(feed(stream, size)).toEqual({
    output: "hello\r\n\x00\xfftail without newline",
    status: 7,
    started: true,
  });
});

test.each(sizes)("what looks like a frame of another run is output, in pieces of %i bytes", (size) => {
  const fake = "typevisor:other:end:3\ntypevisor:n0nce:en typevisor:n0nce:begin\n";
  const { output, status } = feed(`typevisor:n0nce:begin\n${fake}typevisor:n0nce:end:0\n`, size);
  expect(output).toBe(fake);
  expect(status).toBe(0);
});

test.each(sizes)("requests for input are no output, in pieces of %i bytes", (size) => {
  const more = "typevisor:n0nce:more\n";
  let requests = 0;
  const frame = new ExecFrame("n0nce", { request: () => requests++ });
  const stream = `typevisor:n0nce:begin\n${more}one${more}${more}two typevisor:n0nce:mor typevisor:n0nce:end:0\n`;
  const bytes = Buffer.from(stream);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    frame.push(bytes.subarray(i * size, (i + 1) * size)),
  );
  expect(Buffer.concat(pieces).toString()).toBe("onetwo typevisor:n0nce:mor ");
  expect([requests, frame.status]).toEqual([3, 0]);
});

test("without a frame there is no output and no status", () => {
  expect(feed("Kernel panic - not syncing", 5)).toEqual({ output: "", status: undefined, started: false });
});

test("without an end there is output but no status", () => {
  expect(feed("typevisor:n0nce:begin\npartial typevisor:n0", 4)).toEqual({
    output: "partial ",
    status: undefined,
    started: true,
  });
});

test("commands survive the trip through a kernel command line", () => {
  for (const command of ["true", "echo 'a  b' \"$HOME\" && exit 3", "printf '\\377äöü\\n'", "a\nb"]) {
    const { bootArgs } = encodeExec(command);
    const encoded = /typevisor\.exec=([A-Za-z0-9_-]+)$/.exec(bootArgs)?.[1];
    expect(
      Buffer.from(encoded ?? "", "base64url")
        .toString()
        .trimEnd(),
    ).toBe(command);
  }
});

test("a command that does not fit is refused with the limit", () => {
  expect(() => encodeExec("x".repeat(2000))).toThrow(UserError);
  expect(() => encodeExec("x".repeat(2000))).toThrow(/2000 bytes; at most \d+ fit/);
  expect(() => encodeExec("x".repeat(1347))).not.toThrow();
});
