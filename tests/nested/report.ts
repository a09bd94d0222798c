// What comes from the first-level guest's console, taken apart as it comes: one verdict for each job.
import { MARK } from "./first-level.ts";
import type { Job } from "./jobs.ts";

type Part = "console" | "log" | "words";

export interface Verdict {
  job: Job;
  /** What is wrong; undefined: it passed. */
  problem: string | undefined;
  /** What the run said, for people. */
  said: Record<Part, string>;
}

export class Report {
  /** Why the first-level guest ran nothing. */
  failure: string | undefined;
  /** It has run everything. */
  over = false;
  readonly verdicts: Verdict[] = [];

  #rest = "";
  #job: Job | undefined;
  #part: Part | undefined;
  #said: Record<Part, string> = { console: "", log: "", words: "" };

  constructor(
    readonly jobs: Job[],
    private readonly onVerdict: (verdict: Verdict) => void,
  ) {}

  /** Takes a piece of the console's stream. The first level's terminal has put a carriage return before each line feed. */
  push(piece: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(piece).toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(line.replace(/\r$/, ""));
  }

  #take(line: string): void {
    const at = line.indexOf(`${MARK} `);
    if (at < 0) {
      if (this.#part !== undefined) this.#said[this.#part] += `${line}\n`;
      return;
    }
    const [word, argument] = line.slice(at + MARK.length + 1).split(" ");
    this.#mark(word as string, Number(argument));
  }

  #mark(word: string, index: number): void {
    if (word === "no-kvm") this.failure = "the first-level guest has no /dev/kvm";
    else if (word === "over") this.over = true;
    else if (word === "begin") {
      this.#job = this.jobs[index];
      this.#part = undefined;
      this.#said = { console: "", log: "", words: "" };
    } else if (word === "end") this.#end();
    else this.#part = word as Part;
  }

  #end(): void {
    const job = this.#job;
    this.#job = undefined;
    this.#part = undefined;
    if (!job) return;
    // The line feed that the script puts between the parts is none of theirs.
    const said = { ...this.#said };
    for (const part of ["console", "log", "words"] as const) said[part] = said[part].replace(/\n$/, "");
    const verdict = { job, said, problem: job.judge(said) };
    this.verdicts.push(verdict);
    this.onVerdict(verdict);
  }
}
