// A window of Debian's boot, replayed: devices, interrupts, timers and the instruction emulator at work; the hypervisor's whole
// state is compared where one window ends and the next begins.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { replay } from "../../tools/replay/replay.ts";
import { record } from "./record.ts";

test("Debian's boot on AMD-V (QEMU): the last windows, and one from the middle", async () => {
  const folder = mkdtempSync(join(tmpdir(), "replay-linux-"));
  try {
    const guest = ["--machine", "qemu-tcg", "--exec", "true"];
    const last = await record([...guest, "--record-window", "1M"], folder, 0);
    const end = await replay(last.recording, last.module);
    expect(end.divergence).toBeUndefined();
    expect(end.end).toBe("stopped");
    expect(last.recording.windows.length).toBeGreaterThan(1);
    expect(end.compared).toBe(last.recording.windows.length - 1);
    expect(end.exits).toBeGreaterThan(200);

    const middle = await record([...guest, "--record-from", "1500", "--record-exits", "300"], folder, 0);
    const numbers: number[] = [];
    const part = await replay(middle.recording, middle.module, {
      exit: (number) => void numbers.push(number),
    });
    expect(part).toMatchObject({ exits: 300, windows: 1, end: "limit" });
    expect(part.divergence).toBeUndefined();
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, i) => 1500 + i));
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 400_000);
