// One line of input, edited as in a shell: cursor keys, Ctrl-A/E/U/W/K, history, completion.
import { logDecimal, logEnd, logText } from "../lib/log";
import { complete, completed, completedLength, completionStart } from "./complete";
import { historyAdd, historyGet } from "./history";
import {
  BELL,
  ESC,
  KEY_DOWN,
  KEY_END,
  KEY_HOME,
  KEY_LEFT,
  KEY_RIGHT,
  KEY_UP,
  put,
  readKey,
} from "./terminal";

/** Bytes of a line with its final zero: with the prompt it fits a terminal of 80 columns. */
const LINE_BYTES: u32 = 68;
const PROMPT: string = "typevisor> ";

const line = memory.data(80, 16);
let length: u32 = 0;
let cursor: u32 = 0;
/** How far back in the history the line is; 0: it is new. */
let back: u32 = 0;

/** Reads a line. Returns its linear address (it ends in zero), or 0 at Ctrl-D on an empty line. */
export function readLine(): usize {
  length = 0;
  cursor = 0;
  back = 0;
  logText(PROMPT);
  while (true) {
    const key = readKey();
    if (key == CTRL_D && length == 0) return 0;
    if (key == CARRIAGE_RETURN || key == LINE_FEED) break;
    edit(key);
  }
  store<u8>(line + length, 0);
  logEnd();
  historyAdd(line, length);
  return line;
}

const CTRL_A: u32 = 0x01;
const CTRL_C: u32 = 0x03;
const CTRL_D: u32 = 0x04;
const CTRL_E: u32 = 0x05;
const BACKSPACE: u32 = 0x08;
const TAB: u32 = 0x09;
const LINE_FEED: u32 = 0x0a;
const CTRL_K: u32 = 0x0b;
const CARRIAGE_RETURN: u32 = 0x0d;
const CTRL_U: u32 = 0x15;
const CTRL_W: u32 = 0x17;
const DELETE: u32 = 0x7f;

function edit(key: u32): void {
  switch (key) {
    case CTRL_A:
    case KEY_HOME:
      return moveTo(0);
    case CTRL_E:
    case KEY_END:
      return moveTo(length);
    case KEY_LEFT:
      return moveTo(cursor - (cursor != 0 ? 1 : 0));
    case KEY_RIGHT:
      return moveTo(min(cursor + 1, length));
    case KEY_UP:
      return recall(back + 1);
    case KEY_DOWN:
      return recall(back - (back != 0 ? 1 : 0));
    case BACKSPACE:
    case DELETE:
      return erase(cursor - (cursor != 0 ? 1 : 0), cursor);
    case CTRL_C:
      return erase(0, length);
    case CTRL_K:
      return erase(cursor, length);
    case CTRL_U:
      return erase(0, cursor);
    case CTRL_W:
      return erase(wordStart(), cursor);
    case TAB:
      return completeWord();
    default:
      if (key >= 0x20 && key < 0x7f) insert(key);
  }
}

/** Completes the word before the cursor, as far as that is certain; else shows what there is. */
function completeWord(): void {
  store<u8>(line + length, 0);
  if (!complete(line, cursor)) return put(BELL);
  // Typed letters may be of the wrong case.
  erase(completionStart(), cursor);
  for (let i: u32 = 0; i < completedLength(); i++) insert(load<u8>(completed() + i));
}

/** Puts a character in at the cursor. */
function insert(character: u32): void {
  if (length == LINE_BYTES - 1) {
    put(BELL);
    return;
  }
  memory.copy(line + cursor + 1, line + cursor, length - cursor);
  store<u8>(line + cursor, <u8>character);
  length++;
  cursor++;
  if (cursor == length) put(character);
  else redraw();
}

/** Takes the characters [from, to) out; the cursor is then where they were. */
function erase(from: u32, to: u32): void {
  memory.copy(line + from, line + to, length - to);
  length -= to - from;
  cursor = from;
  redraw();
}

function moveTo(column: u32): void {
  cursor = column;
  redraw();
}

/** Replaces the line by what was typed `steps` lines ago. */
function recall(steps: u32): void {
  const old = steps == 0 ? 0 : historyGet(steps);
  if (steps != 0 && old == 0) return put(BELL);
  back = steps;
  length = 0;
  if (old != 0)
    for (; load<u8>(old + length) != 0; length++) store<u8>(line + length, load<u8>(old + length));
  moveTo(length);
}

/** Where the word before the cursor begins. */
function wordStart(): u32 {
  let at = cursor;
  while (at > 0 && load<u8>(line + at - 1) == 0x20) at--;
  while (at > 0 && load<u8>(line + at - 1) != 0x20) at--;
  return at;
}

/** Writes the line again, and moves the terminal's cursor to ours. */
function redraw(): void {
  logText("\r");
  logText(PROMPT);
  for (let i: u32 = 0; i < length; i++) put(load<u8>(line + i));
  sequence(0, 0x4b);
  if (cursor != length) sequence(length - cursor, 0x44);
}

/** Control sequence `ESC [ number letter`. */
function sequence(number: u32, letter: u32): void {
  put(ESC);
  logText("[");
  logDecimal(number);
  put(letter);
}
