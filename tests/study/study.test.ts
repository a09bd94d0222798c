// The study of a boot: its phases by their marks, its counts, and its tables, on a made-up boot of few exits.
import { describe, expect, test } from "vitest";
import * as exits from "../../kernel/abi/exits.ts";
import * as abi from "../../kernel/abi/trace.ts";
import { compareBoots } from "../../tools/study/compare.ts";
import { countBoot } from "../../tools/study/counts.ts";
import { replaceGenerated, table } from "../../tools/study/markdown.ts";
import { classTable, detailTable, phaseTable, reasonTable } from "../../tools/study/tables.ts";
import type { PlainRecord } from "../trace/encode.ts";
import { detailWord, exitAt, HALT, stream, traceFile } from "../trace/sample.ts";

const KERNEL = 0xffffffff81000000n;

/** Exits at 1 us from each other that take 100 ns. */
class Boot {
  readonly records: PlainRecord[] = [];

  add(fields: Parameters<typeof exitAt>[2], took = 100): this {
    const last = this.records.at(-1);
    const at = last === undefined ? 1000 : Number(last.tscOut) - 5000 + 900;
    this.records.push(exitAt(at, took, fields));
    return this;
  }

  cpuid(rip: bigint, leaf: bigint): this {
    const words = { [abi.RECORD_RIP]: rip, [abi.RECORD_RAX]: leaf, [abi.RECORD_RCX]: 0x77n };
    return this.add({ reason: 0x72, kind: exits.EXIT_CPUID, words });
  }

  out(port: bigint, value: number): this {
    const words = {
      ...detailWord(port | (1n << 16n)),
      [abi.RECORD_RIP]: KERNEL,
      [abi.RECORD_RAX]: BigInt(value),
    };
    return this.add({ reason: 0x7b, kind: exits.EXIT_IO, words });
  }

  say(text: string): this {
    for (const character of text) this.out(0x3f8n, character.charCodeAt(0));
    return this;
  }
}

function wholeBoot(): Boot {
  return new Boot()
    .cpuid(0x1000n, 0n)
    .cpuid(KERNEL, 1n)
    .out(0xcf8n, 0)
    .out(0xcfbn, 1)
    .cpuid(0x401000n, 4n)
    .out(0x3f9n, 0x0f)
    .out(0x3f9n, 5)
    .say("typevisor:12:begin")
    .add({ reason: 0x78, kind: exits.EXIT_HLT, outcome: HALT }, 50_000)
    .say("typevisor:12:end")
    .out(0x604n, 0);
}

/** The cells of the row that begins with `name`. */
function row(text: string, name: string): string | undefined {
  const rows = text.split("\n").map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
  return rows.find(([first]) => first === name)?.join(",");
}

describe("a boot", () => {
  const counted = async (boot: Boot) => countBoot(traceFile(stream(boot.records)));

  test("is told apart into its phases by their marks", async () => {
    const { exits: all, phases } = await counted(wholeBoot());
    expect(phases.map((phase) => phase.exits)).toEqual([1, 2, 3, 18, 17, 2]);
    expect(phases.reduce((sum, phase) => sum + phase.exits, 0)).toBe(all);
  });

  test("has times that add up to it", async () => {
    const { phases } = await counted(wholeBoot());
    // Each exit and the guest after it take 1 us; the last one has no guest after it.
    expect(phases.map((phase) => phase.duration)).toEqual([1000, 2000, 3000, 18_000, 66_900, 1100]);
    expect(phases.map((phase) => phase.halted)).toEqual([0, 0, 0, 0, 50_000, 0]);
    expect(phases.map((phase) => phase.handling)).toEqual([100, 200, 300, 1800, 1600, 200]);
  });

  test("that misses a mark is refused by the phase's name", async () => {
    const boot = new Boot().cpuid(0x1000n, 0n).cpuid(KERNEL, 1n).out(0xcfcn, 1);
    await expect(counted(boot)).rejects.toThrow(/phase "drivers" never began/);
  });

  test("whose recording was cut short is refused", async () => {
    const path = traceFile(stream(wholeBoot().records).subarray(0, -40));
    await expect(countBoot(path)).rejects.toThrow(/has no end/);
  });

  test("is shown by reason, by phase, by what was accessed, and by class", async () => {
    const boot = await counted(wholeBoot());
    expect(row(reasonTable(boot), "io")).toEqual("io,io,,1,2,18,16,2,39,90.7%,100");
    expect(row(reasonTable(boot), "cpuid")).toEqual("cpuid,cpuid,1,1,1,,,,3,7.0%,100");
    expect(row(phaseTable(boot), "command")).toEqual("command,0.000,17,254111,2.4%,74.7%");
    expect(row(detailTable(boot), "kernel")).toEqual("kernel,`cpuid 0x1`,1,50.0%");
    expect(detailTable(boot)).toContain("`cpuid 0x4.77`");
    const twice = ["A", "B"].map((heading) => ({ heading, boot }));
    expect(row(classTable(twice), "io")).toEqual("io,39,39");
  });
});

describe("two recordings", () => {
  const compared = async (a: Boot, b: Boot) => {
    const paths = [a, b].map((boot) => traceFile(stream(boot.records))) as [string, string];
    return compareBoots(paths, [await countBoot(paths[0]), await countBoot(paths[1])]);
  };

  test("are the same, or it is said from where on they are not", async () => {
    expect(await compared(wholeBoot(), wholeBoot())).toMatchObject({ identical: true, difference: 0 });
    const longer = wholeBoot().out(0x604n, 1).out(0x604n, 2);
    expect(await compared(wholeBoot(), longer)).toEqual({
      identical: false,
      prefix: 43,
      difference: 2,
      where: "io",
    });
  });
});

test("tables are Markdown with aligned columns", () => {
  expect(
    table([
      ["name", "n"],
      ["a", "1"],
      ["long name", "1000"],
    ]),
  ).toBe(
    ["| name      |    n |", "| --------- | ---: |", "| a         |    1 |", "| long name | 1000 |"].join(
      "\n",
    ),
  );
});

test("generated parts of a document are replaced, and nothing else", () => {
  const document = "a\n<!-- generated: x -->\nold\n<!-- end of generated -->\nb\n";
  const replaced = replaceGenerated(document, "x", "new");
  expect(replaced).toBe("a\n<!-- generated: x -->\n\nnew\n\n<!-- end of generated -->\nb\n");
  expect(replaceGenerated(replaced, "x", "new")).toBe(replaced);
  expect(() => replaceGenerated(document, "y", "new")).toThrow(/no lines/);
});
