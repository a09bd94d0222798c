// Which functions of the source a function's code comes from: a tree of calls that were replaced by what they call.

import type { SourcePosition } from "../aot/sourcemap.ts";
import { type Scope, type Scopes, sameScope } from "../aot/symtab/scopes.ts";

/** Code from one place of the source, up to where the next place starts. */
export interface Place {
  /** From the start of all code. */
  offset: number;
  position: SourcePosition;
  /** From 1; absent: unknown. */
  column?: number;
  /** Where the calls are that the code was inlined for, innermost first. */
  callers: readonly SourcePosition[];
}

/** One function's code, its places in ascending order. */
export interface Code {
  scope: Scope;
  start: number;
  end: number;
  places: readonly Place[];
}

/** Gives each function the places in it. Both are in ascending order. */
export function withPlaces(functions: readonly Omit<Code, "places">[], all: readonly Place[]): Code[] {
  let next = 0;
  return functions.map((code) => {
    const places: Place[] = [];
    for (; (all[next]?.offset ?? code.end) < code.end; next++) {
      const place = all[next] as Place;
      if (place.offset >= code.start) places.push(place);
    }
    return { ...code, places };
  });
}

/** A call that is no call any more: the code of `scope`, for the call at a position. */
export interface Inlined {
  scope: Scope;
  call: SourcePosition;
  /** Start and end of its parts, in ascending order. */
  ranges: [start: number, end: number][];
  calls: Map<string, Inlined>;
}

/** The calls that were inlined into a function itself; what was inlined into those is below them. */
export function inlinedCalls(code: Code, scopes: Scopes): Inlined[] {
  const root: Pick<Inlined, "calls"> = { calls: new Map() };
  let ownLine = scopes.declaration(code.scope.file, code.scope.name);
  code.places.forEach((place, i) => {
    const end = code.places[i + 1]?.offset ?? code.end;
    if (end === place.offset) return;
    const around = [place.position, ...place.callers].map((at) => scopes.around(at, code.scope));
    if (sameScope(around[0] as Scope, code.scope)) {
      ownLine = place.position.line;
      return;
    }
    let parent = root;
    for (const { scope, call } of pathOf(place, around, code.scope, ownLine)) {
      parent = enter(parent, scope, call, place.offset, end);
    }
  });
  return [...root.calls.values()];
}

/**
 * The inlined calls around a place, outermost first. The outermost is in the function itself, unless asc has inlined what holds
 * it: asc does not tell for which call, so the function's last line before the place stands for it.
 */
function pathOf(
  { callers }: Place,
  around: readonly Scope[],
  own: Scope,
  ownLine: number,
): { scope: Scope; call: SourcePosition }[] {
  const calls = [...callers];
  const called = [...around];
  if (sameScope(called.at(-1) as Scope, own)) called.pop();
  else calls.push({ file: own.file, line: ownLine });
  return called.map((scope, i) => ({ scope, call: calls[i] as SourcePosition })).reverse();
}

function enter(
  parent: Pick<Inlined, "calls">,
  scope: Scope,
  call: SourcePosition,
  start: number,
  end: number,
): Inlined {
  const key = [scope.name, scope.file, call.file, call.line].join("\0");
  const known: Inlined = parent.calls.get(key) ?? { scope, call, ranges: [], calls: new Map() };
  parent.calls.set(key, known);
  const last = known.ranges.at(-1);
  if (last?.[1] === start) last[1] = end;
  else known.ranges.push([start, end]);
  return known;
}
