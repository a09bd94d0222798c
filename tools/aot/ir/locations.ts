/** Numbers from here on stand for inlined code; below, they are byte offsets in the module. */
const FIRST_INLINED = 2 ** 32;

/**
 * Places in the module, as numbers that values and instructions carry: a byte offset, or for inlined code a number that
 * stands for an offset and the call that it was inlined for, which may be inlined code itself.
 */
export class Locations {
  private readonly inlined: { offset: number; call: number }[] = [];
  private readonly known = new Map<string, number>();

  /** The place `loc` of a function, in a copy of it for the call at place `call`. */
  inside(loc: number, call: number): number {
    const from = this.inlined[loc - FIRST_INLINED];
    if (from) return this.number(from.offset, this.inside(from.call, call));
    return this.number(loc, call);
  }

  private number(offset: number, call: number): number {
    const key = `${offset} ${call}`;
    if (!this.known.has(key)) this.known.set(key, FIRST_INLINED + this.inlined.push({ offset, call }) - 1);
    return this.known.get(key)!;
  }

  /** The byte offset of the code itself. */
  offset(loc: number): number {
    return this.inlined[loc - FIRST_INLINED]?.offset ?? loc;
  }

  /** The byte offsets of the calls that the code was inlined for, innermost first. */
  calls(loc: number): number[] {
    const offsets: number[] = [];
    for (let from = this.inlined[loc - FIRST_INLINED]; from; from = this.inlined[from.call - FIRST_INLINED])
      offsets.push(this.offset(from.call));
    return offsets;
  }
}
