// A debugger for tests: attaches to Node's inspector at a port, stops where the replay stops, then at a breakpoint in the
// WebAssembly code, and says what it saw as JSON. Its arguments: the port, and the breakpoint's offset in the module.
// Runs as a process with --experimental-websocket, which Node 20 needs for the global WebSocket.
const [port, offset] = process.argv.slice(2).map(Number);

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
  ({ scriptLanguage, sourceMapURL }) => scriptLanguage === "WebAssembly" && sourceMapURL,
);
const stepped = await after("Debugger.stepOver");
await send("Debugger.setBreakpoint", {
  location: { scriptId: script.scriptId, lineNumber: 0, columnNumber: offset },
});
const hit = await after("Debugger.resume");
process.stdout.write(
  JSON.stringify({
    sourceMapURL: script.sourceMapURL,
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
async function after(method) {
  pause = deferred();
  await send(method);
  return pause.promise;
}

function frames({ callFrames }) {
  return callFrames
    .filter(({ location }) => location.scriptId === script.scriptId)
    .map(({ functionName, location }) => ({ name: functionName, offset: location.columnNumber }));
}
