// Guests that check one property of the processor each, run on both backends: the modes that it passes through, debug
// exceptions, interrupts.
import { beforeAll, describe, expect, test } from "vitest";
import { buildImage } from "../../tools/image/build.ts";
import { machines, PASSED, runGuest } from "./harness.ts";

beforeAll(async () => {
  await buildImage();
}, 300_000);

describe.each(machines)("%s", (_name, machine) => {
  test.each(["unreal", "paging32", "pae", "longmode", "debug", "shadow"])(
    "%s",
    async (guest) => {
      const { output, reason, status } = await runGuest(guest, machine);
      expect(output.trimEnd().split(/\r?\n/).at(-1)).toBe("pass");
      expect(reason).toBe("debug-exit");
      expect(status).toBe(PASSED);
    },
    120_000,
  );
});

// Bochs' usual processor has no protection keys: this one has.
const WITH_KEYS = { bochs: ["cpu: model=tigerlake"], "qemu-tcg": [] } as Record<string, string[]>;

test.each(machines)(
  "protection keys: %s",
  async (_name, machine) => {
    const { output, status } = await runGuest("mmio64", machine, { emulatorArgs: WITH_KEYS[machine.name] });
    expect(output).toMatch(/protection keys are obeyed\r\n(.*\r\n)*pass\r?\n$/);
    expect(status).toBe(PASSED);
  },
  120_000,
);
