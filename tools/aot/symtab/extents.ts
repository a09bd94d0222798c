import ts from "typescript";
import { type Extent, Scopes } from "./scopes.ts";

/** The functions of source files, given by name and text. */
export function scopesOf(sources: ReadonlyMap<string, string>): Scopes {
  return new Scopes(new Map([...sources].map(([file, text]) => [file, extentsOf(file, text)])));
}

/** The functions of a source file. */
export function extentsOf(file: string, text: string): Extent[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, false, ts.ScriptKind.TS);
  const scopes: Extent[] = [];
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
