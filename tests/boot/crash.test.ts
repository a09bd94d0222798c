// Every way the hypervisor can fail ends in one report: what failed, the registers, and where in the TypeScript sources.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { buildImage } from "../../tools/image/build.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import { qemuTcg } from "../../tools/machines/qemu-tcg.ts";
import { boot } from "./harness.ts";

const SOURCE = "tests/boot/crash.ts";
const lines = readFileSync(join(ROOT, SOURCE), "utf8").split("\n");

/** Number of the only line of the crash program that contains this text. */
function lineOf(text: string): number {
  const found = lines.flatMap((line, i) => (line.includes(text) ? [i + 1] : []));
  expect(found, `lines with ${text}`).toHaveLength(1);
  return found[0] as number;
}

interface Crash {
  name: string;
  /** What the first line of the report says. */
  says: RegExp;
  /** Function and text of the line that the trace's first frame of this file names. */
  at: [name: string, text: string];
  /** Exceptions show the registers; assertions have none worth showing. */
  registers: boolean;
}

const crashes: Crash[] = [
  { name: "assert", says: /one is not two/, at: ["failAssertion", "assert(one == 2"], registers: false },
  { name: "throw", says: /thrown on purpose/, at: ["outer", "thrown on purpose"], registers: false },
  {
    name: "unreachable",
    says: /unreachable code reached/,
    at: ["reachUnreachable", "unreachable();"],
    registers: true,
  },
  {
    name: "null",
    says: /null pointer access, address 0x4$/,
    at: ["outer", "one = readNull()"],
    registers: true,
  },
  {
    name: "oob",
    says: /out of bounds memory access, address 0x7fff0001$/,
    at: ["readBeyond", "0x7fff_0000"],
    registers: true,
  },
  { name: "copy", says: /out of bounds memory access/, at: ["copyBeyond", "memory.copy("], registers: true },
  { name: "div0", says: /division by zero/, at: ["divide", "return a / b"], registers: true },
  {
    name: "indirect",
    says: /indirect call outside of the function table/,
    at: ["callNothing", "operation(one)"],
    registers: true,
  },
  { name: "stack", says: /stack overflow/, at: ["overflow", "overflow(depth + one)"], registers: true },
  {
    name: "physical",
    says: /physical memory that is not mapped/,
    at: ["readNowhere", "phys_load8("],
    registers: true,
  },
  { name: "text", says: /the page does not allow/, at: ["writeCode", "phys_store8("], registers: true },
  { name: "gp", says: /general protection/, at: ["clearXcr0", "xsetbv(0, 0)"], registers: true },
];

let image: string;

beforeAll(async () => {
  image = (await buildImage({ entry: SOURCE })).elf;
}, 300_000);

describe.each([qemuTcg, bochs])("a failure of the hypervisor on $name", (machine) => {
  test.each(crashes)("$name", async ({ name, says, at: [functionName, text], registers }) => {
    const { log, status } = await boot(machine, { image, args: [`crash=${name}`] });
    expect(status, log.join("\n")).toBe(18);
    const report = log.slice(log.findIndex((line) => line.startsWith("typevisor: panic: ")));
    expect(report[0]).toMatch(says);
    expect(report.some((line) => /^typevisor: {3}rip [0-9a-f]{16} rsp [0-9a-f]{16} flags/.test(line))).toBe(
      registers,
    );
    const frames = report.filter((line) => line.startsWith("typevisor:   at "));
    const first = frames.find((line) => line.includes(SOURCE)) as string;
    expect(first).toContain(`at ${functionName} (${SOURCE}:`);
    // asc's source maps do not cover every instruction: a line may be that of a neighbour within the function.
    expect(Math.abs(Number(/:(\d+)/.exec(first)?.[1]) - lineOf(text)), first).toBeLessThanOrEqual(1);
    if (name !== "stack") {
      expect(frames.filter((line) => line.includes("at outer (")).length).toBeGreaterThanOrEqual(2);
      expect(frames.some((line) => line.includes(`at kmain (${SOURCE}:`))).toBe(true);
    }
    expect(log.at(-1)).toBe("typevisor: halt (status 18)");
  });

  test("in code that was inlined: every frame has its line", async () => {
    const { log } = await boot(machine, { image, args: ["crash=inlined"] });
    const frames = log.filter((line) => line.startsWith("typevisor:   at "));
    const place = (name: string, text: string, inlined = ", inlined") =>
      `typevisor:   at ${name} (${SOURCE}:${lineOf(text)}${inlined})`;
    expect(frames.slice(0, 3)).toEqual([
      place("inlinedOnce", "load<u32>(address | 0x7fff_8000)"),
      place("inlinedTwice", "inlinedOnce(address) * 3"),
      place("outer", "one = inlinedTwice(one)", ""),
    ]);
  });

  test("while it reports another", async () => {
    const { log, status } = await boot(machine, { image, args: ["crash=nested"] });
    expect(log.find((line) => line.includes("a second fault while reporting the first"))).toMatch(
      /vector 0+e, RIP f{8}8/,
    );
    expect(status).toBe(18);
  });

  test("none: the program itself is sound", async () => {
    const { log, status } = await boot(machine, { image });
    expect(log).toContain("typevisor: nothing failed");
    expect(status).toBe(0);
  });
});
