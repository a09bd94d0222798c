// What a flat of kvm-unit-tests says on its console and how it ends, and how two runs of it compare.

export type Verdict = "PASS" | "FAIL" | "SKIP";

export interface Subtest {
  verdict: Verdict;
  name: string;
}

/** One run of a flat. */
export interface Run {
  subtests: Subtest[];
  /** The words of its end, and whether it came to an end of its own that says: nothing failed. */
  end: string;
  good: boolean;
}

export interface Row {
  name: string;
  ours?: Verdict;
  bare?: Verdict;
}

export interface Comparison {
  rows: Row[];
  /** Subtests, and perhaps the end, that ours fails and the bare emulator passes. */
  worse: string[];
}

const LINE = /^(PASS|FAIL|SKIP|XFAIL|XPASS): (.*)$/;
/** kvm-unit-tests' ends, as isa-debug-exit shows them: a flat's code N becomes 2 N + 1. */
const END_PASSED = 1;
const END_SKIPPED = 77;
const END_ABORTED = 127;

/** The subtests on a console, in order. A failure that the tests themselves expect counts as passed. */
export function readSubtests(console: string): Subtest[] {
  return console.split(/\r?\n/).flatMap((line) => {
    const found = LINE.exec(line);
    if (!found) return [];
    const [, word, name] = found as unknown as [string, string, string];
    const verdict = word === "XFAIL" ? "PASS" : word === "XPASS" ? "FAIL" : (word as Verdict);
    return [{ verdict, name: name.trim() }];
  });
}

/** @param status what the debug exit made of the flat's code; undefined: it did not end so, and `otherwise` says how. */
export function describeRun(console: string, status: number | undefined, otherwise: string): Run {
  const subtests = readSubtests(console);
  if (status === undefined || status % 2 === 0) return { subtests, end: otherwise, good: false };
  const good = status === END_PASSED || status === END_SKIPPED;
  return { subtests, end: endWords(status), good };
}

function endWords(status: number): string {
  switch (status) {
    case END_PASSED:
      return "passed";
    case END_SKIPPED:
      return "skipped";
    case END_ABORTED:
      return "aborted";
    default:
      return `failed with ${(status - 1) / 2}`;
  }
}

/** Names hold measured values: what is the same in two runs is the name without longer numbers, and which of that name it is. */
function keys(subtests: Subtest[]): Map<string, Subtest> {
  const seen = new Map<string, number>();
  const keyed = new Map<string, Subtest>();
  for (const subtest of subtests) {
    const name = subtest.name.replace(/\b(?=[0-9a-fx]*\d)(?:0x)?[0-9a-f]{3,}\b/gi, "#");
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    keyed.set(`${name} ${count}`, subtest);
  }
  return keyed;
}

/** Sets two runs of one flat beside each other. */
export function compareRuns(ours: Run, bare: Run): Comparison {
  const [left, right] = [keys(ours.subtests), keys(bare.subtests)];
  const rows = [...new Set([...left.keys(), ...right.keys()])].map((key) => ({
    name: (left.get(key) ?? right.get(key))?.name ?? key,
    ours: left.get(key)?.verdict,
    bare: right.get(key)?.verdict,
  }));
  const worse = rows.filter((row) => row.ours === "FAIL" && row.bare === "PASS").map((row) => row.name);
  if (!ours.good && bare.good && worse.length === 0) worse.push(`its end: ${ours.end}`);
  return { rows, worse };
}

/** Numbers of a run's verdicts, and its end. */
export function summarize(run: Run): string {
  const count = (verdict: Verdict) => run.subtests.filter((subtest) => subtest.verdict === verdict).length;
  return `${count("PASS")} PASS, ${count("FAIL")} FAIL, ${count("SKIP")} SKIP, ${run.end}`;
}
