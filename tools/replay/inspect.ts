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
  const breakpoints = new Breakpoints(module);
  let first = true;
  return {
    exit: (number, at) => {
      if (wanted === undefined ? first : number === wanted) breakpoints.setBehindCaller();
      first = false;
      watcher.exit?.(number, at);
    },
    handled: (number, record, intrinsics) => {
      breakpoints.remove();
      watcher.handled?.(number, record, intrinsics);
    },
    entered: (tsc) => watcher.entered?.(tsc),
  };
}

/** A breakpoint in the module's code, set by a session of our own beside the debugger's. */
class Breakpoints {
  private readonly session = new inspector.Session();
  private readonly offsets: number[];
  /** Where the function begins that every exit is given to. */
  private readonly handler: number | undefined;
  private script: string | undefined;
  private set: string[] = [];

  constructor(module: ReplayModule) {
    const { funcs } = decode(module.wasm);
    this.offsets = funcs.flatMap(({ body }) => body.map(({ offset }) => offset));
    this.handler = funcs.find(({ name }) => name === HANDLER)?.body[0]?.offset;
    this.session.connect();
    this.session.on("Debugger.scriptParsed", ({ params }) => {
      if (params.sourceMapURL?.includes("json")) this.script = params.scriptId;
    });
    this.session.post("Debugger.enable");
  }

  /** Where the innermost function of the module goes on when what it has called returns. */
  setBehindCaller(): void {
    const call = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(new Error().stack ?? "")?.[1];
    const next = this.offsets.find((offset) => offset > Number.parseInt(call ?? "", 16));
    // A function that runs already may be beyond a breakpoint's reach; the one that it calls next is not.
    for (const offset of [next, this.handler]) this.setAt(offset);
  }

  private setAt(columnNumber: number | undefined): void {
    if (this.script === undefined || columnNumber === undefined) return;
    const location = { scriptId: this.script, lineNumber: 0, columnNumber };
    this.session.post("Debugger.setBreakpoint", { location }, (_error, result) => {
      if (result !== undefined) this.set.push(result.breakpointId);
    });
  }

  remove(): void {
    for (const breakpointId of this.set) this.session.post("Debugger.removeBreakpoint", { breakpointId });
    this.set = [];
  }
}
