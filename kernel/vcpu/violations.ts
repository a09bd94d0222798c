// The list that the backends' entry checks (entrychecks.ts) fill: the rules of the manual that a VMCS or VMCB breaks.

/** Enough for any one mistake: a wrong group of state breaks a few rules at once. */
const MAX_VIOLATIONS: u32 = 32;

const texts = memory.data(MAX_VIOLATIONS * 4, 8);
let count: u32 = 0;

export function violationsClear(): void {
  count = 0;
}

/** How many rules were found broken. */
export function violationCount(): u32 {
  if (isDefined(CHECKED)) assert(count <= MAX_VIOLATIONS, "violations: more rules than there is room for");
  return count;
}

/** The rule, as a sentence that should hold. `index` < violationCount(). */
export function violation(index: u32): string {
  assert(index < count, "violations: no such rule");
  return changetype<string>(load<u32>(texts + index * 4));
}

/** Notes `text`, a sentence that should hold, when it does not. */
export function rule(holds: bool, text: string): void {
  if (isDefined(CHECKED)) assert(text.length != 0, "violations: a rule is a sentence");
  if (isDefined(CHECKED)) assert(count <= MAX_VIOLATIONS, "violations: more rules than there is room for");
  if (holds || count == MAX_VIOLATIONS) return;
  store<u32>(texts + count * 4, <u32>changetype<usize>(text));
  count++;
}
