// The last lines that were typed.

/** Lines kept, and bytes of each with its final zero. */
const LINES: u32 = 8;
const BYTES: u32 = 80;

const lines = memory.data(640, 16);
/** Lines ever added. */
let added: u32 = 0;

function slot(number: u32): usize {
  return lines + <usize>((number % LINES) * BYTES);
}

/** Keeps a line of `length` bytes below BYTES; not an empty one, nor the same twice in a row. */
export function historyAdd(line: usize, length: u32): void {
  if (length == 0 || (added != 0 && memory.compare(line, slot(added - 1), length + 1) == 0)) return;
  memory.copy(slot(added++), line, length + 1);
}

/** The line added `back` lines ago (1: the last one), ending in zero; 0 when it is not there. */
export function historyGet(back: u32): usize {
  return back > min(added, LINES) ? 0 : slot(added - back);
}
