// Recording a guest with the command line, as users do, and changing recordings.
import { join } from "node:path";
import { expect } from "vitest";
import { makeFile } from "../../tools/replay/file.ts";
import { prepareModule, type ReplayModule } from "../../tools/replay/module.ts";
import { type Recording, readRecording } from "../../tools/replay/reader.ts";
import { typevisor } from "../cli/cli.ts";
import { assembleGuest, DEBUG_EXIT } from "../guests/harness.ts";

export interface Recorded {
  path: string;
  recording: Recording;
  module: ReplayModule;
  /** What the guest said, and the command line's words. */
  stdout: string;
  stderr: string;
}

/** Runs a guest of tests/guests on a machine and records it into `folder`. */
export async function recordGuest(
  name: string,
  machine: string,
  folder: string,
  args: string[] = [],
): Promise<Recorded> {
  const kernel = await assembleGuest(name, folder);
  return record(
    [
      ...["--machine", machine, "--kernel", kernel, "--memory", "32M"],
      ...["--debug-exit", String(DEBUG_EXIT), ...args],
    ],
    folder,
    1,
  );
}

/** Runs `typevisor run --record`. `status`: how it must end. */
export async function record(args: string[], folder: string, status: number): Promise<Recorded> {
  const path = join(folder, "guest.rec");
  const run = await typevisor(["run", "--timeout", "150", "--record", path, ...args]);
  expect(run.status, run.stderr).toBe(status);
  const recording = readRecording(path);
  return { path, recording, module: prepareModule(recording.module), stdout: run.stdout, stderr: run.stderr };
}

/** The bytes of a file with these windows' frames: `change` may alter any payload. */
export function fileOf(recording: Recording, frames: { type: number; payload: Uint8Array }[]): Buffer {
  return makeFile(recording.header, recording.module, frames);
}
