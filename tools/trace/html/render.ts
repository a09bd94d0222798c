// The report as one file: numbers, style and script are all inside, so that it can be mailed and opened anywhere.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Report } from "./report.ts";

const folder = import.meta.dirname;
const require = createRequire(import.meta.url);

/** The page's HTML. */
export async function renderPage(report: Report): Promise<string> {
  const chartStyle = await readFile(require.resolve("uplot/dist/uPlot.min.css"), "utf8");
  const style = await readFile(join(folder, "page.css"), "utf8");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(report.title)}: exits</title>
<style>${chartStyle}${style}</style>
</head>
<body>
<main id="page"></main>
<script type="application/json" id="report">${embed(report)}</script>
<script>${await bundle()}</script>
</body>
</html>
`;
}

/** The page's script with the charting library in it. */
async function bundle(): Promise<string> {
  const { build } = await import("esbuild");
  const result = await build({
    entryPoints: [join(folder, "page.ts")],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    write: false,
    charset: "utf8",
    legalComments: "inline",
  });
  return (result.outputFiles[0]?.text ?? "").replaceAll("</script", "<\\/script");
}

/** JSON inside a script element: nothing in it may end the element. */
function embed(report: Report): string {
  return JSON.stringify(report).replaceAll("<", "\\u003c");
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
