// Text to standard output in large pieces; whoever writes waits for a slow reader, so that memory stays bounded.

const PIECE_CHARACTERS = 1 << 16;

export class Output {
  private pending = "";
  private drained: Promise<void> | undefined;

  line(text: string): void {
    this.pending += `${text}\n`;
    if (this.pending.length >= PIECE_CHARACTERS) this.flush();
  }

  /** Resolves when the reader has caught up. */
  async ready(): Promise<void> {
    await this.drained;
  }

  /** Ends the output. */
  async end(): Promise<void> {
    this.flush();
    await this.drained;
  }

  private flush(): void {
    const text = this.pending;
    this.pending = "";
    if (text === "" || process.stdout.write(text)) return;
    this.drained = new Promise((resolve) => process.stdout.once("drain", resolve));
  }
}
