// The escape key of the interactive console, Ctrl-A as in QEMU and screen: it reaches the guest doubled, and otherwise
// introduces a command to this program.

export const ESCAPE_HELP = [
  "Ctrl-A x   leave: ends the virtual machine at once",
  "Ctrl-A a   send Ctrl-A to the guest (Ctrl-A Ctrl-A does too)",
  "Ctrl-A h   this help",
  "Everything else, Ctrl-C included, goes to the guest.",
];

const CTRL_A = 0x01;

export type EscapeCommand = "quit" | "help";

/** Separates what is typed into bytes for the guest and commands. Keeps its state between chunks. */
export class EscapeFilter {
  #escaped = false;

  /**
   * @param onCommand called for each command, in order.
   * @returns the bytes for the guest.
   */
  filter(typed: Uint8Array, onCommand: (command: EscapeCommand) => void): Uint8Array {
    if (!this.#escaped && !typed.includes(CTRL_A)) return typed;
    const forGuest: number[] = [];
    for (const byte of typed) {
      if (this.#escaped) this.#afterEscape(byte, forGuest, onCommand);
      else if (byte === CTRL_A) this.#escaped = true;
      else forGuest.push(byte);
    }
    return Uint8Array.from(forGuest);
  }

  #afterEscape(byte: number, forGuest: number[], onCommand: (command: EscapeCommand) => void): void {
    this.#escaped = false;
    const key = String.fromCharCode(byte).toLowerCase();
    if (key === "x") onCommand("quit");
    else if (key === "h" || key === "?") onCommand("help");
    else if (key === "a" || byte === CTRL_A) forGuest.push(CTRL_A);
    else forGuest.push(CTRL_A, byte);
  }
}
