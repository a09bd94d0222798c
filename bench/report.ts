// Figures as a table, each beside its budget.

export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** The most that it should be; absent: for information. */
  budget?: number;
}

const NAME_WIDTH = 46;
const VALUE_WIDTH = 10;

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

/** One line: name, value, unit, budget, and whether it is kept. */
export function figureLine(figure: Figure): string {
  const columns = [
    `  ${figure.name.padEnd(NAME_WIDTH)}`,
    format(figure.value).padStart(VALUE_WIDTH),
    ` ${figure.unit.padEnd(13)}`,
  ];
  if (figure.budget === undefined) return columns.join("").trimEnd();
  const verdict = figure.value <= figure.budget ? "within" : "OVER";
  return `${columns.join("")}${verdict.padEnd(7)}budget ${format(figure.budget)}`;
}

export function printFigures(title: string, figures: Figure[]): void {
  process.stdout.write(`${title}\n${figures.map(figureLine).join("\n")}\n\n`);
}
