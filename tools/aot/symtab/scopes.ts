import type { SourcePosition } from "../sourcemap.ts";

/** A function of the source. */
export interface Scope {
  name: string;
  file: string;
}

export function sameScope(a: Scope, b: Scope): boolean {
  return a.name === b.name && a.file === b.file;
}

/** Statements of a file outside of its functions. */
const TOP_LEVEL = "(top level)";
/** What asc calls the function that runs those of a module: "start:path/of/file". */
const START = "start:";

/**
 * The function that asc has named "path/of/file/name". Names without a path tell no file: `otherwise` is it. All instances of a
 * generic function are one function of the source.
 */
export function scopeOf(name: string, otherwise: string): Scope {
  const plain = withoutTypeArguments(name);
  if (plain.startsWith(START)) return { name: TOP_LEVEL, file: `${plain.slice(START.length)}.ts` };
  const slash = plain.lastIndexOf("/");
  const stem = plain.slice(0, Math.max(slash, 0));
  return { name: plain.slice(slash + 1), file: stem ? `${stem}.ts` : otherwise };
}

function withoutTypeArguments(name: string): string {
  const shorter = name.replace(/<[^<>]*>/g, "");
  return shorter === name ? name : withoutTypeArguments(shorter);
}

/** Where a function is in its file. */
export interface Extent {
  name: string;
  firstLine: number;
  lastLine: number;
}

/** Names of the functions of source files by line: tells code that was inlined from the function that holds it. */
export class Scopes {
  /** @param files the functions of each file (extents.ts). */
  constructor(private readonly files: ReadonlyMap<string, readonly Extent[]>) {}

  /** Line of the declaration of a function, 0 when unknown. */
  declaration(file: string, name: string): number {
    return this.files.get(file)?.find((scope) => scope.name === name)?.firstLine ?? 0;
  }

  /** The innermost function around a line, as asc names it after the file: "walk" or "Uart#read"; "" for none. */
  find(file: string, line: number): string {
    let best: Extent | null = null;
    for (const scope of this.files.get(file) ?? []) {
      if (line < scope.firstLine || line > scope.lastLine) continue;
      if (!best || scope.firstLine >= best.firstLine) best = scope;
    }
    return best?.name ?? "";
  }

  /** The function around a position inside code of the function `own`: that function when the source names no other. */
  around({ file, line }: SourcePosition, own: Scope): Scope {
    const name = this.find(file, line);
    if (name) return { name, file };
    return file === own.file ? own : { name: TOP_LEVEL, file };
  }
}
