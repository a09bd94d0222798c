// The architecture as a test: who may import whom, how long files and functions may be, what text must not appear.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { type Exported, exportsOf, Imports } from "./exports.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "");
const sources = files.filter((file) => /\.(ts|mjs|asm|inc)$/.test(file) && !file.endsWith(".d.ts"));
const typescript = sources.filter((file) => file.endsWith(".ts"));

const read = (file: string) => readFileSync(join(root, file), "utf8");

/**
 * Folder -> folders (or files) it may import besides itself. The most specific key wins. Every kernel folder may also
 * import `kernel/arch/intrinsics`, a leaf without imports of its own, and the constants of `kernel/abi` and `kernel/lib`.
 */
const allowed: Record<string, string[]> = {
  "kernel/abi": [],
  "kernel/lib": ["kernel/abi"],
  "kernel/arch": ["kernel/lib", "kernel/abi"],
  "kernel/mm": ["kernel/arch", "kernel/lib", "kernel/abi"],
  "kernel/drivers": ["kernel/mm", "kernel/arch", "kernel/lib", "kernel/abi"],
  "kernel/vcpu": ["kernel/mm", "kernel/arch", "kernel/lib", "kernel/abi"],
  "kernel/vmx": ["kernel/vcpu", "kernel/mm", "kernel/arch", "kernel/lib", "kernel/abi"],
  "kernel/svm": ["kernel/vcpu", "kernel/mm", "kernel/arch", "kernel/lib", "kernel/abi"],
  "kernel/exits": [
    "kernel/vcpu",
    "kernel/mm",
    "kernel/arch",
    "kernel/lib",
    "kernel/abi",
    "kernel/devices/bus",
  ],
  "kernel/devices": ["kernel/lib", "kernel/abi", "kernel/mm/guestmem"],
  "kernel/guest": [
    "kernel/devices",
    "kernel/vcpu",
    "kernel/mm",
    "kernel/arch",
    "kernel/lib",
    "kernel/abi",
    "kernel/trace",
  ],
  "kernel/sched": ["kernel/vcpu", "kernel/arch", "kernel/lib", "kernel/abi"],
  "kernel/trace": ["kernel/vcpu", "kernel/arch", "kernel/abi", "kernel/lib"],
  "kernel/record": [
    "kernel/trace",
    "kernel/drivers",
    "kernel/vcpu",
    "kernel/arch",
    "kernel/lib",
    "kernel/abi",
  ],
  "kernel/monitor": [
    "kernel/trace",
    "kernel/guest",
    "kernel/vcpu",
    "kernel/mm",
    "kernel/drivers",
    "kernel/arch",
    "kernel/lib",
    "kernel/abi",
  ],
  "kernel/run.ts": [
    "kernel/record",
    "kernel/exits",
    "kernel/guest",
    "kernel/monitor",
    "kernel/sched",
    "kernel/trace",
    "kernel/drivers",
    "kernel/vcpu",
    "kernel/mm",
    "kernel/arch",
    "kernel/lib",
    "kernel/abi",
  ],
  "kernel/main.ts": ["kernel"],
  "tools/aot": ["kernel/abi", "tools/lib"],
  "tools/aot/wasm": ["tools/aot/errors"],
  "tools/aot/ir": ["tools/aot/wasm", "tools/aot/intrinsics"],
  "tools/aot/passes": [
    "tools/aot/ir",
    "tools/aot/wasm",
    "tools/aot/errors",
    "tools/aot/intrinsics",
    "tools/aot/sharing",
    "tools/aot/target",
  ],
  "tools/aot/x64": [
    "tools/aot/ir",
    "tools/aot/wasm",
    "tools/aot/errors",
    "tools/aot/intrinsics",
    "tools/aot/symbols",
    "tools/aot/target",
  ],
  "tools/aot/symtab": [
    "kernel/abi",
    "tools/aot/ir",
    "tools/aot/data-lines",
    "tools/aot/errors",
    "tools/aot/function-info",
    "tools/aot/sourcemap",
  ],
  "tools/aot/object": [],
  "tools/aot/linux": ["tools/aot", "tools/lib"],
  "tools/lib": ["kernel/abi"],
  tools: ["kernel/abi", "tools"],
};

const within = (path: string, folder: string) =>
  path === folder || path.startsWith(`${folder}/`) || path === folder.replace(/\.ts$/, "");

function ruleFor(file: string): string | undefined {
  return Object.keys(allowed)
    .filter((folder) => within(file, folder))
    .sort((a, b) => b.length - a.length)[0];
}

/** Relative imports of a file, as paths from the root without an extension. */
function importsOf(file: string): string[] {
  return ts
    .preProcessFile(read(file), true, true)
    .importedFiles.map((reference) => reference.fileName)
    .filter((name) => name.startsWith("."))
    .map((name) => normalize(join(dirname(file), name)).replace(/\.(ts|js)$/, ""));
}

/** Files that import each other, directly or by way of others: each as the way from a file back to it. */
function circlesAmong(watched: readonly string[]): string[] {
  const files = new Map(watched.map((file) => [file.replace(/\.ts$/, ""), file]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (name: string, way: readonly string[]): void => {
    if (way.includes(name)) circles.push([...way.slice(way.indexOf(name)), name].join(" -> "));
    if (done.has(name) || way.includes(name)) return;
    for (const next of importsOf(files.get(name) as string)) if (files.has(next)) visit(next, [...way, name]);
    done.add(name);
  };
  for (const name of files.keys()) visit(name, []);
  return circles;
}

function functionsOf(file: string): { name: string; lines: number }[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const found: { name: string; lines: number }[] = [];
  const visit = (node: ts.Node): void => {
    if ((ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) && node.body !== undefined) {
      const first = source.getLineAndCharacterOfPosition(node.getStart()).line;
      const last = source.getLineAndCharacterOfPosition(node.end).line;
      found.push({ name: node.name?.getText() ?? "(default)", lines: last - first + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe("imports go one way", () => {
  test.each(typescript.filter((file) => file.startsWith("kernel/") || file.startsWith("tools/")))(
    "%s",
    (file) => {
      const rule = ruleFor(file);
      expect(rule, `${file} is in no folder of the import table`).toBeDefined();
      const may = [rule as string, ...(allowed[rule as string] as string[])];
      if (file.startsWith("kernel/")) may.push("kernel/arch/intrinsics");
      const wrong = importsOf(file).filter((target) => !may.some((folder) => within(target, folder)));
      expect(wrong, `${rule} may import only: ${may.join(", ")}`).toEqual([]);
    },
  );

  test("there are no circles in the tools, the benchmarks and the tests", () => {
    const watched = typescript.filter((file) => /^(tools|bench|tests)\//.test(file));
    expect(circlesAmong(watched)).toEqual([]);
  });

  test("nothing imports kernel/main", () => {
    expect(typescript.filter((file) => importsOf(file).includes("kernel/main"))).toEqual([]);
  });

  test("only kernel/arch/intrinsics.ts declares imports of the WebAssembly module", () => {
    const declaring = typescript.filter(
      (file) => file.startsWith("kernel/") && /^\s*(export )?declare function/m.test(read(file)),
    );
    expect(declaring).toEqual(["kernel/arch/intrinsics.ts"]);
  });
});

describe("state has an owner", () => {
  /**
   * The kernel's variables outside of functions and structures, and when they are written. What one CPU, vCPU or VM has is in
   * PerCpu, Vcpu, Vm and what these lead to. `boot`: once, before the first guest runs. `machine`: of what a computer has one of.
   * `monitor`: of the person at the console. `reset`: while a VM starts over.
   */
  const variables: Record<string, Record<string, string>> = {
    boot: {
      "kernel/arch/clock.ts": "frequency nsPerTick ticksPerNs longestTicks longestNs",
      "kernel/arch/gate.ts": "usesGif",
      "kernel/drivers/acpi.ts": "rootTable addressBytes",
      "kernel/drivers/apic.ts": "x2apic registers",
      "kernel/drivers/calibrate.ts": "tscRate apicTimerRate usesPmTimer",
      "kernel/drivers/fadt.ts": "table",
      "kernel/drivers/logport.ts": "port",
      "kernel/drivers/madt.ts": "cpusFound ioApicCount",
      "kernel/drivers/power.ts": "mode isaPort",
      "kernel/drivers/timer.ts": "deadlineMode countsPerTick",
      "kernel/drivers/traceport.ts": "port",
      "kernel/guest/counters.ts": "answer",
      "kernel/guest/vm.ts": "count",
      "kernel/lib/arena.ts": "used sealed",
      "kernel/lib/symbols.ts": "table recordsEnd scopesEnd callsEnd",
      "kernel/mm/nested.ts": "largestLeaf",
      "kernel/mm/paging.ts": "root largestLeaf",
      "kernel/run.ts": "summarize",
      "kernel/svm/backend.ts": "ioMap cleanAfterExit flushGuest",
      "kernel/svm/codewalk.ts": "physicalBits",
      "kernel/svm/decode.ts": "nripSave decodeAssists",
      "kernel/svm/state.ts": "lbrVirtualization",
      "kernel/vcpu/extended.ts": "hasXsave components areaBytes",
      "kernel/vcpu/live.ts": "hasTscAux hasSpecCtrl hasBarrier",
      "kernel/vmx/backend.ts": "timerShift timerLongest flushEptType flushVpidType accessedDirty lastVpid",
      "kernel/vmx/decode.ts": "ioInstructionInfo",
    },
    // The console, the log, the trace, the free memory, the report of a panic and of an entry that failed.
    machine: {
      "kernel/drivers/console.ts":
        "receivedHead receivedTail waitingHead waitingTail present credit blocked transmitInterrupt",
      "kernel/drivers/interrupts.ts": "unexpected",
      "kernel/lib/log.ts": "threshold sink port prefixed open",
      "kernel/lib/panic.ts": "stop panicking",
      "kernel/mm/frames.ts": "count freeBytes totalBytes",
      "kernel/trace/ring.ts": "sinks",
      "kernel/trace/stream.ts": "sink sequence started filterTold",
      "kernel/vcpu/violations.ts": "count",
    },
    monitor: {
      "kernel/monitor/command.ts": "count",
      "kernel/monitor/commands/top.ts": "since",
      "kernel/monitor/complete.ts": "word typed start commands length",
      "kernel/monitor/history.ts": "added",
      "kernel/monitor/input.ts": "held escapeKey due",
      "kernel/monitor/line.ts": "length cursor back",
    },
    reset: { "kernel/guest/acpi/writer.ts": "cursor" },
  };

  function variablesOf(file: string): string[] {
    return ts
      .createSourceFile(file, read(file), ts.ScriptTarget.Latest, true)
      .statements.filter(ts.isVariableStatement)
      .filter((statement) => (statement.declarationList.flags & ts.NodeFlags.Const) === 0)
      .flatMap((statement) =>
        statement.declarationList.declarations.map((d) => `${file}: ${d.name.getText()}`),
      );
  }

  test("the kernel has no variable outside of functions and structures but those of this list", () => {
    const found = typescript.filter((file) => file.startsWith("kernel/")).flatMap(variablesOf);
    const listed = Object.values(variables).flatMap((some) =>
      Object.entries(some).flatMap(([file, names]) => names.split(" ").map((name) => `${file}: ${name}`)),
    );
    expect(found.sort()).toEqual(listed.sort());
  });
});

describe("nothing is exported in vain", () => {
  /** Files whose constants are a table of a manual or a format, whole and in order: a row that nobody needs is no dead code. */
  const tables = [
    "kernel/abi/layout.ts",
    "kernel/abi/symtab.ts",
    "kernel/arch/cr.ts",
    "kernel/arch/frame.ts",
    "kernel/arch/intrinsics.ts",
    "kernel/arch/msr.ts",
    "kernel/svm/controls.ts",
    "kernel/svm/vmcb.ts",
    "kernel/vmx/controls.ts",
    "kernel/vmx/fields.ts",
  ];
  const wordsOf = (some: string[]) => new Set(some.flatMap((file) => read(file).match(/\w+/g) ?? []));
  const tests = typescript.filter((file) => file.startsWith("tests/"));
  const others = typescript.filter((file) => !file.startsWith("tests/"));
  const imported = new Imports(others, read);
  const importedByTests = new Imports(tests, read);
  const words = wordsOf(tests);
  // Tests of devices put names together: a device's prefix, and what is called.
  const calls = [...wordsOf(tests.filter((file) => file.startsWith("tests/unit/devices/")))].filter((word) =>
    /^[A-Z]\w{3,}$/.test(word),
  );
  // Assembly, the command lines of compilers and the recorder's generator name functions in text; bin/ runs the command line.
  const entries = wordsOf([
    "asconfig.json",
    "bin/typevisor.mjs",
    "tools/gen/recorders.ts",
    ...files.filter((file) => /^boot\/.*\.(asm|inc)$/.test(file)),
  ]);
  const isEntry = (name: string) => entries.has(name) || entries.has(`tv_${name}`);
  const isTested = (e: Exported) => words.has(e.name) || calls.some((word) => e.name.endsWith(word));
  const unimported = (folder: string) =>
    others
      .filter((file) => file.startsWith(folder))
      .flatMap((file) => exportsOf(file, read))
      .filter((e) => !imported.has(e) && !isEntry(e.name) && !(e.isConstant && tables.includes(e.file)));
  const names = (some: Exported[]) => some.map((e) => `${e.file}: ${e.name}`);

  test("every export of the kernel is used by the kernel or a tool, not only by tests", () => {
    expect(names(unimported("kernel/").filter((e) => !e.isUsedInside))).toEqual([]);
  });

  test("what only its own file and no test uses is not exported", () => {
    expect(names(unimported("kernel/").filter((e) => e.isUsedInside && !isTested(e)))).toEqual([]);
  });

  test("every export of a tool is used", () => {
    expect(names(unimported("tools/").filter((e) => !e.isUsedInside && !importedByTests.has(e)))).toEqual([]);
  });
});

describe("size", () => {
  test("no source file is longer than 500 lines", () => {
    expect(sources.filter((file) => read(file).split("\n").length > 501)).toEqual([]);
  });

  test("functions are short: none over 80 lines, and at most one in twenty over 45", () => {
    const all = typescript
      .filter((file) => !file.startsWith("tests/"))
      .flatMap((file) => functionsOf(file).map((f) => ({ ...f, file })));
    expect(all.filter((f) => f.lines > 80).map((f) => `${f.file}: ${f.name} has ${f.lines} lines`)).toEqual(
      [],
    );
    expect(all.filter((f) => f.lines > 45).length / Math.max(all.length, 1)).toBeLessThan(0.05);
  });

  /** Folders that have at least as many assertions as functions. */
  const asserting = ["kernel/devices", "kernel/exits/emulate", "kernel/mm", "kernel/vcpu"];

  test.each(asserting)("%s has an assertion for each function on average", (folder) => {
    const all = typescript.filter((file) => within(file, folder));
    const functions = all.flatMap(functionsOf).length;
    const assertions = all.flatMap((file) => read(file).match(/\bassert\(/g) ?? []).length;
    expect(functions).toBeGreaterThan(0);
    expect(assertions / functions).toBeGreaterThanOrEqual(1);
  });

  test("no line is longer than 130 columns", () => {
    const long = sources.flatMap((file) =>
      read(file)
        .split("\n")
        .flatMap((line, i) => (line.length > 130 ? [`${file}:${i + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });
});

describe("text", () => {
  test("no leftovers", () => {
    const marks = new RegExp(["TO", "DO|FIX", "ME|X", "XX"].join(""));
    expect(sources.filter((file) => marks.test(read(file)))).toEqual([]);
  });

  test("no tabs or trailing blanks", () => {
    expect(sources.filter((file) => /[ \t]$|\t/m.test(read(file)))).toEqual([]);
  });

  test("kernel code has no floating point and no decorators but on classes", () => {
    const kernel = typescript.filter((file) => file.startsWith("kernel/"));
    expect(kernel.filter((file) => /\bf(32|64)\b/.test(read(file)))).toEqual([]);
    expect(
      kernel.filter((file) => /^\s*@(?!unmanaged)\w/m.test(read(file).replace(/\/\*[\s\S]*?\*\//g, ""))),
    ).toEqual([]);
  });
});
