#!/usr/bin/env node
// Starts the command line from its TypeScript source: there is no build step between an edit and its effect.
import process from "node:process";

const OLDEST_NODE = 20;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  process.stderr.write(
    `typevisor: Node ${OLDEST_NODE} or newer is needed; this is ${process.versions.node}.\n`,
  );
  process.exit(125);
}
try {
  const { register } = await import("tsx/esm/api");
  register();
} catch {
  process.stderr.write(
    "typevisor: the npm packages are not installed. Run `npm ci` (or `make setup`) in the checkout.\n",
  );
  process.exit(125);
}
const { main } = await import("../tools/cli/main.ts");
await main(process.argv);
