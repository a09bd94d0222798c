// The VM file: Firecracker's JSON configuration, with the parts that Typevisor has. Paths in it are relative to the
// file. Keys that Firecracker has and Typevisor does not are refused by name; so are keys that nobody has.
// Source: Firecracker, "src/firecracker/swagger/firecracker.yaml", schemas BootSource and MachineConfiguration.
import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import { MIB } from "../lib/size.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { wholeFromOne } from "../lib/whole-number.ts";
import type { VmConfig } from "./config.ts";
import { MAX_VCPUS_PER_VM } from "./limits.ts";

const text = (what: string) => z.string(what).min(1, what);
const notYet = "is not supported yet; leave it out";

const bootSource = z.strictObject(
  {
    kernel_image_path: text("expected the path of a bzImage or ELF kernel, as a string"),
    initrd_path: text("expected the path of an initrd, as a string").nullish(),
    boot_args: z.string("expected the kernel's command line, as a string").nullish(),
  },
  { error: objectError("an object with kernel_image_path, initrd_path and boot_args") },
);

const whole = (what: string) => z.number(`expected ${what}`).int(`expected ${what}`);
const cpuCount = wholeFromOne(MAX_VCPUS_PER_VM);

const machineConfig = z.strictObject(
  {
    vcpu_count: whole(cpuCount).min(1, `expected ${cpuCount}`).max(MAX_VCPUS_PER_VM, `expected ${cpuCount}`),
    mem_size_mib: whole("a whole number of MiB").min(1, "expected a whole number of MiB, at least 1"),
    smt: z.literal(false, "expected false: simultaneous multithreading is not supported yet").optional(),
    track_dirty_pages: z
      .literal(false, "expected false: dirty-page tracking is not supported yet")
      .optional(),
    huge_pages: z
      .literal("None", 'expected "None": large pages are used wherever they fit, unasked')
      .optional(),
    cpu_template: z.literal("None", 'expected "None": CPU templates are not supported yet').nullish(),
  },
  { error: objectError("an object with vcpu_count and mem_size_mib") },
);

const emptyList = z
  .array(z.unknown(), "expected a list")
  .max(0, `${notYet}, or give an empty list`)
  .optional();
const absent = z.null(notYet).optional();

const vmFile = z.strictObject(
  {
    "boot-source": bootSource,
    "machine-config": machineConfig.optional(),
    drives: emptyList,
    "network-interfaces": emptyList,
    pmem: emptyList,
    balloon: absent,
    "cpu-config": absent,
    entropy: absent,
    logger: absent,
    "memory-hotplug": absent,
    metrics: absent,
    "mmds-config": absent,
    serial: absent,
    vsock: absent,
  },
  { error: objectError("a JSON object with boot-source and machine-config") },
);

/** Firecracker's defaults for a file without machine-config. */
const DEFAULT_MACHINE = { vcpu_count: 1, mem_size_mib: 128 };

/** Reads and checks the VM file at `path`. @throws UserError naming file, key and what was expected. */
export function readVmFile(path: string): VmConfig {
  const parsed = vmFile.safeParse(parseJson(path));
  if (!parsed.success) throw new UserError(describe(path, parsed.error));
  const boot = parsed.data["boot-source"];
  const machine = parsed.data["machine-config"] ?? DEFAULT_MACHINE;
  const beside = (name: string) => resolve(dirname(path), name);
  return {
    name: basename(path, ".json"),
    kernel: beside(boot.kernel_image_path),
    initrd: boot.initrd_path ? beside(boot.initrd_path) : undefined,
    bootArgs: boot.boot_args ?? "",
    memoryBytes: machine.mem_size_mib * MIB,
    cpus: machine.vcpu_count,
    restart: true,
  };
}

function parseJson(path: string): unknown {
  let source: string;
  try {
    // Editors on Windows begin text with a byte-order mark, which JSON does not know.
    source = readFileSync(path, "utf8").replace(/^\ufeff/, "");
  } catch (error) {
    throw new UserError(`${path}: cannot read this VM file: ${systemErrorText(error)}.`);
  }
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new UserError(`${path}: this VM file is not valid JSON: ${(error as Error).message}.`);
  }
}

/** Words for what is wrong with an object as a whole: not an object, or with keys that nobody knows. */
function objectError(expected: string): z.core.$ZodErrorMap {
  return (issue) => {
    if (issue.code === "unrecognized_keys") return undefined;
    return issue.input === undefined ? `is missing; expected ${expected}` : `expected ${expected}`;
  };
}

/** All problems of a file, one line each, and where the schema is documented. */
function describe(path: string, error: z.ZodError): string {
  const lines = error.issues.flatMap((issue) => {
    const key = issue.path.join(".");
    if (issue.code !== "unrecognized_keys") return [`${path}: ${key || "the file"}: ${issue.message}.`];
    return issue.keys.map((name) => `${path}: ${key ? `${key}.` : ""}${name}: unknown key.`);
  });
  return `${lines.join("\n")}\nThe VM file follows Firecracker's JSON configuration; see README.md, "VM files".`;
}
