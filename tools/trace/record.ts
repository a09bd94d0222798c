// One exit record, decoded from a frame (kernel/abi/trace.ts, "one exit record in a frame"). Words stay in 32-bit halves,
// so that a million of them are decoded without a BigInt each; the accessors make numbers where they are asked for.
import {
  RECORD_BYTES_HIGH,
  RECORD_BYTES_LOW,
  RECORD_DETAIL,
  RECORD_GPA,
  RECORD_INFO,
  RECORD_QUALIFICATION,
  RECORD_RAX,
  RECORD_RCX,
  RECORD_RDX,
  RECORD_REASON,
  RECORD_RIP,
  RECORD_WORDS,
} from "../../kernel/abi/trace.ts";

const TWO_32 = 2 ** 32;

/** Longest instruction, and the byte of the record that holds how many bytes there are. */
const LENGTH_AT = 15;

/** A cursor over the records of one frame; the record it stands on is overwritten by `next()`. */
export class ExitRecord {
  /** TSC ticks as numbers: exact up to 2^53, which at 4 GHz is 26 days. */
  tscIn = 0;
  tscOut = 0;
  private readonly low = new Uint32Array(RECORD_WORDS);
  private readonly high = new Uint32Array(RECORD_WORDS);
  private payload: Buffer = Buffer.alloc(0);
  private at = 0;
  private lebLow = 0;
  private lebHigh = 0;

  /** Starts with the records in a payload from byte `at` on. */
  start(payload: Buffer, at: number): void {
    this.payload = payload;
    this.at = at;
    this.low.fill(0);
    this.high.fill(0);
    this.tscIn = 0;
    this.tscOut = 0;
  }

  /** Bytes of the payload used so far. */
  get position(): number {
    return this.at;
  }

  /** Moves on to the next record. False: the payload ends inside it. */
  next(): boolean {
    if (this.at + 2 > this.payload.length) return false;
    const mask = this.payload.readUInt16LE(this.at);
    this.at += 2;
    const previous = this.tscOut;
    this.tscIn = previous;
    this.tscOut = 0;
    for (let word = 0; word < RECORD_WORDS; word++) {
      if ((mask & (1 << word)) === 0) continue;
      if (!this.leb128()) return false;
      if (word === 0) this.tscIn = previous + this.number();
      else if (word === 1) this.tscOut = this.number();
      else {
        this.low[word] = (this.low[word] as number) ^ this.lebLow;
        this.high[word] = (this.high[word] as number) ^ this.lebHigh;
      }
    }
    this.tscOut += this.tscIn;
    return mask >>> RECORD_WORDS === 0;
  }

  get rip(): bigint {
    return this.wide(RECORD_RIP);
  }
  get qualification(): bigint {
    return this.wide(RECORD_QUALIFICATION);
  }
  get info(): bigint {
    return this.wide(RECORD_INFO);
  }
  get gpa(): bigint {
    return this.wide(RECORD_GPA);
  }
  get rax(): bigint {
    return this.wide(RECORD_RAX);
  }
  get rcx(): bigint {
    return this.wide(RECORD_RCX);
  }
  get rdx(): bigint {
    return this.wide(RECORD_RDX);
  }
  get detail(): bigint {
    return this.wide(RECORD_DETAIL);
  }
  /** Low halves of registers. */
  get raxLow(): number {
    return this.low[RECORD_RAX / 8] as number;
  }
  get rcxLow(): number {
    return this.low[RECORD_RCX / 8] as number;
  }
  get rdxLow(): number {
    return this.low[RECORD_RDX / 8] as number;
  }
  /** Halves of the word at `offset` (RECORD_*): many times faster than a BigInt. */
  lowOf(offset: number): number {
    return this.low[offset >>> 3] as number;
  }
  highOf(offset: number): number {
    return this.high[offset >>> 3] as number;
  }
  /** Low half of `detail`: the port, MSR, register or vector. */
  get detailLow(): number {
    return this.low[RECORD_DETAIL / 8] as number;
  }
  get detailHigh(): number {
    return this.high[RECORD_DETAIL / 8] as number;
  }
  get reason(): number {
    return this.low[RECORD_REASON / 8] as number;
  }
  get kind(): number {
    return this.identity & 0xff;
  }
  get outcome(): number {
    return (this.identity >>> 8) & 0xff;
  }
  get vm(): number {
    return (this.identity >>> 16) & 0xff;
  }
  get vcpu(): number {
    return this.identity >>> 24;
  }

  /** Instruction bytes, as many as the hypervisor had at hand. */
  get bytes(): Buffer {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(this.wide(RECORD_BYTES_LOW), 0);
    bytes.writeBigUInt64LE(this.wide(RECORD_BYTES_HIGH), 8);
    return bytes.subarray(0, Math.min(bytes.readUInt8(LENGTH_AT), LENGTH_AT));
  }

  private get identity(): number {
    return this.high[RECORD_REASON / 8] as number;
  }

  private wide(offset: number): bigint {
    return (BigInt(this.high[offset / 8] as number) << 32n) | BigInt(this.low[offset / 8] as number);
  }

  private number(): number {
    return this.lebHigh * TWO_32 + this.lebLow;
  }

  /** Reads an unsigned LEB128 number of at most 64 bits into lebLow and lebHigh. */
  private leb128(): boolean {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.payload[this.at++];
      if (byte === undefined) return false;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.lebLow = low >>> 0;
        this.lebHigh = high >>> 0;
        return true;
      }
    }
    return false;
  }
}
