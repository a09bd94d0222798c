// Who uses what a source file exports: for tests/tidy.test.ts, which wants no export in vain.
import { dirname, join, normalize } from "node:path";
import ts from "typescript";

export interface Exported {
  file: string;
  name: string;
  /** A constant, or a function that is only declared: neither is code. */
  isConstant: boolean;
  /** Its own file names it outside the declaration. */
  isUsedInside: boolean;
}

type Read = (file: string) => string;

const parse = (file: string, read: Read) =>
  ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);

const hasModifier = (node: ts.Node, kind: ts.SyntaxKind) =>
  ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((m) => m.kind === kind) === true;

/** What a file itself exports; not what it hands on from another. */
export function exportsOf(file: string, read: Read): Exported[] {
  const source = parse(file, read);
  const uses = new Map<string, number>();
  const count = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) uses.set(node.text, (uses.get(node.text) ?? 0) + 1);
    ts.forEachChild(node, count);
  };
  count(source);
  const found: Exported[] = [];
  const add = (name: string, isConstant: boolean) =>
    found.push({ file, name, isConstant, isUsedInside: (uses.get(name) ?? 0) > 1 });
  for (const statement of source.statements) {
    if (!hasModifier(statement, ts.SyntaxKind.ExportKeyword)) continue;
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) add(name.getText(), true);
    } else if ("name" in statement && statement.name !== undefined) {
      add((statement.name as ts.Identifier).text, hasModifier(statement, ts.SyntaxKind.DeclareKeyword));
    }
  }
  return found;
}

const targetOf = (file: string, specifier: string) =>
  `${normalize(join(dirname(file), specifier)).replace(/\.(ts|js)$/, "")}.ts`;

/** The imports of some files. */
export class Imports {
  /** `file#name`; `file#*` where all is taken at once. */
  private readonly taken = new Set<string>();
  /** File -> files that hand on all that it exports. */
  private readonly handedOn = new Map<string, string[]>();

  constructor(importers: string[], read: Read) {
    for (const file of importers) this.visit(file, parse(file, read));
  }

  has({ file, name }: { file: string; name: string }): boolean {
    if (this.taken.has(`${file}#${name}`) || this.taken.has(`${file}#*`)) return true;
    return (this.handedOn.get(file) ?? []).some((other) => this.has({ file: other, name }));
  }

  private visit(file: string, node: ts.Node): void {
    ts.forEachChild(node, (child) => this.visit(file, child));
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [from] = node.arguments;
      if (from !== undefined && ts.isStringLiteral(from)) this.taken.add(`${targetOf(file, from.text)}#*`);
    }
    if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return;
    if (node.moduleSpecifier === undefined) return;
    const target = targetOf(file, (node.moduleSpecifier as ts.StringLiteral).text);
    const names = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : node.exportClause;
    if (names !== undefined && "elements" in names) {
      for (const e of names.elements) this.taken.add(`${target}#${(e.propertyName ?? e.name).text}`);
    } else if (ts.isExportDeclaration(node)) {
      this.handedOn.set(target, [...(this.handedOn.get(target) ?? []), file]);
    } else {
      this.taken.add(`${target}#*`);
    }
  }
}
