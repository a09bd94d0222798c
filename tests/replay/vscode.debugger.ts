// A replay in VS Code's own JavaScript debugger, with the configurations in .vscode/launch.json: it stops at the exit, steps by
// lines of TypeScript, and stops at a breakpoint. The debugger is not a package: its releases are at
// https://github.com/microsoft/vscode-js-debug/releases (js-debug-dap-*.tar.gz). Unpacked somewhere in build/, it finds the
// reader of DWARF in node_modules/; `npm run test:vscode -- PATH` then runs this test with its dapDebugServer.js.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ROOT } from "../../tools/lib/paths.ts";
import { start } from "../cli/cli.ts";
import { temporary } from "../trace/sample.ts";
import { Session, startServer } from "./dap.ts";
import { recordGuest } from "./record.ts";

const HANDLER = join(ROOT, "kernel/exits/cpuid.ts");
/** The guest's first CPUID: ten writes to the PIC come before (tests/guests/guest.inc). */
const FIRST_CPUID = "10";
const STEPS = 3;

/** The configuration of .vscode/launch.json for a kind of request, as VS Code fills it in. */
function configurationOf(request: string, recording: string): Record<string, unknown> {
  const filled = readFileSync(join(ROOT, ".vscode/launch.json"), "utf8")
    .replaceAll(`\${workspaceFolder}`, ROOT)
    .replaceAll(`\${input:recording}`, recording)
    .replaceAll(`\${input:exit}`, FIRST_CPUID);
  const { configurations } = JSON.parse(filled) as { configurations: Record<string, unknown>[] };
  const found = configurations.find((configuration) => configuration.request === request);
  // VS Code adds these; a console of the debugger's own needs no terminal.
  return { ...found, type: "pwa-node", console: "internalConsole", cwd: ROOT, __workspaceFolder: ROOT };
}

test.each(["launch", "attach"])(
  "VS Code's debugger steps through an exit: %s",
  async (request) => {
    const { path: recording } = await recordGuest("cpuid", "qemu-tcg", temporary(), ["--no-reboot"]);
    const { server, port } = await startServer(process.env.JS_DEBUG as string);
    onTestFinished(() => void server.kill());
    if (request === "attach") {
      const { child } = start(["replay", recording, "--exit", FIRST_CPUID, "--inspect"]);
      await new Promise<void>((resolve) => {
        child.stderr?.on("data", (text) => String(text).includes("Debugger listening on") && resolve());
      });
    }
    const line =
      readFileSync(HANDLER, "utf8")
        .split("\n")
        .findIndex((text) => text.includes("cpuidSlot(vcpu")) + 1;
    const breakpoints = { source: { path: HANDLER }, breakpoints: [{ line }] };
    const configuration = configurationOf(request, recording);
    const session = await (await Session.open(port, request, configuration, breakpoints)).process();

    const places: string[] = [];
    let { frames, threadId } = await session.stopped();
    expect(frames.map(({ name }) => name)).toContain("run");
    for (let step = 0; step <= STEPS; step++) {
      const [frame] = frames;
      expect(frame?.source?.path).toMatch(new RegExp(`^${ROOT}/kernel/.*\\.ts$`));
      places.push(`${frame?.name} ${frame?.line}`);
      await session.request(step < STEPS ? "next" : "continue", { threadId });
      ({ frames, threadId } = await session.stopped());
      if (frames[0]?.source?.path === HANDLER) break;
    }
    // Each step was to another line.
    expect(new Set(places).size).toBe(places.length);
    expect(frames.slice(0, 3).map(({ name }) => name)).toEqual(["handleCpuid", "dispatch", "onExit"]);
    expect(frames[0]).toMatchObject({ line, source: { path: HANDLER } });
    await session.request("next", { threadId });
    const after = await session.stopped();
    expect(after.frames[0]).toMatchObject({ name: "handleCpuid", source: { path: HANDLER } });
    expect(after.frames[0]?.line).not.toBe(line);
  },
  300_000,
);
