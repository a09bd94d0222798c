// Standard input for the command of `--exec`. The guest's console is a serial port, whose buffers lose what nobody takes in
// time; so the guest asks for each block when it has room for it. Blocks are base64 of any bytes, filled up with newlines to
// one length; a block without data is the end.
import { fstatSync } from "node:fs";
import type { Readable } from "node:stream";

/** Bytes of a block on the console, as /etc/session reads them. Linux's terminals hold 4095 bytes. */
export const BLOCK_BYTES = 4000;
const DATA_BYTES = (BLOCK_BYTES / 4) * 3 - 3;

/** Whether descriptor 0 may have input for a command: a pipe, a socket or a file, and neither a terminal nor /dev/null. */
export function hasInput(): boolean {
  try {
    const input = fstatSync(0);
    return input.isFIFO() || input.isSocket() || input.isFile();
  } catch {
    // Closed.
    return false;
  }
}

/** A block of at most DATA_BYTES bytes. */
function block(data: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(data).toString("base64").padEnd(BLOCK_BYTES, "\n"));
}

/** Answers the guest's requests from a stream; reads no more of it than they need. */
export class ExecInput {
  #held: Buffer = Buffer.alloc(0);
  #ended = false;
  #wanted = 0;
  readonly #source: Readable;
  readonly #send: (bytes: Buffer) => void;
  readonly #serve = () => this.#answer();
  readonly #end = () => {
    this.#ended = true;
    this.#answer();
  };

  constructor(source: Readable, send: (bytes: Buffer) => void) {
    this.#source = source;
    this.#send = send;
    // What cannot be read, such as a directory, has ended.
    source.on("readable", this.#serve).on("end", this.#end).on("error", this.#end);
  }

  /** The guest has room for one more block. */
  request(): void {
    this.#wanted++;
    this.#answer();
  }

  /** Leaves the rest unread. */
  close(): void {
    this.#source.off("readable", this.#serve).off("end", this.#end);
    this.#source.destroy();
  }

  #answer(): void {
    if (this.#wanted === 0) return;
    if (this.#held.length === 0) this.#held = (this.#source.read() as Buffer | null) ?? this.#held;
    if (this.#held.length === 0 && !this.#ended) return;
    this.#wanted--;
    this.#send(block(this.#held.subarray(0, DATA_BYTES)));
    this.#held = this.#held.subarray(DATA_BYTES);
  }
}
