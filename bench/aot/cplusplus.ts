// The benchmark's modules as C++, for comparison with what g++ makes of the same programs. AssemblyScript's integers, structures
// and statements are those of C; what is left is spelled differently. Types that the source leaves to inference are `auto`.
// Results are compared with those of the WebAssembly module, so a difference in meaning does not go unnoticed.
import ts from "typescript";

/** Memory is where the hypervisor has it: from address 0 on. Its accesses may alias anything, as in WebAssembly. */
const PRELUDE = `
#include <cstdint>
#include <cstring>
typedef int8_t i8; typedef int16_t i16; typedef int32_t i32; typedef int64_t i64;
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
typedef u32 usize;
template <typename T> static inline T load(usize at, usize offset = 0) {
  typedef T __attribute__((may_alias, aligned(1))) Any;
  return *(const Any*)((uintptr_t)at + offset);
}
template <typename T> static inline void store(usize at, T value, usize offset = 0) {
  typedef T __attribute__((may_alias, aligned(1))) Any;
  *(Any*)((uintptr_t)at + offset) = value;
}
template <typename T> static inline T* changetype(usize at) { return (T*)(uintptr_t)at; }
static inline void memory_fill(usize at, u8 value, usize bytes) { memset((void*)(uintptr_t)at, value, bytes); }
template <typename T> static inline T rotr(T x, u32 by) {
  return x >> (by & (sizeof(T) * 8 - 1)) | x << (-by & (sizeof(T) * 8 - 1));
}
template <typename T> static inline T bswap(T x) { return sizeof(T) == 4 ? __builtin_bswap32(x) : __builtin_bswap64(x); }
template <typename T> static inline T clz(T x) { return sizeof(T) == 4 ? __builtin_clz(x) : __builtin_clzll(x); }
template <typename T> static inline usize size_of() { return sizeof(T); }
template <typename F> static inline i32 index_of(F* function) { return (i32)(uintptr_t)function; }
template <typename R, typename... A> static inline R call_indirect(i32 function, A... args) {
  return ((R (*)(A...))(uintptr_t)(u32)function)(args...);
}
`;

const SPELLINGS: Record<string, string> = {
  "memory.fill": "memory_fill",
  "u64.MAX_VALUE": "UINT64_MAX",
  offsetof: "size_of",
  unchecked: "",
};

/** Translates the source of a module. `run` has C's linkage. */
export function toCPlusPlus(source: string): string {
  const file = ts.createSourceFile("module.ts", source, ts.ScriptTarget.ES2022, true);
  const classes = file.statements.filter(ts.isClassDeclaration);
  const functions = file.statements.filter(ts.isFunctionDeclaration);
  const variables = file.statements.filter(ts.isVariableStatement);
  const printer = new Printer(file, new Set(classes.map((c) => c.name!.text)));
  return [
    PRELUDE,
    ...classes.map((c) => printer.structure(c)),
    ...functions.map((f) => `${printer.head(f)};`),
    ...variables.map((v) => printer.global(v)),
    ...functions.map((f) => `${printer.head(f)} ${printer.text(f.body!)}`),
    "",
  ].join("\n");
}

class Printer {
  constructor(
    private readonly file: ts.SourceFile,
    private readonly classes: ReadonlySet<string>,
  ) {}

  structure(node: ts.ClassDeclaration): string {
    const fields = node.members.filter(ts.isPropertyDeclaration);
    const lines = fields.map((field) => `${this.type(field.type)} ${field.name.getText()};`);
    return `struct __attribute__((may_alias)) ${node.name!.text} { ${lines.join(" ")} };`;
  }

  head(node: ts.FunctionDeclaration): string {
    const parameters = node.parameters.map((p) => `${this.type(p.type)} ${p.name.getText()}`);
    const linkage = node.name!.text === "run" ? 'extern "C"' : "static";
    return `${linkage} ${this.type(node.type)} ${node.name!.text}(${parameters.join(", ")})`;
  }

  global(node: ts.VariableStatement): string {
    return this.declarations(node.declarationList, "static ");
  }

  /** One declaration each: inferred types may differ. */
  private declarations(list: ts.VariableDeclarationList, prefix = ""): string {
    const isConst = (list.flags & ts.NodeFlags.Const) !== 0;
    return list.declarations
      .map((declaration) => {
        const { name, type, initializer } = declaration;
        const qualifier = `${prefix}${isConst ? "const " : ""}`;
        if (initializer && ts.isArrayLiteralExpression(initializer)) {
          const element = (type as ts.TypeReferenceNode).typeArguments![0];
          const items = initializer.elements.map((item) => this.text(item)).join(", ");
          return `${qualifier}${this.type(element)} ${name.getText()}[] = {${items}};`;
        }
        const value = initializer ? ` = ${this.text(initializer)}` : "";
        return `${qualifier}${type ? this.type(type) : "auto"} ${name.getText()}${value};`;
      })
      .join(" ");
  }

  private type(node: ts.TypeNode | undefined): string {
    const name = node!.getText();
    return this.classes.has(name) ? `${name}*` : name;
  }

  /** The source text with what is spelled differently replaced. */
  text(node: ts.Node): string {
    if (ts.isVariableStatement(node)) return this.declarations(node.declarationList);
    if (ts.isVariableDeclarationList(node)) return this.declarations(node).slice(0, -1);
    if (ts.isTypeAssertionExpression(node))
      return `((${this.type(node.type)})(${this.text(node.expression)}))`;
    if (ts.isPropertyAccessExpression(node)) return this.member(node);
    if (ts.isCallExpression(node)) return this.call(node);
    let text = "";
    let at = node.getStart(this.file);
    ts.forEachChild(node, (child) => {
      text += this.file.text.slice(at, child.getStart(this.file)) + this.text(child);
      at = child.end;
    });
    return text + this.file.text.slice(at, node.end);
  }

  private member(node: ts.PropertyAccessExpression): string {
    const known = SPELLINGS[node.getText()];
    if (known) return known;
    const object = this.text(node.expression);
    return node.name.text === "index" ? `index_of(${object})` : `${object}->${node.name.text}`;
  }

  private call(node: ts.CallExpression): string {
    const args = node.arguments.map((argument) => this.text(argument)).join(", ");
    const types = node.typeArguments?.map((type) => type.getText()).join(", ");
    const name = node.expression.getText();
    return `${SPELLINGS[name] ?? name}${types === undefined ? "" : `<${types}>`}(${args})`;
  }
}
