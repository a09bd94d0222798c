// What a guest made the hypervisor do runs again in Node, from the same WebAssembly code, and does the same; a changed answer
// of the processor is noticed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { EXIT_CPUID, EXIT_IO } from "../../kernel/abi/exits.ts";
import { StackTranslator } from "../../tools/replay/divergence.ts";
import { decodeRecord, wordsOf } from "../../tools/replay/records.ts";
import { type Replayed, replay } from "../../tools/replay/replay.ts";
import { ioAccess, low32 } from "../../tools/trace/fields.ts";
import type { ExitRecord } from "../../tools/trace/record.ts";
import { typevisor } from "../cli/cli.ts";
import { type Recorded, recordGuest } from "./record.ts";

/** The leaves that tests/guests/cpuid.asm asks for, in order. */
const LEAVES = [0, 1, 0x80000001, 0x40000000, 0, 0, 0];
const COM1 = 0x3f8;
const LIMIT = { timeout: 300_000 };

/** Replays with the record of every exit. */
async function replayed({ recording, module }: Recorded): Promise<Replayed & { records: ExitRecord[] }> {
  const records: ExitRecord[] = [];
  const result = await replay(recording, module, {
    handled: (_number, view) => void records.push(decodeRecord(wordsOf(view), undefined)),
  });
  return { ...result, records };
}

/** The recording with one byte of its first log changed. */
function withByte({ recording, ...rest }: Recorded, at: number, value: number): Recorded {
  const [first, ...others] = recording.windows;
  const log = Buffer.from(first?.log ?? []);
  log[at] = value;
  return { ...rest, recording: { ...recording, windows: [{ ...first!, log }, ...others] } };
}

describe.each([
  ["qemu-tcg", "svm"],
  ["bochs", "vmx"],
])("on %s", (machine, backend) => {
  const folder = mkdtempSync(join(tmpdir(), "replay-test-"));
  let first: Promise<Recorded> | undefined;
  /** The same recording for all tests. */
  const recordOnce = () => (first ??= recordGuest("cpuid", machine, folder, ["--no-reboot"]));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("every exit is replayed and is what the guest did", LIMIT, async () => {
    const recorded = await recordOnce();
    const { records, ...result } = await replayed(recorded);
    expect(result).toMatchObject({ exits: records.length, windows: 1, end: "stopped" });
    expect(result.divergence).toBeUndefined();
    expect(recorded.recording.windows[0]?.backend).toBe(backend);
    const leaves = records.filter(({ kind }) => kind === EXIT_CPUID).map(({ rax }) => low32(rax));
    expect(leaves).toEqual(LEAVES);
    const said = records
      .filter((record) => record.kind === EXIT_IO && ioAccess(record).port === COM1)
      .map(({ rax }) => String.fromCharCode(low32(rax) & 0xff));
    expect(said.join("")).toBe("pass\r\n");
    expect(recorded.stdout).toContain("pass");
  });

  test(
    "any changed byte of the log that matters is noticed, at the exit that it belongs to",
    LIMIT,
    async () => {
      const recorded = await recordOnce();
      const length = recorded.recording.windows[0]?.log.length ?? 0;
      const good = await replayed(recorded);
      let noticed = 0;
      for (let at = 0; at < length; at += 37) {
        const changed = withByte(recorded, at, (recorded.recording.windows[0]!.log[at] as number) ^ 0x11);
        const result = await replayed(changed);
        const same = result.divergence === undefined && result.exits === good.exits;
        if (!same) noticed++;
        else expect(result.intrinsics).toBe(good.intrinsics);
      }
      // What is left are times and other answers that change nothing that the guest or a device sees.
      expect(noticed).toBeGreaterThan((0.7 * length) / 37);
    },
  );

  test("a changed answer is told with the TypeScript lines that met it", LIMIT, async () => {
    const recorded = await recordOnce();
    // The exit reason of the guest's CPUID of leaf 1 becomes that of HLT.
    const log = recorded.recording.windows[0]!.log;
    const exit = LEAVES.indexOf(1);
    const numbers: number[] = [];
    await replay(recorded.recording, recorded.module, {
      handled: (number, view) => {
        if (decodeRecord(wordsOf(view), undefined).kind === EXIT_CPUID) numbers.push(number);
      },
    });
    const places = await placesOfExits(recorded);
    const [cpuid, hlt] = backend === "svm" ? [0x72, 0x78] : [10, 12];
    const at = log.indexOf(cpuid, places[numbers[exit] as number]);
    const result = await replayed(withByte(recorded, at, hlt));
    const { divergence } = result;
    expect(divergence).toBeDefined();
    expect(divergence?.exit).toBe(numbers[exit]);
    const frames = new StackTranslator(recorded.module.map).frames(divergence!);
    expect(frames.join("\n")).toMatch(/ \(kernel\/(run|(exits|svm)\/[a-z]+)\.ts:\d+\)/);
    expect(frames.join("\n")).toMatch(/^run \(kernel\/(svm|vmx)\/backend\.ts:\d+\)/m);
  });

  test("`typevisor replay` says so, lists exits, explains one", LIMIT, async () => {
    const recorded = await recordOnce();
    const plain = await typevisor(["replay", recorded.path]);
    expect(plain.status, plain.stderr).toBe(0);
    expect(plain.stdout).toMatch(/^\d+ exits \(0 to \d+\) of .* replayed in 1 window: \d+ intrinsics/);
    expect(plain.stdout).toContain("Every outcome is identical");
    const list = await typevisor(["replay", recorded.path, "--log", "--from", "3", "--to", "5"]);
    expect(list.stdout.split("\n").filter((line) => / -> /.test(line))).toHaveLength(3);
    expect(list.stdout).toMatch(/^ +4 .* io out port=0x[0-9a-f]+ .* -> advance .* intrinsics$/m);
    const one = await typevisor(["replay", recorded.path, "--exit", "4"]);
    expect(one.stdout).toMatch(/^Exit 4 of VM 0, vCPU 0: /);
    const beyond = await typevisor(["replay", recorded.path, "--exit", "100000"]);
    expect(beyond.status).toBe(125);
    expect(beyond.stderr).toMatch(/has the exits 0 to \d+; exit 100000 is not among them\.$/m);
  });
});

/** Offsets in the first window's log where each exit's head stands. */
async function placesOfExits({ recording, module }: Recorded): Promise<number[]> {
  const places: number[] = [];
  await replay(recording, module, { exit: (_number, at) => void places.push(at) });
  return places;
}
