import ts from "typescript";

interface Scope {
  name: string;
  firstLine: number;
  lastLine: number;
}

/** Names of the functions of source files by line: tells code that was inlined from the function that holds it. */
export class Scopes {
  private readonly files = new Map<string, Scope[]>();

  constructor(sources: ReadonlyMap<string, string>) {
    for (const [file, text] of sources) this.files.set(file, functionsOf(file, text));
  }

  /** Line of the declaration of a function, 0 when unknown. */
  declaration(file: string, name: string): number {
    return this.files.get(file)?.find((scope) => scope.name === name)?.firstLine ?? 0;
  }

  /** The innermost function around a line, as asc names it after the file: "walk" or "Uart#read"; "" for none. */
  find(file: string, line: number): string {
    let best: Scope | null = null;
    for (const scope of this.files.get(file) ?? []) {
      if (line < scope.firstLine || line > scope.lastLine) continue;
      if (!best || scope.firstLine >= best.firstLine) best = scope;
    }
    return best?.name ?? "";
  }
}

function functionsOf(file: string, text: string): Scope[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, false, ts.ScriptKind.TS);
  const scopes: Scope[] = [];
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const visit = (node: ts.Node, owner: string) => {
    let inner = owner;
    if (ts.isClassDeclaration(node) || ts.isModuleDeclaration(node)) inner = `${node.name?.text ?? ""}`;
    if (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) {
      const own = node.name && ts.isIdentifier(node.name) ? node.name.text : "";
      const isStatic = node.modifiers?.some((m) => m.kind === ts.SyntaxKind.StaticKeyword);
      const name = owner ? `${owner}${ts.isMethodDeclaration(node) && !isStatic ? "#" : "."}${own}` : own;
      scopes.push({ name, firstLine: lineOf(node.getStart(source)), lastLine: lineOf(node.end) });
    }
    ts.forEachChild(node, (child) => visit(child, inner));
  };
  visit(source, "");
  return scopes;
}
