// Stopping a replay in a debugger, in the hypervisor's code, where the handling of an exit begins.
import inspector from "node:inspector";
import { decode } from "../aot/wasm/decode.ts";
import { UserError } from "../lib/user-error.ts";
import type { ReplayModule } from "./module.ts";
import type { ReplayWatcher } from "./replay.ts";

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 9229;
/** What the backend's loop calls with every exit. */
const HANDLER = "kernel/run/onExit";

/**
 * Opens Node's inspector and waits until a debugger has attached. Under a debugger already, returns at once.
 * @throws UserError when the address is none, or is in use.
 */
export function openInspector(address: string | undefined): void {
  if (inspector.url() !== undefined) return;
  const { host, port } = parseAddress(address ?? "");
  inspector.open(port, host, false);
  if (inspector.url() === undefined) {
    throw new UserError(
      `--inspect: cannot listen at ${host}:${port}. Name another with --inspect HOST:PORT.`,
    );
  }
  inspector.waitForDebugger();
}

/** Whether the debugger is VS Code's: it sets this variable, when it starts a program and when it attaches to one. */
export function isVsCodeAttached(): boolean {
  return (process.env.VSCODE_INSPECTOR_OPTIONS ?? "") !== "";
}

function parseAddress(text: string): { host: string; port: number } {
  const found = /^(?:(.*):)?(\d+)?$/.exec(text);
  const port = found?.[2] === undefined ? DEFAULT_PORT : Number(found[2]);
  if (found === null || port > 65_535) throw new UserError(`--inspect ${text}: expected HOST:PORT or PORT.`);
  return { host: found[1] || DEFAULT_HOST, port };
}

/** Stops where exit `wanted` begins to be handled; undefined: the first. */
export function stopAt(
  wanted: number | undefined,
  module: ReplayModule,
  watcher: ReplayWatcher,
): ReplayWatcher {
  const stop = new Stop(module);
  let first = true;
  return {
    exit: (number, at) => {
      if (wanted === undefined ? first : number === wanted) stop.setBehindCaller();
      first = false;
      watcher.exit?.(number, at);
    },
    handled: (number, record, intrinsics) => {
      stop.leave();
      watcher.handled?.(number, record, intrinsics);
    },
    entered: (tsc) => watcher.entered?.(tsc),
  };
}

/** What V8 tells of a script. Newer versions tell a list of symbols. */
interface ScriptParsed {
  scriptId: string;
  scriptLanguage?: string;
  sourceMapURL?: string;
  debugSymbols?: { type: string } | { type: string }[];
}

/**
 * A stop in the module's code. A session of our own sets it beside the debugger's, and leaves when the code has stopped: V8 skips
 * only what all debuggers want skipped, so with this one there, steps would be instructions and not lines.
 */
class Stop {
  private session: inspector.Session | undefined;
  private breakpoints: string[] = [];
  private readonly offsets: number[];
  /** Where the function begins that every exit is given to. */
  private readonly handler: number | undefined;

  constructor(module: ReplayModule) {
    const { funcs } = decode(module.wasm);
    this.offsets = funcs.flatMap(({ body }) => body.map(({ offset }) => offset));
    this.handler = funcs.find(({ name }) => name === HANDLER)?.body[0]?.offset;
  }

  /** Stops where the innermost function of the module goes on when what it has called returns. */
  setBehindCaller(): void {
    const call = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(new Error().stack ?? "")?.[1];
    const next = this.offsets.find((offset) => offset > Number.parseInt(call ?? "", 16));
    const session = new inspector.Session();
    this.session = session;
    session.connect();
    const scripts: string[] = [];
    session.on("Debugger.scriptParsed", ({ params }) => {
      if (isReplayed(params as ScriptParsed)) scripts.push(params.scriptId);
    });
    session.on("Debugger.paused", ({ params }) => {
      if ((params.hitBreakpoints?.length ?? 0) > 0) this.leave();
    });
    // Tells of all scripts that there are before it returns.
    session.post("Debugger.enable");
    // A function that runs already may be beyond a breakpoint's reach; the one that it calls next is not.
    for (const columnNumber of [next, this.handler]) {
      const scriptId = scripts.at(-1);
      if (scriptId === undefined || columnNumber === undefined) continue;
      const location = { scriptId, lineNumber: 0, columnNumber };
      session.post("Debugger.setBreakpoint", { location }, (_error, result) => {
        if (result !== undefined) this.breakpoints.push(result.breakpointId);
      });
    }
  }

  /** V8 takes the breakpoints in WebAssembly not away by itself when a session ends. */
  leave(): void {
    for (const breakpointId of this.breakpoints)
      this.session?.post("Debugger.removeBreakpoint", { breakpointId });
    this.breakpoints = [];
    this.session?.disconnect();
    this.session = undefined;
  }
}

/** Whether this is the replayed module: other WebAssembly that Node runs tells nothing of its sources. */
function isReplayed({ scriptLanguage, sourceMapURL, debugSymbols }: ScriptParsed): boolean {
  if (scriptLanguage !== "WebAssembly") return false;
  const dwarf = [debugSymbols].flat().some((symbols) => symbols?.type === "EmbeddedDWARF");
  return dwarf || (sourceMapURL ?? "") !== "";
}
