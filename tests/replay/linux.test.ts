// A window of Debian's boot, replayed: devices, interrupts, timers and the instruction emulator at work; the hypervisor's whole
// state is compared where one window ends and the next begins.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { replay } from "../../tools/replay/replay.ts";
import { record } from "./record.ts";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "replay-linux-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const guest = (machine: string) => ["--machine", machine, "--exec", "true"];

test.each(["qemu-tcg", "bochs"])(
  "Debian's boot on %s: the last windows",
  (machine) =>
    withFolder(async (folder) => {
      const { recording, module } = await record([...guest(machine), "--record-window", "3M"], folder, 0);
      const result = await replay(recording, module);
      expect(result.divergence).toBeUndefined();
      expect(result.end).toBe("stopped");
      expect(recording.windows.length).toBeGreaterThan(1);
      expect(result.compared).toBe(recording.windows.length - 1);
      expect(result.exits).toBeGreaterThan(200);
    }),
  400_000,
);

test(
  "Debian's boot on qemu-tcg: a window from the middle",
  () =>
    withFolder(async (folder) => {
      const asked = ["--record-from", "1500", "--record-exits", "300"];
      const { recording, module } = await record([...guest("qemu-tcg"), ...asked], folder, 0);
      const numbers: number[] = [];
      const part = await replay(recording, module, { exit: (number) => void numbers.push(number) });
      expect(part).toMatchObject({ exits: 300, windows: 1, end: "limit" });
      expect(part.divergence).toBeUndefined();
      expect(numbers).toEqual(Array.from({ length: 300 }, (_, i) => 1500 + i));
    }),
  400_000,
);
