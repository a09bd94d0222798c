// A counter of the 8254 as Intel's data sheet tells it, clock by clock: the independent expectation for the
// computed model.

export class ClockedCounter {
  out = true;
  /** Counting element; undefined until first loaded. */
  element: number | undefined;
  rises = 0;
  private register = 0;
  private loadPending = false;
  private triggered = false;
  private counting = false;
  private done = false;
  /** Mode 3: the half-period under way began with an odd count. */
  private odd = false;

  constructor(
    private readonly mode: number,
    public gate: boolean,
  ) {
    this.out = mode !== 0;
  }

  /** Count register written (1..65536). */
  write(count: number): void {
    this.register = count;
    if (this.mode === 0 || this.mode === 4) this.loadPending = true;
    if (this.mode === 0) this.setOut(false);
    if ((this.mode === 2 || this.mode === 3) && !this.counting) this.loadPending = true;
  }

  setGate(gate: boolean): void {
    const rise = gate && !this.gate;
    this.gate = gate;
    if (rise && this.mode !== 0 && this.mode !== 4 && this.register !== 0) this.triggered = true;
    if (!gate && (this.mode === 2 || this.mode === 3)) this.setOut(true);
  }

  /** One falling edge of CLK. */
  clock(): void {
    switch (this.mode) {
      case 0:
        if (this.loadPending) this.load();
        else if (this.gate && this.step(1) === 0 && !this.done) this.finish(true);
        break;
      case 1:
        if (this.triggered) {
          this.load();
          this.setOut(false);
        } else if (this.step(1) === 0 && !this.done) this.finish(true);
        break;
      case 2:
        this.clockRate();
        break;
      case 3:
        this.clockSquare();
        break;
      default:
        this.clockStrobe();
    }
  }

  private clockRate(): void {
    if (this.triggered || this.loadPending) {
      this.load();
      return;
    }
    if (!this.gate || !this.counting) return;
    if (this.element === 1) {
      this.load();
      this.setOut(true);
    } else if (this.step(1) === 1) this.setOut(false);
  }

  private clockSquare(): void {
    if (this.triggered || this.loadPending) {
      this.load();
      this.element = this.register & ~1;
      return;
    }
    if (!this.gate || !this.counting) return;
    const odd = this.odd;
    // Odd counts: the high half lasts one clock longer, after the count has expired.
    const expires = odd && this.out ? this.element === 0 : this.element === 2;
    if (expires) {
      this.setOut(!this.out);
      this.odd = (this.register & 1) === 1;
      this.element = this.register & ~1;
    } else this.element = (this.element as number) - 2;
  }

  private clockStrobe(): void {
    if (this.mode === 4 ? this.loadPending : this.triggered) {
      this.load();
      this.setOut(true);
      return;
    }
    if (this.mode === 4 && !this.gate) return;
    this.setOut(true);
    if (this.step(1) === 0 && !this.done) this.finish(false);
  }

  private load(): void {
    this.element = this.register;
    this.odd = (this.register & 1) === 1;
    this.loadPending = false;
    this.triggered = false;
    this.counting = true;
    this.done = false;
  }

  private step(by: number): number {
    if (!this.counting) return -1;
    this.element = ((this.element as number) - by + 65536) % 65536;
    return this.element;
  }

  private finish(level: boolean): void {
    this.done = true;
    this.setOut(level);
  }

  private setOut(level: boolean): void {
    if (level && !this.out) this.rises++;
    this.out = level;
  }
}
