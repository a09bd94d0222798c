import { expect, test } from "vitest";
import { type EscapeCommand, EscapeFilter } from "../../tools/console/escape.ts";

/** Types the pieces one after the other. */
function type(...pieces: string[]) {
  const filter = new EscapeFilter(true);
  const commands: EscapeCommand[] = [];
  const sent = pieces.map((piece) => {
    return Buffer.from(filter.filter(Buffer.from(piece, "latin1"), (command) => commands.push(command)));
  });
  return { sent: Buffer.concat(sent).toString("latin1"), commands };
}

test("ordinary keys and Ctrl-C reach the guest", () => {
  expect(type("ls\r", "\x03", "\xff\x00")).toEqual({ sent: "ls\r\x03\xff\x00", commands: [] });
});

test("Ctrl-A x leaves, Ctrl-A h helps, whatever the case and the pieces", () => {
  expect(type("a\x01", "hb\x01X")).toEqual({ sent: "ab", commands: ["help", "quit"] });
});

test("Ctrl-A doubled, or followed by a, sends one Ctrl-A", () => {
  expect(type("1\x01\x012\x01a3")).toEqual({ sent: "1\x012\x013", commands: [] });
});

test("Ctrl-A before another key sends both", () => {
  expect(type("\x01e")).toEqual({ sent: "\x01e", commands: [] });
});
