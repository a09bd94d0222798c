// Tables in Markdown whose columns are also aligned as plain text: the same words serve the terminal and the document.

/** The first row is the head. Columns are right-aligned but for the first `left` ones. */
export function table(rows: string[][], left = 1): string {
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(3, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const pad = (text: string, column: number) =>
    column < left ? text.padEnd(widths[column] as number) : text.padStart(widths[column] as number);
  const line = (row: string[]) => `| ${row.map(pad).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column < left ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  const [head, ...body] = rows as [string[], ...string[][]];
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)].join("\n");
}

const BEGIN = (name: string) => `<!-- generated: ${name} -->`;
const END = "<!-- end of generated -->";

/** A document with the text between the markers of `name` replaced. @throws Error when it has no such markers. */
export function replaceGenerated(document: string, name: string, text: string): string {
  const begin = document.indexOf(BEGIN(name));
  const end = document.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`the document has no lines \`${BEGIN(name)}\` and \`${END}\``);
  return `${document.slice(0, begin)}${BEGIN(name)}\n\n${text}\n\n${document.slice(end)}`;
}
