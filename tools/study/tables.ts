// What the study prints of one boot, and of both beside each other.
import { msrName } from "../trace/msrs.ts";
import { sorted } from "../trace/statistics.ts";
import { type BootCounts, type PhaseCounts, total } from "./counts.ts";
import { table } from "./markdown.ts";
import { PHASES } from "./phases.ts";

const SHOWN_DETAILS = 5;

const number = (value: number) => String(Math.round(value));
const percent = (part: number, whole: number) => `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)}%`;
const seconds = (ticks: number, boot: BootCounts) => (ticks / boot.start.tscHz).toFixed(3);

/** Reasons down, phases across: how many exits, their share, and how many ticks one takes on average. */
export function reasonTable(boot: BootCounts): string {
  const head = ["reason", "class", ...PHASES.map((phase) => phase.name), "all", "share", "ticks"];
  const rows = boot.reasons.map((reason) => [
    reason.name,
    [...reason.classes].join(", "),
    ...reason.counts.map(blankZero),
    number(total(reason)),
    percent(total(reason), boot.exits),
    reason.classes.has("hlt") ? "" : number(reason.ticks / total(reason)),
  ]);
  const sums = [
    "all",
    "",
    ...boot.phases.map((phase) => number(phase.exits)),
    number(boot.exits),
    "100.0%",
    "",
  ];
  return table([head, ...rows, sums], 2);
}

/** Phases down: how long, how many exits, and who had the processor. */
export function phaseTable(boot: BootCounts): string {
  const head = ["phase", "seconds", "exits", "exits/s", "hypervisor", "halted"];
  const row = (name: string, phase: Omit<PhaseCounts, "details">) => [
    name,
    seconds(phase.duration, boot),
    number(phase.exits),
    number((phase.exits * boot.start.tscHz) / phase.duration),
    percent(phase.handling, phase.duration),
    percent(phase.halted, phase.duration),
  ];
  const sum = (pick: (phase: PhaseCounts) => number) =>
    boot.phases.reduce((all, phase) => all + pick(phase), 0);
  const all = {
    exits: boot.exits,
    duration: sum((phase) => phase.duration),
    handling: sum((phase) => phase.handling),
    halted: sum((phase) => phase.halted),
  };
  return table([head, ...boot.phases.map((phase, i) => row(PHASES[i]?.name ?? "?", phase)), row("all", all)]);
}

/** What is accessed most often in each phase. */
export function detailTable(boot: BootCounts): string {
  const rows = boot.phases.flatMap((phase, i) => {
    const most = sorted(phase.details, "sample").slice(0, SHOWN_DETAILS);
    return most.map(([key, series], n) => [
      n === 0 ? (PHASES[i]?.name ?? "?") : "",
      describeKey(key),
      number(series.count),
      percent(series.count, phase.exits),
    ]);
  });
  return table([["phase", "accessed", "exits", "of the phase"], ...rows], 2);
}

/** Both backends by neutral class. */
export function classTable(boots: { heading: string; boot: BootCounts }[]): string {
  const count = (boot: BootCounts, name: string) => boot.classes.get(name) ?? 0;
  const names = [...new Set(boots.flatMap(({ boot }) => [...boot.classes.keys()]))];
  const all = (name: string) => boots.reduce((sum, { boot }) => sum + count(boot, name), 0);
  names.sort((a, b) => all(b) - all(a) || (a < b ? -1 : 1));
  const rows = names.map((name) => [name, ...boots.map(({ boot }) => blankZero(count(boot, name)))]);
  const sums = ["all", ...boots.map(({ boot }) => number(boot.exits))];
  return table([["class", ...boots.map(({ heading }) => heading)], ...rows, sums]);
}

function blankZero(count: number): string {
  return count === 0 ? "" : number(count);
}

/** `msr 0x6e0:W` with the register's name. */
function describeKey(key: string): string {
  const msr = /^msr (0x[0-9a-f]+):/.exec(key)?.[1];
  const name = msr === undefined ? undefined : msrName(Number(msr));
  return `\`${key}\`${name === undefined ? "" : ` ${name}`}`;
}
