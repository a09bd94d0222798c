// A cursor over a window's log (kernel/abi/recording.ts, "the log").

/** The log ends here: the run was ended from outside. */
export class EndOfLog extends Error {}

export class LogCursor {
  /** Offset of the next byte. */
  at = 0;

  constructor(private readonly log: Buffer) {}

  get atEnd(): boolean {
    return this.at >= this.log.length;
  }

  /** The next event, which stays; undefined at the end. */
  peek(): number | undefined {
    return this.log[this.at];
  }

  byte(): number {
    const byte = this.log[this.at];
    if (byte === undefined) throw new EndOfLog();
    this.at++;
    return byte;
  }

  /** Unsigned LEB128 of 64 bits. */
  number(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return BigInt.asUintN(64, value);
  }

  bytes(length: number): Buffer {
    if (length > this.log.length - this.at) {
      this.at = this.log.length;
      throw new EndOfLog();
    }
    this.at += length;
    return this.log.subarray(this.at - length, this.at);
  }
}
