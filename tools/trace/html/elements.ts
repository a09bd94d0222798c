// Small helpers of the report page: elements, table rows, numbers as people read them.

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<Record<"className" | "title", string>>,
  ...content: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...content);
  return made;
}

/** A table row; texts become cells. */
export function row(cells: (HTMLElement | string)[], kind: "td" | "th" = "td"): HTMLTableRowElement {
  return element(
    "tr",
    {},
    ...cells.map((cell) => (typeof cell === "string" ? element(kind, {}, cell) : cell)),
  );
}

/** A time in its natural unit: `12.3 µs`. */
export function seconds(value: number): string {
  if (value === 0) return "0";
  const units: [number, string][] = [
    [1, "s"],
    [1e-3, "ms"],
    [1e-6, "µs"],
  ];
  const [unit, name] = units.find(([size]) => value >= size) ?? [1e-9, "ns"];
  return `${Number((value / unit).toPrecision(3))} ${name}`;
}

export function share(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)} %`;
}

/** Calls back with the width that `host` has on the page: once it is there, and when that changes. */
export function onWidth(host: HTMLElement, draw: (width: number) => void): void {
  let drawn = 0;
  const look = () => {
    const width = Math.floor(host.clientWidth);
    if (width === drawn || width === 0) return;
    drawn = width;
    draw(width);
  };
  document.addEventListener("placed", look);
  window.addEventListener("resize", look);
}

/** To be called when all elements are on the page. */
export function placed(): void {
  document.dispatchEvent(new Event("placed"));
}
