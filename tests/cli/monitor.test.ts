// The way of keys through the command line and the hypervisor, on a real pseudo-terminal: Ctrl-A m opens the monitor, and all
// else that is typed is the guest's, byte for byte.
import { createHash } from "node:crypto";
import { test } from "vitest";
import { obtainGuest } from "../../tools/guest/guest.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { Terminal } from "./cli.ts";

const PROMPT = "root@guest:~# ";
const MONITOR = "typevisor> ";
const CTRL_A = "\x01";
const CTRL_D = "\x04";

test("a paste of every byte arrives whole; the monitor opens and stops the VM", async () => {
  await obtainGuest(logNothing);
  const terminal = new Terminal('$TYPEVISOR run --machine qemu-tcg --append quiet; echo "status $?"');
  await terminal.expect(PROMPT);
  terminal.type("stty raw -echo; echo re''ady; head -c 4096 | md5sum; stty sane\n");
  await terminal.expect("ready");
  const paste = Buffer.from(Uint8Array.from({ length: 4096 }, (_, i) => (i * 29) & 0xff));
  terminal.type(paste.toString("latin1").replaceAll(CTRL_A, CTRL_A + CTRL_A));
  await terminal.expect(createHash("md5").update(paste).digest("hex"));

  let seen = terminal.screen.length;
  terminal.type(`${CTRL_A}m`);
  await terminal.expect(MONITOR, seen);
  terminal.type("help quit\r");
  await terminal.expect("stop the VM", seen);
  seen = terminal.screen.length;
  terminal.type(`${CTRL_D}echo $((6 * 7))\n`);
  await terminal.expect(/\n42\r/, seen);
  terminal.type(`${CTRL_A}mquit\r`);
  await terminal.expect("status 0", seen);
}, 300_000);
