// Where things live in a checkout.
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's top directory. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
/** Everything generated; git ignores it. */
export const BUILD = join(ROOT, "build");
/** Guest kernels and initramfs. */
export const GUEST_BUILD = join(BUILD, "guest");
