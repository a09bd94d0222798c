// Mutual exclusion between processes, by flock(1): the system releases the lock when its holder ends, however it ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** Runs `body` while this process alone holds the lock at `path`, a file that is created if need be. */
export async function withLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  // It says a line once it has the lock, and holds it until its input ends: when we are done, or gone.
  const holder = spawn("flock", [path, "sh", "-c", "echo; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
  const held = once(holder.stdout, "data");
  const failed = once(holder, "error").then(([error]) => {
    throw error;
  });
  await Promise.race([held, failed]);
  try {
    return await body();
  } finally {
    holder.stdin.end();
    await once(holder, "close");
  }
}
