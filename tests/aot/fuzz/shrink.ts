import { type FuncAst, type ModuleAst, type Node, node } from "./encode.ts";

/** Whether a program still shows the fault. */
export type StillFails = (ast: ModuleAst) => boolean;

/** Most candidates to try. */
const MAX_TRIALS = 3000;

interface Spot {
  read(): Node;
  write(n: Node): void;
}

function spotsIn(kids: Node[]): Spot[] {
  return kids.flatMap((kid, i) => [
    {
      read: () => kids[i]!,
      write: (n: Node) => {
        kids[i] = n;
      },
    },
    ...spotsIn(kid.kids),
  ]);
}

/** Simpler trees of the same type: constants, nothing, or one of the operands. */
function simpler(n: Node): Node[] {
  const sameType = n.kids.filter((kid) => kid.type === n.type && kid.op !== "seq");
  if (n.type === "") {
    const empty = node("seq", "");
    const candidates = n.op === "seq" && !n.kids.length ? [] : [empty];
    const arms = n.kids.filter((kid) => kid.op === "seq" && kid.type === "");
    const without =
      n.op === "seq" ? n.kids.map((_, i) => ({ ...n, kids: n.kids.filter((__, k) => k !== i) })) : [];
    return [...candidates, ...sameType, ...arms, ...without];
  }
  const constants = [0n, 1n].map((value) => node(`${n.type}.const`, n.type, [], value));
  return n.op.endsWith(".const") && (n.imm === 0n || n.imm === 1n) ? [] : [...constants, ...sameType];
}

/** Greedy reduction: tries simpler subtrees everywhere until none still fails. */
export function shrink(ast: ModuleAst, stillFails: StillFails): ModuleAst {
  const best = structuredClone(ast);
  let trials = 0;
  const attempt = (): boolean => {
    if (trials++ > MAX_TRIALS) return false;
    try {
      return stillFails(best);
    } catch {
      return false;
    }
  };
  for (let changed = true; changed && trials < MAX_TRIALS; ) {
    changed = false;
    for (const func of best.funcs) if (emptyBody(func, attempt)) changed = true;
    for (const func of best.funcs) if (shrinkBody(func, attempt)) changed = true;
  }
  return best;
}

function emptyBody(func: FuncAst, attempt: () => boolean): boolean {
  if (func.body.length === 1) return false;
  const { body } = func;
  func.body = [node(`${func.result}.const`, func.result)];
  if (attempt()) return true;
  func.body = body;
  return false;
}

function shrinkBody(func: FuncAst, attempt: () => boolean): boolean {
  let changed = false;
  for (let i = 0; i < func.body.length - 1; i++) {
    const [removed] = func.body.splice(i, 1);
    if (attempt()) {
      changed = true;
      i--;
    } else func.body.splice(i, 0, removed!);
  }
  // Large subtrees come first; after a success the walk goes on at the same place in the smaller tree.
  let spots = spotsIn(func.body);
  for (let i = 0; i < spots.length; i++) {
    const spot = spots[i]!;
    const before = spot.read();
    const found = simpler(before).some((candidate) => {
      spot.write(candidate);
      if (attempt()) return true;
      spot.write(before);
      return false;
    });
    if (!found) continue;
    changed = true;
    spots = spotsIn(func.body);
    i--;
  }
  return changed;
}
