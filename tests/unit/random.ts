// Repeatable random numbers for property tests: xorshift32, so that a failure can be run again.

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed * 0x9e3779b1 + 0x7f4a7c15) >>> 0 || 1;
  }

  /** 32 random bits. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  /** A number from 0 to limit - 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit);
  }

  /** 64 random bits, with small and extreme values more often than chance gives. */
  wide(): bigint {
    const corner = [
      0n,
      1n,
      0x7fn,
      0x80n,
      0xffn,
      0x7fffn,
      0x8000n,
      0x7fffffffn,
      0x80000000n,
      1n << 63n,
      (1n << 64n) - 1n,
    ];
    if (this.below(3) === 0) return corner[this.below(corner.length)] as bigint;
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}
