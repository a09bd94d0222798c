// The machine code of an image's functions, kept in a file from one build to the next (tools/aot/reuse.ts).
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { CodeStore, StoredCode } from "../aot/reuse.ts";

/** Beside the functions of the last build, older ones are kept up to this size: one may go back to them. */
const MAX_BYTES = 16 * 1024 * 1024;

export interface FileStore extends CodeStore {
  /** Keys of the functions that were not there. */
  readonly added: ReadonlySet<string>;
  /** Writes what was used since it was opened, and of the rest what has room. */
  save(): void;
}

/**
 * Opens the store in `file` for `version` of the compiler. What another version made, and a file that is damaged, is as if
 * there were none.
 */
export function openCodeStore(file: string, version: string, maxBytes = MAX_BYTES): FileStore {
  const entries = new Map<string, StoredCode>(readEntries(file, version));
  const used = new Map<string, StoredCode>();
  const added = new Set<string>();
  return {
    added,
    get(key) {
      const code = entries.get(key);
      if (code) used.set(key, code);
      return code;
    },
    set(key, code) {
      entries.set(key, code);
      used.set(key, code);
      added.add(key);
    },
    save() {
      const lines = [...used].map((entry) => JSON.stringify(entry));
      let size = lines.reduce((sum, line) => sum + line.length, 0);
      for (const [key, code] of entries) {
        const line = JSON.stringify([key, code]);
        size += line.length;
        if (size > maxBytes) break;
        if (!used.has(key)) lines.push(line);
      }
      const body = `${JSON.stringify(version)}\n${lines.join("\n")}`;
      writeFileSync(`${file}.new`, `${digest(body)}\n${body}`);
      renameSync(`${file}.new`, file);
    },
  };
}

function readEntries(file: string, version: string): [string, StoredCode][] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  const end = text.indexOf("\n");
  const body = text.slice(end + 1);
  if (digest(body) !== text.slice(0, Math.max(end, 0))) return [];
  const [first, ...lines] = body.split("\n");
  if (first !== JSON.stringify(version)) return [];
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
