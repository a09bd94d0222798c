// Takes the windows of a recording from a running machine, keeps the last of them in bounded memory, and writes the file.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { RECORDING_FRAME_LOG, RECORDING_FRAME_WINDOW } from "../../kernel/abi/recording.ts";
import { VERSION } from "../../kernel/abi/version.ts";
import { RECORDED } from "../gen/recorders.ts";
import type { Image } from "../image/build.ts";
import { capture } from "../lib/command.ts";
import { ROOT } from "../lib/paths.ts";
import { formatSize } from "../lib/size.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import type { Report } from "../machines/recorder.ts";
import { StreamRecorder } from "../machines/stream.ts";
import type { Frame } from "../trace/frames.ts";
import { FILE_FORMAT, makeFile, moduleHash } from "./file.ts";

interface Window {
  frames: { type: number; payload: Buffer }[];
  bytes: number;
}

export class WindowRecorder extends StreamRecorder {
  private readonly windows: Window[] = [];
  private readonly descriptor: number;
  private bytes = 0;

  /**
   * Creates the file at `path`.
   * @param limit bytes of windows to keep: the oldest go first, the last one stays.
   * @throws UserError when the file cannot be written.
   */
  constructor(
    readonly path: string,
    private readonly limit: number,
  ) {
    super();
    try {
      this.descriptor = openSync(path, "w");
    } catch (error) {
      throw new UserError(`--record ${path}: cannot write this file: ${systemErrorText(error)}.`);
    }
  }

  protected take(frame: Frame): void {
    if (frame.type === RECORDING_FRAME_WINDOW) this.windows.push({ frames: [], bytes: 0 });
    const window = this.windows.at(-1);
    if (window === undefined) return;
    window.frames.push({ type: frame.type, payload: Buffer.from(frame.payload) });
    window.bytes += frame.bytes.length;
    this.bytes += frame.bytes.length;
    while (this.windows.length > 1 && this.bytes > this.limit) {
      this.bytes -= (this.windows.shift() as Window).bytes;
    }
  }

  /** Writes the file. `image`: what was recorded. */
  async close(image: Image): Promise<Report> {
    const wasm = readFileSync(image.wasm);
    const header = {
      format: FILE_FORMAT,
      version: `${VERSION}`,
      commit: await commit(),
      module: moduleHash(wasm),
      intrinsics: [...RECORDED],
    };
    const module = { wasm, map: readFileSync(image.map, "utf8") };
    const file = makeFile(
      header,
      module,
      this.windows.flatMap(({ frames }) => frames),
    );
    for (let at = 0; at < file.length; ) at += writeSync(this.descriptor, file, at);
    closeSync(this.descriptor);
    return this.describe(file.length);
  }

  private describe(bytes: number): Report {
    const log = this.windows.flatMap(({ frames }) =>
      frames.filter(({ type }) => type === RECORDING_FRAME_LOG),
    );
    if (log.length === 0) {
      const text = `Recording ${this.path}: nothing was recorded: the run ended before --record-from.`;
      return { text, important: true };
    }
    const windows = this.windows.length === 1 ? "1 window" : `${this.windows.length} windows`;
    const size = formatSize(Math.ceil(bytes / 1024) * 1024);
    const text = `Recording ${this.path}: ${windows}, ${size}. \`typevisor replay ${this.path}\` runs it again.`;
    if (this.damage === undefined) return { text, important: false };
    return { text: `${text} It ended early: ${this.damage}.`, important: true };
  }
}

/** The commit of this checkout, with a mark if files differ from it; undefined when that is not known. */
async function commit(): Promise<string | undefined> {
  const described = await capture("git", ["describe", "--always", "--dirty", "--abbrev=12"], {
    cwd: ROOT,
  }).catch(() => undefined);
  return described?.status === 0 ? described.stdout.trim() : undefined;
}
