// The timeline as its readers take it: Chrome's "Trace Event Format" asks of complete events (X) a process, a thread, a
// name, a time and a duration in microseconds; of counters (C) numbers as arguments; of metadata (M) the name in them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as exits from "../../kernel/abi/exits.ts";
import * as abi from "../../kernel/abi/trace.ts";
import { typevisor } from "../cli/cli.ts";
import { Random } from "../unit/random.ts";
import { exitsPayload, filterPayload, frame, type PlainRecord, startPayload } from "./encode.ts";
import { detailWord, exitAt, START_TSC, stream, svmSample, temporary, traceFile } from "./sample.ts";

interface TimelineEvent {
  ph: string;
  pid: number;
  tid?: number;
  name: string;
  cat?: string;
  ts?: number;
  dur?: number;
  args?: Record<string, unknown>;
}

interface Slice extends TimelineEvent {
  begin: number;
  end: number;
}

/** A rate at which ticks and nanoseconds never agree. */
const ODD_HZ = 2_712_345_677n;

async function timeline(bytes: Buffer, ...options: string[]): Promise<TimelineEvent[]> {
  const output = join(temporary(), "timeline.json");
  const { status, stdout } = await typevisor([
    ...["trace", traceFile(bytes), "--perfetto", output],
    ...options,
  ]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  const { displayTimeUnit, traceEvents } = JSON.parse(readFileSync(output, "utf8"));
  expect(displayTimeUnit).toBe("ns");
  return traceEvents;
}

/** Times in nanoseconds, as Perfetto makes them: microseconds times 1000, rounded. */
function slicesOf(events: TimelineEvent[]): Slice[] {
  return events
    .filter(({ ph }) => ph === "X")
    .map((event) => {
      const begin = Math.round((event.ts ?? Number.NaN) * 1000);
      return { ...event, begin, end: begin + Math.round((event.dur ?? Number.NaN) * 1000) };
    });
}

function byTrack<T extends TimelineEvent>(events: T[]): T[][] {
  const tracks = new Map<string, T[]>();
  for (const event of events) {
    const track = `${event.pid}.${event.tid ?? event.name}`;
    tracks.set(track, [...(tracks.get(track) ?? []), event]);
  }
  return [...tracks.values()];
}

const nanoseconds = (tsc: bigint, hz: bigint) => Math.round((Number(tsc - START_TSC) * 1e9) / Number(hz));

/** Exits of two VMs with two vCPUs each, in turn on one processor; some without guest time before them, some of no length. */
function manyExits(count: number): PlainRecord[] {
  const random = new Random(7);
  let free = START_TSC;
  const made: PlainRecord[] = [];
  for (let i = 0; i < count; i++) {
    const who = random.below(4);
    const tscIn = free + BigInt(random.pick([0, 1, 2, 3, random.below(3_000_000)]));
    const tscOut = tscIn + BigInt(random.pick([0, 1, 5, random.below(100_000)]));
    free = tscOut;
    const halt = random.below(5) === 0;
    const kind = halt ? exits.EXIT_HLT : exits.EXIT_CPUID;
    const words = { [abi.RECORD_RIP]: 0xffffffff81000000n + BigInt(i) };
    made.push({ tscIn, tscOut, reason: halt ? 0x78 : 0x72, kind, vm: who >> 1, vcpu: who & 1, words });
  }
  return made;
}

describe("a track per vCPU", () => {
  const records = manyExits(3000);
  let made: Promise<TimelineEvent[]> | undefined;
  const timelineOfMany = () => (made ??= timeline(stream(records, { hz: ODD_HZ })));

  test("every event has what the format asks of its kind", async () => {
    const events = await timelineOfMany();
    for (const event of events) {
      expect(event.pid).toBeGreaterThan(0);
      expect(event.name).toMatch(/./);
      if (event.ph === "X") {
        expect(Object.keys(event).sort()).toEqual(
          ["cat", "dur", "name", "ph", "pid", "tid", "ts", ...(event.cat === "guest" ? [] : ["args"])].sort(),
        );
        expect([event.ts, event.dur].every((time) => Number.isFinite(time) && (time as number) >= 0)).toBe(
          true,
        );
      } else if (event.ph === "C") {
        expect(Object.keys(event).sort()).toEqual(["args", "name", "ph", "pid", "ts"]);
        expect(Object.values(event.args ?? {}).every(Number.isInteger)).toBe(true);
      } else {
        expect(event).toMatchObject({ ph: "M", args: { name: expect.stringMatching(/./) } });
        expect(["process_name", "thread_name"]).toContain(event.name);
      }
    }
  });

  test("slices neither overlap nor run backwards, and guest time fills the gaps", async () => {
    const slices = slicesOf(await timelineOfMany());
    const tracks = byTrack(slices);
    expect(tracks).toHaveLength(4);
    for (const track of tracks) {
      expect(track[0]?.cat).not.toBe("guest");
      for (let i = 1; i < track.length; i++) {
        const [before, slice] = [track[i - 1], track[i]] as [Slice, Slice];
        expect(slice.begin).toBe(before.end);
        // Between two exits there is one slice of the guest, or none when it did not run.
        if (slice.cat === "guest")
          expect([before.cat, slice.end > slice.begin]).not.toEqual(["guest", false]);
        expect([before.cat, slice.cat]).not.toEqual(["guest", "guest"]);
      }
    }
  });

  test("each record is one slice with its times", async () => {
    const slices = slicesOf(await timelineOfMany());
    const shown = slices.filter(({ cat }) => cat !== "guest");
    expect(shown).toHaveLength(records.length);
    shown.forEach((slice, i) => {
      const record = records[i] as PlainRecord;
      const halt = record.kind === exits.EXIT_HLT;
      expect(slice).toMatchObject({
        pid: (record.vm ?? 0) + 1,
        tid: (record.vcpu ?? 0) + 1,
        name: halt ? "halt" : "cpuid",
        cat: halt ? "halt" : "exit",
        begin: nanoseconds(record.tscIn, ODD_HZ),
        end: nanoseconds(record.tscOut, ODD_HZ),
        args: {
          exit: i,
          rip: `0x${(0xffffffff81000000n + BigInt(i)).toString(16)}`,
          class: halt ? "hlt" : "cpuid",
        },
      });
    });
  });

  test("processes and threads are named once, before their first slice", async () => {
    const events = await timelineOfMany();
    const names = events.filter(({ ph, name }) => ph === "M" && name === "thread_name");
    expect(names.map(({ pid, tid, args }) => `${pid}.${tid} ${args?.name}`).sort()).toEqual([
      "1.1 vCPU 0",
      "1.2 vCPU 1",
      "2.1 vCPU 0",
      "2.2 vCPU 1",
    ]);
    for (const { pid, tid } of names) {
      const first = (wanted: string) =>
        events.findIndex((event) => event.ph === wanted && event.pid === pid && event.tid === tid);
      expect(first("M")).toBeLessThan(first("X"));
    }
    const processes = events.filter(({ name }) => name === "process_name");
    expect(new Set(processes.map(({ pid, args }) => `${pid} ${args?.name}`))).toEqual(
      new Set(["1 VM 0 (svm)", "2 VM 1 (svm)"]),
    );
  });

  test("counters go forward, and each rate is that of the exits since the one before", async () => {
    const tracks = new Map<string, { from: number; exits: number; samples: number }>();
    for (const { ph, pid, tid, name, cat, ts, args } of await timelineOfMany()) {
      const key = `${pid}.${tid ?? Number(/^exits per second, vCPU (\d)$/.exec(name)?.[1]) + 1}`;
      const at = Math.round((ts ?? Number.NaN) * 1000);
      const track = tracks.get(key) ?? { from: at, exits: 0, samples: 0 };
      if (ph === "X" && cat !== "guest") tracks.set(key, { ...track, exits: track.exits + 1 });
      if (ph !== "C") continue;
      expect(at).toBeGreaterThanOrEqual(track.from + 10_000_000);
      expect(args).toEqual({ rate: Math.round((track.exits * 1e9) / (at - track.from)) });
      tracks.set(key, { from: at, exits: 0, samples: track.samples + 1 });
    }
    expect([...tracks.values()].every(({ samples }) => samples > 5)).toBe(true);
    expect(tracks.size).toBe(4);
  });
});

test("details, halts, symbols", async () => {
  const map = join(temporary(), "System.map");
  writeFileSync(map, 'ffffffff81000000 T startup"64\n');
  const shown = slicesOf(await timeline(stream(svmSample), "--symbols", map)).filter(
    ({ cat }) => cat !== "guest",
  );
  expect(shown.map(({ name, args }) => [name, args?.symbol, args?.detail, args?.outcome])).toEqual([
    ["cpuid", undefined, "leaf=0x4 subleaf=0x2", "advance"],
    ["io", 'startup"64+0x10', "out port=0x3f8 size=1 value=0x41", "advance"],
    ["io", 'startup"64+0x20', "in port=0x60 size=1", "advance"],
    ["npf", 'startup"64+0x30', "gpa=0xfec00010 access=W", "advance"],
    ["halt", undefined, "", "halt"],
    ["msr", undefined, "msr=0x6e0 (IA32_TSC_DEADLINE) value=0x12deadbeef", "advance"],
  ]);
  expect(shown[4]).toMatchObject({ tid: 2, ts: 50, dur: 1000 });
});

describe("where exits are missing", () => {
  const cpuid = (at: number) =>
    exitAt(at, 100, { reason: 0x72, kind: exits.EXIT_CPUID, words: detailWord(0n) });
  const names = (events: TimelineEvent[]) => slicesOf(events).map(({ name }) => name);

  test("lost ones: nothing is said of the time around them", async () => {
    const lost = Buffer.alloc(16);
    lost.writeBigUInt64LE(3n, 8);
    const bytes = Buffer.concat([
      frame(abi.TRACE_FRAME_START, 0, startPayload(1_000_000_000n, START_TSC, abi.TRACE_BACKEND_SVM)),
      frame(abi.TRACE_FRAME_EXITS, 1, exitsPayload(0, [cpuid(1000), cpuid(2000)])),
      frame(abi.TRACE_FRAME_LOST, 2, lost),
      frame(abi.TRACE_FRAME_EXITS, 3, exitsPayload(0, [cpuid(3000), cpuid(4000)])),
      frame(abi.TRACE_FRAME_END, 4, Buffer.alloc(24)),
    ]);
    expect(names(await timeline(bytes))).toEqual(["cpuid", "guest", "cpuid", "cpuid", "guest", "cpuid"]);
  });

  test("filtered ones: the time between is not called the guest's", async () => {
    const records = [cpuid(1000), cpuid(2000)];
    const filtered = [filterPayload(1, [0x72], {})];
    const between = "guest or unrecorded exits";
    expect(names(await timeline(stream(records, { filters: filtered })))).toEqual([
      "cpuid",
      between,
      "cpuid",
    ]);
    const open = [filterPayload(1, [], {})];
    expect(names(await timeline(stream(records, { filters: open })))).toEqual(["cpuid", "guest", "cpuid"]);
  });

  test("chosen ones: the first has no guest before it", async () => {
    const records = [1000, 2000, 3000, 4000].map(cpuid);
    const events = await timeline(stream(records), "--from", "1", "--limit", "2");
    expect(slicesOf(events).map(({ name, args }) => [name, args?.exit])).toEqual([
      ["cpuid", 1],
      ["guest", undefined],
      ["cpuid", 2],
    ]);
  });
});

test("a trace without exits is a timeline without events", async () => {
  expect(await timeline(stream([]))).toEqual([]);
});
