// The escape keys of the console. Ctrl-A is this program's, as in QEMU and screen: it reaches the guest doubled, and otherwise
// introduces a command. Ctrl-] is the hypervisor's (kernel/monitor/input.ts): what is meant for the guest is doubled here, so
// that every byte reaches it.

export const ESCAPE_HELP = [
  "Ctrl-A x   leave: ends the virtual machine at once",
  "Ctrl-A m   open the hypervisor's monitor (its `help` says more; Ctrl-D comes back)",
  "Ctrl-A a   send Ctrl-A to the guest (Ctrl-A Ctrl-A does too)",
  "Ctrl-A h   this help",
  "Everything else, Ctrl-C included, goes to the guest.",
];

const CTRL_A = 0x01;
const MONITOR_ESCAPE = 0x1d;
const OPEN_MONITOR = [MONITOR_ESCAPE, "m".charCodeAt(0)];

export type EscapeCommand = "quit" | "help";

/** Bytes for the guest in the form that the hypervisor hands on unchanged. */
export function escapeForMonitor(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(MONITOR_ESCAPE)) return bytes;
  return Uint8Array.from([...bytes].flatMap((byte) => (byte === MONITOR_ESCAPE ? [byte, byte] : [byte])));
}

/** Separates what is typed into bytes for the machine and commands. Keeps its state between chunks. */
export class EscapeFilter {
  #escaped = false;

  /** @param hasMonitor the hypervisor is there, and takes its own escape key out of what it gets. */
  constructor(private readonly hasMonitor: boolean) {}

  /**
   * @param onCommand called for each command, in order.
   * @returns the bytes for the machine.
   */
  filter(typed: Uint8Array, onCommand: (command: EscapeCommand) => void): Uint8Array {
    if (!this.#escaped && !typed.includes(CTRL_A)) return this.#forGuest(typed);
    const output: number[] = [];
    for (const byte of typed) {
      if (this.#escaped) output.push(...this.#afterEscape(byte, onCommand));
      else if (byte === CTRL_A) this.#escaped = true;
      else output.push(...this.#forGuest(Uint8Array.of(byte)));
    }
    return Uint8Array.from(output);
  }

  #afterEscape(byte: number, onCommand: (command: EscapeCommand) => void): Iterable<number> {
    this.#escaped = false;
    const key = String.fromCharCode(byte).toLowerCase();
    if (key === "m" && this.hasMonitor) return OPEN_MONITOR;
    if (key === "a" || byte === CTRL_A) return [CTRL_A];
    if (key !== "x" && key !== "h" && key !== "?") return this.#forGuest(Uint8Array.of(CTRL_A, byte));
    onCommand(key === "x" ? "quit" : "help");
    return [];
  }

  #forGuest(bytes: Uint8Array): Uint8Array {
    return this.hasMonitor ? escapeForMonitor(bytes) : bytes;
  }
}
