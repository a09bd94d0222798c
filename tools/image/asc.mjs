// AssemblyScript's compiler in a process of its own: assemblyscript.ts asks, this answers once and ends. It is plain JavaScript
// so that nothing stands between Node and the compiler: a loader for TypeScript would read all of its 13 MB as well, which takes
// as long as half of the compilation.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import asc from "assemblyscript/asc";

/** @type {(request: import("./assemblyscript.ts").AscRequest) => Promise<import("./assemblyscript.ts").AscReply>} */
async function answer({ root, args, virtual }) {
  const outputs = {};
  const { error, stderr } = await asc.main(args, {
    // asc asks for many places before it finds a file: absence is an answer.
    readFile: (name, base) =>
      virtual[name] ?? readFile(join(root, base === "." ? "" : base, name), "utf8").catch(() => null),
    writeFile: (name, contents) => {
      outputs[name] = contents;
    },
    listFiles: () => [],
  });
  return { failed: error !== null, words: stderr.toString(), outputs };
}

// Whoever asked is gone: nobody waits for the answer.
process.once("disconnect", () => process.exit());
process.once("message", async (request) => {
  process.send(await answer(request), () => process.disconnect());
});
