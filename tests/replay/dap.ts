// A client of VS Code's JavaScript debugger, which speaks the Debug Adapter Protocol as a server of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

type Body = Record<string, unknown>;

interface Message {
  seq: number;
  type: "request" | "response" | "event";
  command?: string;
  event?: string;
  request_seq?: number;
  success?: boolean;
  message?: string;
  arguments?: Body;
  body?: Body;
}

export interface Frame {
  name: string;
  line: number;
  source?: { path?: string };
}

const CAPABILITIES = {
  clientID: "vscode",
  adapterID: "pwa-node",
  linesStartAt1: true,
  columnsStartAt1: true,
  pathFormat: "path",
  supportsStartDebuggingRequest: true,
};

/** Starts the server; `program`: its main file. */
export async function startServer(program: string): Promise<{ server: ChildProcess; port: number }> {
  const server = spawn(process.execPath, [program, "0", "127.0.0.1"]);
  const [said] = await once(server.stdout, "data");
  const port = /:(\d+)\s*$/.exec(String(said))?.[1];
  if (port === undefined) throw new Error(`${program} does not say its port: ${said}`);
  return { server, port: Number(port) };
}

/** One connection: the debugger opens one for each process and each worker that it finds. */
export class Session {
  /** Sessions that the debugger asked for, in their order. */
  private readonly children: Session[] = [];
  private readonly waiting = new Map<number, (message: Message) => void>();
  private readonly events: Message[] = [];
  private wake = () => {};
  private sent = 0;
  private received = Buffer.alloc(0);

  private constructor(
    private readonly port: number,
    private readonly socket: Socket,
    private readonly breakpoints: Body,
  ) {
    socket.on("data", (data) => this.take(data));
  }

  /** @param breakpoints arguments of `setBreakpoints`, for every process. */
  static async open(port: number, request: string, configuration: Body, breakpoints: Body): Promise<Session> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const session = new Session(port, socket, breakpoints);
    await session.request("initialize", CAPABILITIES);
    // Its answer comes when everything is set up.
    void session.request(request, configuration).catch(() => {});
    await session.event("initialized");
    await session.request("setBreakpoints", breakpoints);
    await session.request("configurationDone");
    return session;
  }

  private take(data: Buffer): void {
    this.received = Buffer.concat([this.received, data]);
    for (;;) {
      const head = /^Content-Length: (\d+)\r\n\r\n/.exec(this.received.toString("latin1", 0, 64));
      const end = head === null ? Infinity : head[0].length + Number(head[1]);
      if (head === null || this.received.length < end) return;
      const message = JSON.parse(this.received.toString("utf8", head[0].length, end)) as Message;
      this.received = this.received.subarray(end);
      if (message.type === "response") this.waiting.get(message.request_seq as number)?.(message);
      else if (message.type === "request") void this.answer(message);
      else this.events.push(message);
      this.wake();
    }
  }

  private send(message: Omit<Message, "seq">): number {
    const text = JSON.stringify({ seq: ++this.sent, ...message });
    this.socket.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    return this.sent;
  }

  private async answer({ seq, command, arguments: asked }: Message): Promise<void> {
    this.send({ type: "response", request_seq: seq, success: true, command, body: {} });
    if (command !== "startDebugging") return;
    const { request, configuration } = asked as { request: string; configuration: Body };
    this.children.push(await Session.open(this.port, request, configuration, this.breakpoints));
    this.wake();
  }

  request(command: string, body: Body = {}): Promise<Body> {
    const seq = this.send({ type: "request", command, arguments: body });
    return new Promise((resolve, reject) => {
      this.waiting.set(seq, ({ success, message, body: answer }) =>
        success ? resolve(answer ?? {}) : reject(new Error(`${command}: ${message}`)),
      );
    });
  }

  private async event(name: string): Promise<Body> {
    for (;;) {
      const at = this.events.findIndex(({ event }) => event === name);
      if (at >= 0) return this.events.splice(at, 1)[0]?.body ?? {};
      await this.change();
    }
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  /** The session of the first process. */
  async process(): Promise<Session> {
    while (this.children.length === 0) await this.change();
    return this.children[0] as Session;
  }

  /** Waits until the program stops; its frames, innermost first, and its thread. */
  async stopped(): Promise<{ frames: Frame[]; threadId: number }> {
    const { threadId } = (await this.event("stopped")) as { threadId: number };
    const { stackFrames } = await this.request("stackTrace", { threadId, startFrame: 0, levels: 10 });
    return { frames: stackFrames as Frame[], threadId };
  }
}
