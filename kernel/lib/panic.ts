// The end of the road for bugs: an assertion or `throw` in TypeScript calls `abort`, which asc fills with the message and
// the place. Each lands in one report on the log port, with a stack trace, and stops the machine.
import { halt_forever } from "../arch/intrinsics";

/** asc's hook for `assert` and `throw new Error(…)`. */
export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  halt_forever();
}
