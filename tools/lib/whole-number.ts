// Whole numbers as people type them after an option.
import { UserError } from "./user-error.ts";

/** @returns `text` as a number from `least` to 10^15. @throws UserError that names `option`. */
export function wholeNumber(option: string, text: string, least = 0): number {
  if (/^\d{1,15}$/.test(text) && Number(text) >= least) return Number(text);
  const range = least > 0 ? `, at least ${least}` : "";
  throw new UserError(`${option} ${text}: expected a whole number${range}.`);
}

/** Words for what an option may be: a whole number from 1 to `most`. */
export function wholeFromOne(most: number): string {
  return most === 1 ? "1" : `a whole number from 1 to ${most}`;
}
