import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isMistake } from "../lib/script.ts";
import { UserError } from "../lib/user-error.ts";
import { compile, PASS_NAMES } from "./compile.ts";
import { CompileError } from "./errors.ts";

const USAGE = `usage: tools/aot/main.ts in.wasm -o out.asm [options]
  --target kernel|linux   kernel image (default), or a Linux test process
  --map FILE              source map (default: in.wasm.map, if it exists)
  --dump PASS,...         print each function after these passes ("all": after every one):
                          ${PASS_NAMES.join(", ")}
  --only NAME             dump only the functions whose name contains NAME
  --hot REGEXP            inline for speed between the functions whose names match (the image's: tools/image/hot.ts)
  --verify                check register allocation of every function
  --forbid NAME,...       refuse modules that call these intrinsics, listing the callers`;

function list(text: string | undefined): string[] {
  return text ? text.split(",") : [];
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UserError(`--hot: ${(error as Error).message}`);
  }
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o" },
      target: { type: "string", default: "kernel" },
      map: { type: "string" },
      dump: { type: "string" },
      only: { type: "string", default: "" },
      hot: { type: "string" },
      verify: { type: "boolean", default: false },
      forbid: { type: "string" },
    },
  });
  const [input] = positionals;
  const { target } = values;
  if (!input || (target !== "kernel" && target !== "linux")) {
    console.error(USAGE);
    return 2;
  }
  const unknown = list(values.dump).find((name) => name !== "all" && !PASS_NAMES.includes(name));
  if (unknown !== undefined) {
    console.error(
      `aot: there is no pass "${unknown}" to dump; the passes are ${PASS_NAMES.join(", ")}, or all`,
    );
    return 2;
  }
  const hot = values.hot === undefined ? null : pattern(values.hot);
  const mapFile = values.map ?? `${input}.map`;
  const { asm } = compile(readFileSync(input), {
    target,
    verify: values.verify,
    isHot: (name) => hot?.test(name) ?? false,
    forbid: list(values.forbid),
    dump: list(values.dump),
    onDump: (pass, text) => {
      if (text.split("\n")[0]!.includes(values.only)) console.log(`--- ${pass}\n${text}`);
    },
    ...(existsSync(mapFile) ? { map: readFileSync(mapFile, "utf8") } : {}),
  });
  if (values.output) writeFileSync(values.output, asm);
  else if (!values.dump) process.stdout.write(asm);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof CompileError) && !isMistake(error)) throw error;
  console.error(`aot: ${error.message}`);
  process.exitCode = error instanceof CompileError ? 1 : 2;
}
