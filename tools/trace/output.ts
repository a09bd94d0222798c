// Text to standard output or a file in large pieces; whoever writes waits for a slow reader, so that memory stays bounded.
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { Text } from "./text.ts";

const PIECE_BYTES = 1 << 16;

export class Output {
  /** The line that is being written, after those that wait. */
  readonly text = new Text();
  private drained: Promise<void> | undefined;
  private readonly stream: Writable;
  private readonly failure: Promise<void> | undefined;

  /** @param path a file to write; absent: standard output. `option` is what named it. */
  constructor(
    private readonly path?: string,
    private readonly option = "",
  ) {
    this.stream = path === undefined ? process.stdout : createWriteStream(path);
    if (path === undefined) return;
    this.failure = finished(this.stream);
    // Told by ready() and end().
    this.failure.catch(() => {});
  }

  /** A whole line. */
  line(text: string): void {
    this.text.add(text);
    this.endLine();
  }

  /** Ends the line in `text`. */
  endLine(): void {
    this.text.add("\n");
    if (this.text.length >= PIECE_BYTES) this.flush();
  }

  /** Resolves when the reader has caught up. @throws UserError when a file cannot be written. */
  async ready(): Promise<void> {
    if (this.drained === undefined) return;
    const ended = this.failure === undefined ? [] : [this.failure];
    await this.told(Promise.race([this.drained, ...ended]));
    this.drained = undefined;
  }

  /** Ends the output. @throws UserError when a file cannot be written. */
  async end(): Promise<void> {
    this.flush();
    await this.ready();
    if (this.failure === undefined) return;
    this.stream.end();
    await this.told(this.failure);
  }

  private flush(): void {
    if (this.text.length === 0 || this.stream.write(this.text.take())) return;
    this.drained ??= new Promise((resolve) => this.stream.once("drain", resolve));
  }

  private async told(promise: Promise<void>): Promise<void> {
    try {
      await promise;
    } catch (error) {
      throw new UserError(`${this.option} ${this.path}: cannot write this file: ${systemErrorText(error)}.`);
    }
  }
}
