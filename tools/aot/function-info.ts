import type { SourcePosition } from "./sourcemap.ts";
import type { Site } from "./x64/marks.ts";

/** A place in the code and in the sources. */
export interface SourceSite extends Site {
  position: SourcePosition | null;
  /** Where the calls are that the code was inlined for, innermost first. */
  callers: SourcePosition[];
}

/** What the symbol table needs to know of one function; labels are resolved after assembly. */
export interface FunctionInfo {
  symbol: string;
  name: string;
  frameBytes: number;
  sites: SourceSite[];
}
