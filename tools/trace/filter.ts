// The words of `--trace-filter`, checked here so that a mistake is told before anything boots. The hypervisor reads them
// as `trace.KEY=VALUE` (kernel/trace/options.ts).
import { UserError } from "../lib/user-error.ts";
import { reasonName, reasonsCalled, type TraceBackend } from "./names.ts";
import type { RecordedFilter } from "./reader.ts";

const NUMBER = /^(0x[0-9a-f]{1,16}|[0-9]{1,18})$/i;
const RANGE = /^(0x[0-9a-f]{1,16}|[0-9]{1,18})(-(0x[0-9a-f]{1,16}|[0-9]{1,18}))?$/i;

interface FilterKey {
  valid: (value: string) => boolean;
  /** What a value looks like. */
  words: string;
}

const isNumber: FilterKey = { valid: (value) => NUMBER.test(value), words: "a number" };
const isRange: FilterKey = {
  valid: (value) => {
    if (!RANGE.test(value)) return false;
    const [first, last] = value.split("-").map(BigInt);
    return last === undefined || (first as bigint) <= last;
  },
  words: "a number or FIRST-LAST",
};
const isReasons: FilterKey = {
  valid: (value) => value.split(",").every((name) => NUMBER.test(name) || reasonsCalled(name).length > 0),
  words: "exit reasons as `typevisor trace` names them (blanks as _), or their numbers",
};

const KEYS: Record<string, FilterKey> = {
  vm: isNumber,
  vcpu: isNumber,
  every: isNumber,
  rip: isRange,
  port: isRange,
  msr: isRange,
  leaf: isRange,
  reason: isReasons,
};

/**
 * Words for the hypervisor's command line. A part without `=` belongs to the value before it: `reason=HLT,CPUID,vm=0`.
 * @throws UserError naming the part that cannot be meant.
 */
export function traceWords(options: string[]): string[] {
  const pairs: [key: string, value: string][] = [];
  for (const part of options.flatMap((option) => option.split(","))) {
    const equals = part.indexOf("=");
    const last = pairs.at(-1);
    if (equals >= 0) pairs.push([part.slice(0, equals), part.slice(equals + 1)]);
    else if (last !== undefined) last[1] += `,${part}`;
    else throw new UserError(`--trace-filter ${part}: expected KEY=VALUE with a KEY of ${keyNames()}.`);
  }
  return pairs.map(([key, value]) => word(key, value));
}

function word(key: string, value: string): string {
  const known = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (known === undefined) {
    throw new UserError(`--trace-filter ${key}=${value}: there is no key "${key}"; there are ${keyNames()}.`);
  }
  if (!known.valid(value)) throw new UserError(`--trace-filter ${key}=${value}: expected ${known.words}.`);
  return `trace.${key}=${value}`;
}

function keyNames(): string {
  return Object.keys(KEYS).join(", ");
}

/** Whether a recorded filter lets every exit pass. */
export function passesAll(filter: RecordedFilter): boolean {
  const { vm, vcpu, every, reasons, ranges } = filter;
  return vm === undefined && vcpu === undefined && every === 1 && reasons.length + ranges.length === 0;
}

/** A recorded filter in the words of `--trace-filter`; empty when everything passed. */
export function filterWords(filter: RecordedFilter, backend: TraceBackend): string {
  const names = filter.reasons.map((reason) => reasonName(backend, reason).replaceAll(" ", "_"));
  const words = [
    filter.vm === undefined ? "" : `vm=${filter.vm}`,
    filter.vcpu === undefined ? "" : `vcpu=${filter.vcpu}`,
    names.length === 0 ? "" : `reason=${[...new Set(names)].join(",")}`,
    ...filter.ranges.map(({ name, first, last }) => `${name}=${rangeWords(first, last)}`),
    filter.every === 1 ? "" : `every=${filter.every}`,
  ];
  return words.filter((word) => word !== "").join(",");
}

function rangeWords(first: bigint, last: bigint): string {
  const hex = (value: bigint) => `0x${value.toString(16)}`;
  return first === last ? hex(first) : `${hex(first)}-${hex(last)}`;
}

/** What a reader of counts and percentages must know; undefined for a trace of everything. */
export function describeFilters(filters: RecordedFilter[], backend: TraceBackend): string | undefined {
  const words = [...new Set(filters.map((filter) => filterWords(filter, backend) || "everything"))];
  if (words.length === 0 || (words.length === 1 && words[0] === "everything")) return undefined;
  if (words.length > 1)
    return `Filtered, by turns: ${words.join("; ")}. Counts and percentages are of the exits recorded.`;
  const every = filters[0]?.every ?? 1;
  const sampled = every === 1 ? "" : ` Only one in ${every} of these: multiply counts by ${every}.`;
  return `Filtered: ${words[0]}. Percentages are of the exits that passed, not of all.${sampled}`;
}
