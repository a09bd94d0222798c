// Stopping a replay in a debugger, where the handling of an exit begins.
import inspector from "node:inspector";
import { UserError } from "../lib/user-error.ts";
import type { ReplayWatcher } from "./replay.ts";

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 9229;

/**
 * Opens Node's inspector and waits until a debugger has attached. Under a debugger already, returns at once.
 * @throws UserError when the address is none, or is in use.
 */
export async function openInspector(address: string | undefined): Promise<void> {
  if (inspector.url() !== undefined) return;
  const { host, port } = parseAddress(address ?? "");
  try {
    inspector.open(port, host, false);
  } catch (error) {
    throw new UserError(`--inspect ${address}: ${(error as Error).message}.`);
  }
  if (inspector.url() === undefined)
    throw new UserError(`--inspect: ${host}:${port} is in use, or cannot be listened at.`);
  inspector.waitForDebugger();
}

function parseAddress(text: string): { host: string; port: number } {
  const found = /^(?:(.*):)?(\d+)?$/.exec(text);
  const port = found?.[2] === undefined ? DEFAULT_PORT : Number(found[2]);
  if (found === null || port > 65_535) throw new UserError(`--inspect ${text}: expected HOST:PORT or PORT.`);
  return { host: found[1] || DEFAULT_HOST, port };
}

/** Stops before exit `wanted` is handled; undefined: before the first. */
export function pauseBefore(wanted: number | undefined, watcher: ReplayWatcher): ReplayWatcher {
  let first = true;
  return {
    exit: (number, at) => {
      const stop = wanted === undefined ? first : number === wanted;
      first = false;
      // The replayed exit begins where this returns to: step out of it.
      // biome-ignore lint/suspicious/noDebugger: this is where a debugger is to stop.
      if (stop) debugger;
      watcher.exit?.(number, at);
    },
    handled: (number, record, intrinsics) => watcher.handled?.(number, record, intrinsics),
    entered: (tsc) => watcher.entered?.(tsc),
  };
}
