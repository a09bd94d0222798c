// A debugger for tests: attaches to Node's inspector at a port, stops where the replay stops, then at the first breakpoint in
// the WebAssembly code, and says what it saw as JSON. Its arguments: the port, and the breakpoints' offsets in the module.
// Runs as a process with --experimental-websocket, which Node 20 needs for the global WebSocket.
const [port, ...offsets] = process.argv.slice(2).map(Number);

/** Bytes of code that the first step skips, as debuggers do to step by lines: more than an instruction has. */
const SKIPPED_BYTES = 16;

/** A program that never gets to a breakpoint is a failure, not a wait. */
const PATIENCE_MILLISECONDS = 20_000;
setTimeout(() => {
  process.stderr.write(`the program did not stop ${stage}\n`);
  process.exit(1);
}, PATIENCE_MILLISECONDS).unref();

let stage = "at the exit";
const scripts = [];
const waiting = new Map();
let pause = deferred();
let sent = 0;

const [target] = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
const socket = new WebSocket(target.webSocketDebuggerUrl);
await new Promise((resolve) => socket.addEventListener("open", resolve));
socket.addEventListener("message", ({ data }) => take(JSON.parse(data)));

await send("Runtime.enable");
await send("Debugger.enable");
await send("Runtime.runIfWaitingForDebugger");
const first = await pause.promise;
const script = scripts.find(
  ({ scriptLanguage, sourceMapURL, debugSymbols }) =>
    scriptLanguage === "WebAssembly" &&
    (sourceMapURL || [debugSymbols].flat().some(({ type }) => type === "EmbeddedDWARF")),
);
const { bytecode } = await send("Debugger.getScriptSource", { scriptId: script.scriptId });
stage = "after a step";
const [{ offset: from }] = frames(first);
const skipped = {
  scriptId: script.scriptId,
  start: { lineNumber: 0, columnNumber: from },
  end: { lineNumber: 0, columnNumber: from + SKIPPED_BYTES },
};
const stepped = await after("Debugger.stepOver", { skipList: [skipped] });
stage = "in the handler";
for (const columnNumber of offsets) {
  await send("Debugger.setBreakpoint", {
    location: { scriptId: script.scriptId, lineNumber: 0, columnNumber },
  });
}
const hit = await after("Debugger.resume");
process.stdout.write(
  JSON.stringify({
    sourceMapURL: script.sourceMapURL,
    symbols: [script.debugSymbols].flat().map(({ type }) => type),
    codeOffset: script.codeOffset,
    bytecode,
    skipped: SKIPPED_BYTES,
    first: frames(first),
    stepped: frames(stepped),
    hit: frames(hit),
  }),
);
await send("Debugger.disable");
socket.close();

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

function take({ id, method, params, result, error }) {
  if (id !== undefined) waiting.get(id)?.(error ? Promise.reject(new Error(error.message)) : result);
  else if (method === "Debugger.scriptParsed") scripts.push(params);
  else if (method === "Debugger.paused") pause.resolve(params);
}

function send(method, params = {}) {
  const id = ++sent;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    socket.send(JSON.stringify({ id, method, params }));
  });
}

/** Where the program stops next after a command that lets it go on. */
async function after(method, params) {
  pause = deferred();
  await send(method, params);
  return pause.promise;
}

function frames({ callFrames }) {
  return callFrames
    .filter(({ location }) => location.scriptId === script.scriptId)
    .map(({ functionName, location }) => ({ name: functionName, offset: location.columnNumber }));
}
