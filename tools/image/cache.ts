// Build steps that run only when something they read has changed, judged by contents, not by dates.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The files below a directory whose names match, sorted: what a step that reads them all depends on. */
export function filesBelow(directory: string, pattern: RegExp): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

export interface Step {
  name: string;
  /** Files that the step reads. */
  inputs: string[];
  /** Whatever else its result depends on: options, versions. */
  parameters?: unknown;
  /** Files that it writes. */
  outputs: string[];
  run: () => Promise<void>;
}

export interface Cache {
  /** Runs the step unless its outputs exist and were made from the same inputs. Returns whether it ran. */
  step(step: Step): Promise<boolean>;
}

/** A cache that keeps its stamps in `file`. With `force` every step runs. */
export function openCache(file: string, force: boolean): Cache {
  const stamps: Record<string, string> = force ? {} : readStamps(file);
  return {
    async step(step) {
      const stamp = stampOf(step);
      if (stamps[step.name] === stamp && step.outputs.every((output) => existsSync(output))) return false;
      await step.run();
      stamps[step.name] = stamp;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify(stamps, null, 1));
      return true;
    },
  };
}

function readStamps(file: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // Missing, or cut short by an interrupted build: everything is built again.
    return {};
  }
}

function stampOf(step: Step): string {
  return digestOf(step.inputs, JSON.stringify([step.parameters ?? null, step.outputs]));
}

/** A number for the names and contents of files, and for `parameters`. */
export function digestOf(files: readonly string[], parameters = ""): string {
  const hash = createHash("sha256").update(parameters);
  for (const file of files) {
    const contents = readFileSync(file);
    hash.update(`\0${file}\0${contents.length}\0`).update(contents);
  }
  return hash.digest("hex");
}
