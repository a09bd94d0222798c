// Starting an emulator whose serial ports connect back to us, for the machines that are emulators.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Server, type Socket } from "node:net";
import { findProgram } from "../lib/command.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import type { MachineExit, RunningMachine } from "./machine.ts";

/** Where an emulator's serial port connects to: a socket path, or a TCP port of the loopback interface. */
export interface SerialPort {
  /** Path, or port number once it listens. */
  address: string | number;
  /** The first connection. */
  connection: Promise<Socket>;
  close(): void;
}

const LOOPBACK = "127.0.0.1";
/** Time that an emulator has to connect its serial ports. */
const CONNECT_MILLISECONDS = 30_000;
/** Time between asking an emulator to end and killing it. */
const KILL_GRACE_MILLISECONDS = 2_000;
const KEPT_WORDS = 4096;

/** Listens at a socket path, or, without one, at a free TCP port of the loopback interface. */
export async function listenSerial(path?: string): Promise<SerialPort> {
  const server = createServer();
  server.maxConnections = 1;
  const connection = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await listen(server, path);
  const bound = server.address();
  const address = typeof bound === "object" && bound ? bound.port : (path as string);
  return { address, connection, close: () => server.close() };
}

function listen(server: Server, path?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const where = path ?? `a port of ${LOOPBACK}`;
      reject(
        new UserError(`Cannot listen at ${where} for the emulator's serial port: ${systemErrorText(error)}.`),
      );
    });
    if (path === undefined) server.listen(0, LOOPBACK, resolve);
    else server.listen(path, resolve);
  });
}

/**
 * Starts an emulator and waits until both of its serial ports have connected.
 * @param traceOnOutput the emulator's standard output carries the trace.
 * @param stopSignal what ends it in an orderly way; it is killed if that does not help.
 * @throws UserError with the emulator's words when it ends before.
 */
export async function startEmulator(
  command: string[],
  directory: string,
  serial: { console: SerialPort; log: SerialPort },
  options: { stopSignal: NodeJS.Signals; words?: () => string; traceOnOutput?: boolean },
): Promise<RunningMachine> {
  const child = spawnBound(command, directory, options.traceOnOutput === true ? "pipe" : "ignore");
  const exited = watch(child, options.words);
  const kill = () => endProcess(child, options.stopSignal);
  try {
    const ports = Promise.all([serial.console.connection, serial.log.connection]);
    const [console, log] = await Promise.race([ports, earlyEnd(command, exited), tooLate(command)]);
    // A connection that the emulator's death resets is an ordinary end of the stream.
    for (const socket of [console, log]) socket.setNoDelay(true).on("error", () => socket.destroy());
    return { console, log, trace: child.stdout ?? undefined, exited, kill };
  } catch (error) {
    kill();
    throw error;
  } finally {
    serial.console.close();
    serial.log.close();
  }
}

/** Starts a child that the system kills when this process dies, however it dies. */
function spawnBound(command: string[], directory: string, output: "pipe" | "ignore"): ChildProcess {
  const setpriv = findProgram("setpriv");
  const bound = setpriv ? [setpriv, "--pdeathsig", "KILL", "--", ...command] : command;
  // A process group of its own: Ctrl-C on the terminal is ours to handle.
  return spawn(bound[0] as string, bound.slice(1), {
    cwd: directory,
    stdio: ["ignore", output, "pipe"],
    detached: true,
  });
}

function watch(child: ChildProcess, words?: () => string): Promise<MachineExit> {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-KEPT_WORDS);
  });
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: 127, words: error.message }));
    child.on("close", (code, signal) => {
      resolve({ code: code ?? undefined, signal: signal ?? undefined, words: (words?.() ?? said).trim() });
    });
  });
}

async function earlyEnd(command: string[], exited: Promise<MachineExit>): Promise<never> {
  const { code, signal, words } = await exited;
  const end = signal ? `signal ${signal}` : `status ${code}`;
  throw new UserError(
    `The emulator ended before it booted (${end}). \`${command.join(" ")}\` said:\n${words || "nothing"}`,
  );
}

function tooLate(command: string[]): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => {
      const seconds = CONNECT_MILLISECONDS / 1000;
      reject(
        new UserError(
          `The emulator did not connect its serial ports within ${seconds} s: \`${command.join(" ")}\`.`,
        ),
      );
    }, CONNECT_MILLISECONDS).unref();
  });
}

function endProcess(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  setTimeout(() => child.kill("SIGKILL"), KILL_GRACE_MILLISECONDS).unref();
}
