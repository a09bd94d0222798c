// One command in the guest, as `--exec` runs it: /init of Typevisor's initramfs frames the output and the status.
//
//   … kernel messages … typevisor:NONCE:begin LF  output  typevisor:NONCE:end:STATUS LF …
//
// Amid the output, typevisor:NONCE:more LF asks for a block of input (exec-input.ts).
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
 * @param options.nonce what the guest frames the output with; random unless given.
 * @param options.input whether the command gets input from us.
 * @param options.verbose whether the kernel is to tell of its boot.
 * @throws UserError when it does not fit into a kernel command line.
 */
export function encodeExec(
  command: string,
  options: { nonce?: string; input?: boolean; verbose?: boolean } = {},
): ExecRequest {
  const nonce = options.nonce ?? randomBytes(8).toString("hex");
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
  const quiet = options.verbose ? "" : "quiet ";
  const input = options.input ? " typevisor.input=1" : "";
  return { nonce, bootArgs: `${quiet}typevisor.nonce=${nonce}${input} typevisor.exec=${text}` };
}

/** The beginning of a mark whose rest is still to come. */
const MARK_BEGUN = /^(m(o(r(e)?)?)?|e(n(d(:\d*)?)?)?)?$/;

/** What is told of beside the output. */
export interface ExecEvents {
  /** What the guest says before the command starts. */
  boot?: (said: Uint8Array) => void;
  /** The guest asks for a block of input. */
  request?: () => void;
}

/** Finds the frame in the console's stream, whatever the sizes of its pieces. */
export class ExecFrame {
  /** The command's exit status, once its frame has ended. */
  status: number | undefined;
  /** Whether the command has started. */
  started = false;

  readonly #begin: Buffer;
  readonly #mark: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(
    nonce: string,
    private readonly on: ExecEvents = {},
  ) {
    this.#begin = Buffer.from(`typevisor:${nonce}:begin\n`);
    this.#mark = Buffer.from(`typevisor:${nonce}:`);
  }

  /** Takes a piece of the console's stream. @returns the command's output in it. */
  push(piece: Uint8Array): Uint8Array {
    this.#held = Buffer.concat([this.#held, piece]);
    if (!this.started) this.#seekBegin();
    const output: Buffer[] = [];
    while (this.started && this.status === undefined && this.#takeOutput(output));
    return Buffer.concat(output);
  }

  #seekBegin(): void {
    const at = this.#held.indexOf(this.#begin);
    this.started = at >= 0;
    const boot = this.started ? at : this.#held.length - partialMatch(this.#held, this.#begin);
    const told = this.#release(boot);
    if (told.length > 0) this.on.boot?.(told);
    if (this.started) this.#release(this.#begin.length);
  }

  /** Takes the output up to the next mark. @returns whether there may be more behind it. */
  #takeOutput(output: Buffer[]): boolean {
    const at = this.#held.indexOf(this.#mark);
    if (at < 0) {
      output.push(this.#release(this.#held.length - partialMatch(this.#held, this.#mark)));
      return false;
    }
    output.push(this.#release(at));
    const rest = this.#held.toString("latin1", this.#mark.length);
    const [mark, status] = /^(?:more|end:(\d+))\n/.exec(rest) ?? [];
    if (mark === undefined) {
      if (MARK_BEGUN.test(rest)) return false;
      // Someone who knows the nonce says something else with it.
      output.push(this.#release(this.#mark.length));
      return true;
    }
    this.#release(this.#mark.length + mark.length);
    if (status === undefined) this.on.request?.();
    else this.status = Number(status);
    return true;
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
