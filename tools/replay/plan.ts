// What `typevisor run --record` asks for: options to the words of the hypervisor's command line.
import { MIB, parseSize } from "../lib/size.ts";
import { UserError } from "../lib/user-error.ts";
import { wholeNumber } from "../lib/whole-number.ts";
import { WindowRecorder } from "./recorder.ts";

export interface RecordOptions {
  record?: string;
  recordFrom?: string;
  recordExits?: string;
  recordWindow?: string;
}

export interface RecordingPlan {
  /** The `record.*` words, without `record`. */
  words: string[];
  /** Creates the file. */
  start(): WindowRecorder;
}

const DEFAULT_WINDOW = 16 * MIB;
/** So many windows of the hypervisor are kept: dropping the oldest loses a part of what was asked for, not all of it. */
const WINDOWS_KEPT = 4;

/** @throws UserError when an option has no meaning. */
export function planRecording(options: RecordOptions): RecordingPlan | undefined {
  const { record } = options;
  if (record === undefined) {
    const lost = (["recordFrom", "recordExits", "recordWindow"] as const).find(
      (name) => options[name] !== undefined,
    );
    if (lost === undefined) return undefined;
    const option = `--${lost.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new UserError(`${option} says what --record FILE records: name the file too.`);
  }
  const window =
    options.recordWindow === undefined ? DEFAULT_WINDOW : parseSize(options.recordWindow, "--record-window");
  if (window < MIB) throw new UserError(`--record-window ${options.recordWindow}: at least 1M is needed.`);
  const words = [
    `record.window=${Math.floor(window / WINDOWS_KEPT)}`,
    ...count("record.from", options.recordFrom, "--record-from", 0),
    ...count("record.exits", options.recordExits, "--record-exits", 1),
  ];
  return { words, start: () => new WindowRecorder(record, window) };
}

function count(word: string, text: string | undefined, option: string, least: number): string[] {
  if (text === undefined) return [];
  return [`${word}=${wholeNumber(option, text, least)}`];
}
