// How alike two recordings of the same boot are.
import { readFileSync } from "node:fs";
import { readTrace } from "../trace/reader.ts";
import type { BootCounts } from "./counts.ts";

export interface Likeness {
  /** The files are the same, byte for byte: every exit, register and time. */
  identical: boolean;
  /** Exits at the beginning that agree in everything, times included. */
  prefix: number;
  /** Largest difference of a count in the table of phases and reasons, and where. */
  difference: number;
  where: string;
}

/** Compares the traces at two paths, whose counts are known. */
export async function compareBoots(
  paths: [string, string],
  counts: [BootCounts, BootCounts],
): Promise<Likeness> {
  const [a, b] = paths.map((path) => readFileSync(path)) as [Buffer, Buffer];
  if (a.equals(b)) return { identical: true, prefix: counts[0].exits, difference: 0, where: "" };
  const [first, second] = [await signatures(paths[0]), await signatures(paths[1])];
  let prefix = 0;
  while (prefix < first.length && first[prefix] === second[prefix]) prefix++;
  return { identical: false, prefix, ...largestDifference(counts) };
}

/** One string an exit. */
async function signatures(path: string): Promise<string[]> {
  const all: string[] = [];
  await readTrace(path, {
    exit: (record) => {
      const { tscIn, tscOut, reason, rip, detail, rax, rcx, rdx } = record;
      all.push([tscIn, tscOut, reason, rip, detail, rax, rcx, rdx].join(" "));
    },
  });
  return all;
}

function largestDifference([a, b]: [BootCounts, BootCounts]): { difference: number; where: string } {
  const names = new Set([...a.reasons, ...b.reasons].map((reason) => reason.name));
  const worst = { difference: 0, where: "" };
  for (const name of names) {
    const [left, right] = [a, b].map(
      (boot) => boot.reasons.find((reason) => reason.name === name)?.counts ?? [],
    );
    for (let phase = 0; phase < a.phases.length; phase++) {
      const difference = Math.abs((left?.[phase] ?? 0) - (right?.[phase] ?? 0));
      if (difference > worst.difference) Object.assign(worst, { difference, where: name });
    }
  }
  return worst;
}
