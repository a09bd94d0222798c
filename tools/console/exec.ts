// One command in the guest, as `--exec` runs it: /init of Typevisor's initramfs frames the output and the status.
//
//   … kernel messages … typevisor:NONCE:begin LF  output  typevisor:NONCE:end:STATUS LF …
import { randomBytes } from "node:crypto";
import { UserError } from "../lib/user-error.ts";

/** Bytes that the command line has left for the command; Linux takes 2047 in all. */
const MAX_ENCODED = 1800;

/** The nonce of runs that are to be repeatable. */
export const FIXED_NONCE = "0123456789abcdef";

export interface ExecRequest {
  nonce: string;
  /** Words to add to the guest kernel's command line. */
  bootArgs: string;
}

/**
 * Encodes a shell command for the guest.
 * @param nonce what the guest frames the output with; random unless given.
 * @throws UserError when it does not fit into a kernel command line.
 */
export function encodeExec(command: string, nonce: string = randomBytes(8).toString("hex")): ExecRequest {
  // Blanks at the end until base64 needs no padding, which command lines could misread.
  const padded = Buffer.from(`${command}\n`);
  const text = Buffer.concat([padded, Buffer.alloc((3 - (padded.length % 3)) % 3, "\n")]).toString(
    "base64url",
  );
  if (text.length > MAX_ENCODED) {
    throw new UserError(
      `--exec: the command has ${padded.length - 1} bytes; at most ${(MAX_ENCODED / 4) * 3 - 3} fit on the guest ` +
        "kernel's command line. Put a script into an initrd of your own for longer ones.",
    );
  }
  return { nonce, bootArgs: `quiet typevisor.nonce=${nonce} typevisor.exec=${text}` };
}

/** Finds the frame in the console's stream, whatever the sizes of its pieces. */
export class ExecFrame {
  /** The command's exit status, once its frame has ended. */
  status: number | undefined;
  /** Whether the command has started. */
  started = false;

  readonly #begin: Buffer;
  readonly #end: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(nonce: string) {
    this.#begin = Buffer.from(`typevisor:${nonce}:begin\n`);
    this.#end = Buffer.from(`typevisor:${nonce}:end:`);
  }

  /** Takes a piece of the console's stream. @returns the command's output in it. */
  push(piece: Uint8Array): Uint8Array {
    this.#held = Buffer.concat([this.#held, piece]);
    if (!this.started) this.#seekBegin();
    return this.started && this.status === undefined ? this.#takeOutput() : Buffer.alloc(0);
  }

  #seekBegin(): void {
    const at = this.#held.indexOf(this.#begin);
    this.started = at >= 0;
    const keepFrom = this.started ? at + this.#begin.length : this.#held.length - this.#begin.length + 1;
    if (keepFrom > 0) this.#held = this.#held.subarray(keepFrom);
  }

  #takeOutput(): Buffer {
    const at = this.#held.indexOf(this.#end);
    if (at < 0) return this.#release(this.#held.length - partialMatch(this.#held, this.#end));
    const trailer = /^(\d+)\n/.exec(this.#held.toString("latin1", at + this.#end.length));
    if (!trailer) return this.#release(at);
    this.status = Number(trailer[1]);
    return this.#release(at);
  }

  #release(bytes: number): Buffer {
    const output = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return output;
  }
}

/** Length of the longest end of `bytes` that begins `pattern`. */
function partialMatch(bytes: Buffer, pattern: Buffer): number {
  for (let length = Math.min(bytes.length, pattern.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(pattern.subarray(0, length))) return length;
  }
  return 0;
}
