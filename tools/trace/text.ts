// Text as it is written for millions of exits: characters go straight into a buffer, without a string for each number.

/** A buffer has this size at first; it grows for longer pieces. */
const FIRST_BYTES = 1 << 17;
/** No number takes more characters. */
const NUMBER_BYTES = 32;
const DIGITS = Buffer.from("0123456789abcdef");
const ZERO = 0x30;
const BLANK = 0x20;
const POWERS = Array.from({ length: 16 }, (_, i) => 10 ** i);
const BILLION = 1e9;
/** Below this, a scaled number is off by less than NEAR_TIE. */
const SCALED_LIMIT = 1e12;
const NEAR_TIE = 1e-3;

/** Builds ASCII (or, from given strings, UTF-8) text. */
export class Text {
  /** Bytes so far. */
  length = 0;
  private bytes = Buffer.allocUnsafe(FIRST_BYTES);

  /** A string as it is. */
  add(text: string): void {
    this.reserve(3 * text.length);
    const { bytes, length } = this;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.length += bytes.write(text, length);
        return;
      }
      bytes[length + i] = code;
    }
    this.length += text.length;
  }

  /** Bytes as they are: for longer pieces that come often, faster than a string. */
  copy(piece: Uint8Array): void {
    this.reserve(piece.length);
    this.bytes.set(piece, this.length);
    this.length += piece.length;
  }

  /** A 64-bit number, given as two unsigned halves, as `0x…`. */
  hex(high: number, low: number): void {
    this.reserve(NUMBER_BYTES);
    this.bytes[this.length++] = ZERO;
    this.bytes[this.length++] = 0x78;
    if (high === 0) return this.nibbles(low, hexLength(low));
    this.nibbles(high, hexLength(high));
    this.nibbles(low, 8);
  }

  /** A whole number in at least `width` columns. */
  decimal(value: number, width = 0, pad = BLANK): void {
    if (value < 0 || !Number.isSafeInteger(value)) return this.add(String(value).padStart(width));
    this.reserve(NUMBER_BYTES + width);
    const digits = decimalLength(value);
    for (let i = digits; i < width; i++) this.bytes[this.length++] = pad;
    const end = this.length + digits;
    const upper = value < BILLION ? 0 : Math.floor(value / BILLION);
    this.digits(value - upper * BILLION, end, upper === 0 ? digits : 9);
    if (upper !== 0) this.digits(upper, end - 9, digits - 9);
    this.length = end;
  }

  /** What `value.toFixed(digits)` gives. */
  fixed(value: number, digits: number): void {
    const scaled = value * (POWERS[digits] as number);
    const whole = Math.floor(scaled);
    // Near a tie the product's own rounding could decide: there the slow way is the right one.
    if (scaled >= 0 && scaled < SCALED_LIMIT && Math.abs(scaled - whole - 0.5) > NEAR_TIE) {
      this.point(scaled - whole > 0.5 ? whole + 1 : whole, digits);
    } else this.add(value.toFixed(digits));
  }

  /** A whole number divided by 10^`digits`, with all these digits, in at least `width` columns. */
  point(value: number, digits: number, width = 0): void {
    if (value < 0) return this.add((value / (POWERS[digits] as number)).toFixed(digits).padStart(width));
    const power = POWERS[digits] as number;
    const whole = Math.floor(value / power);
    this.decimal(whole, width - digits - 1);
    this.bytes[this.length++] = 0x2e;
    this.decimal(value - whole * power, digits, ZERO);
  }

  /** The text, which is valid for good; begins anew. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = Buffer.allocUnsafe(this.bytes.length);
    this.length = 0;
    return taken;
  }

  toString(): string {
    return this.bytes.toString("utf8", 0, this.length);
  }

  private nibbles(value: number, count: number): void {
    for (let shift = 4 * (count - 1); shift >= 0; shift -= 4) {
      this.bytes[this.length++] = DIGITS[(value >>> shift) & 15] as number;
    }
  }

  /** The last `count` digits of a number below 2^31, ending before `end`. */
  private digits(value: number, end: number, count: number): void {
    let rest = value | 0;
    for (let at = end - 1; at >= end - count; at--) {
      const tenth = (rest / 10) | 0;
      this.bytes[at] = ZERO + rest - 10 * tenth;
      rest = tenth;
    }
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * this.bytes.length + bytes);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

function hexLength(value: number): number {
  return value === 0 ? 1 : 8 - (Math.clz32(value) >>> 2);
}

function decimalLength(value: number): number {
  let digits = 1;
  while (value >= (POWERS[digits] as number)) digits++;
  return digits;
}
