// The runs of the study: the same guest on each machine, through the command line, as the document tells its readers.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../lib/paths.ts";

export interface Backend {
  machine: string;
  heading: string;
  emulator: string;
}

export const BACKENDS: Backend[] = [
  { machine: "bochs", heading: "VT-x", emulator: "Bochs" },
  { machine: "qemu-tcg", heading: "AMD-V", emulator: "QEMU" },
];

/** No address randomization, no random numbers of the processor: what else makes one boot unlike the next. */
export const GUEST_WORDS = "nokaslr clearcpuid=rdrand,rdseed";

/** Runs in the guest as the phase "command". */
export const GUEST_COMMAND = [
  "dmesg | grep 'Run /init'",
  "uname -r",
  "cat /proc/cpuinfo",
  "seq 1 20000 | sha256sum",
  "sleep 1",
].join("; ");

const TIMEOUT_SECONDS = 400;
/** A boot under QEMU's instruction-counting clock stalls now and then; it is tried again. */
const ATTEMPTS = 3;

/** The arguments of `typevisor` for one run. */
export function runArguments(machine: string, trace?: string): string[] {
  const words = [
    "run",
    "--machine",
    machine,
    "--repeatable",
    "--append",
    GUEST_WORDS,
    "--exec",
    GUEST_COMMAND,
  ];
  return trace === undefined ? words : [...words, "--trace", trace];
}

export interface Run {
  /** Seconds by the guest's own clock when its kernel started /init. */
  initStarted: number;
  kernelRelease: string;
}

/** Boots the guest. @throws Error when it does not come to the end of its command. */
export async function runGuest(machine: string, trace?: string): Promise<Run> {
  for (let attempt = 1; ; attempt++) {
    const { status, output } = await typevisor([
      ...runArguments(machine, trace),
      ...["--timeout", String(TIMEOUT_SECONDS)],
    ]);
    const started = /^\[ *([\d.]+)\] Run \/init/m.exec(output)?.[1];
    const release = /^(\d+\.\d+\S*)$/m.exec(output)?.[1];
    if (status === 0 && started !== undefined && release !== undefined) {
      return { initStarted: Number(started), kernelRelease: release };
    }
    if (attempt === ATTEMPTS) throw new Error(`${machine}: the guest did not come to its end:\n${output}`);
  }
}

function typevisor(args: string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [join(ROOT, "bin/typevisor.mjs"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, output })));
}
