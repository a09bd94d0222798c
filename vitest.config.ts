import { defineConfig } from "vitest/config";

/** The test in VS Code's debugger needs that debugger, which is no package: `npm run test:vscode` (docs/replay.md). */
const include = process.env.JS_DEBUG ? ["tests/replay/vscode.debugger.ts"] : ["tests/**/*.test.ts"];

export default defineConfig({
  test: { include, testTimeout: 120_000, hookTimeout: 120_000 },
});
