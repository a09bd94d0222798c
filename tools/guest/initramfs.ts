// The guest's initramfs: Debian's static busybox, its applets as links, and our start-up files. The same inputs give the same
// bytes: sorted names, owner 0, a fixed time.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { mustRun } from "../lib/command.ts";
import { GUEST_BUILD, ROOT } from "../lib/paths.ts";
import type { Log } from "../lib/progress.ts";
import { UserError } from "../lib/user-error.ts";
import { unpackPackage } from "./packages.ts";

/** Where the parts for one kind of processor are. */
interface Places {
  busybox: string;
  archive: string;
  stamp: string;
}

function placesOf(architecture: GuestArchitecture): Places {
  const suffix = architecture === "amd64" ? "" : `-${architecture}`;
  return {
    busybox: join(GUEST_BUILD, `busybox${suffix}`, "bin", "busybox"),
    archive: join(GUEST_BUILD, `initramfs${suffix}.gz`),
    stamp: join(GUEST_BUILD, `initramfs${suffix}.inputs`),
  };
}

/** Where the static busybox of amd64 is, once `obtainInitramfs` has run. */
export const BUSYBOX = placesOf("amd64").busybox;

/** Our files: place in the initramfs, source, mode. */
const FILES: [path: string, source: string, mode: number][] = [
  ["etc/inittab", join(ROOT, "tools/guest/files/inittab"), 0o644],
  ["etc/profile", join(ROOT, "tools/guest/files/profile"), 0o644],
  ["etc/rc", join(ROOT, "tools/guest/files/rc"), 0o755],
  ["etc/session", join(ROOT, "tools/guest/files/session"), 0o755],
];
const TEXTS: [path: string, text: string][] = [
  ["etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"],
  ["etc/group", "root:x:0:\n"],
];
const DIRECTORIES = [
  "bin",
  "dev",
  "etc",
  "proc",
  "root",
  "sbin",
  "sys",
  "tmp",
  "usr/bin",
  "usr/sbin",
  "var/log",
];

export type GuestArchitecture = "amd64" | "i386";

/** Path of the gzip-compressed initramfs; builds it when it is missing or its inputs changed. */
export async function obtainInitramfs(log: Log, architecture: GuestArchitecture = "amd64"): Promise<string> {
  const places = placesOf(architecture);
  if (!existsSync(places.busybox)) {
    log("Downloading the guest's userland, Debian package busybox-static (1 MB) …");
    await unpackPackage("busybox-static", dirname(dirname(places.busybox)), architecture);
  }
  const inputs = digestInputs(places);
  const { archive: path, stamp } = places;
  if (existsSync(path) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return path;
  log("Building the guest's initramfs …");
  // A private tree and a rename: several processes may build or read at once.
  const tree = mkdtempSync(join(GUEST_BUILD, "tree-"));
  await layOut(tree, places);
  writeFileSync(`${tree}.gz`, gzipSync(await archive(tree), { level: 9 }));
  renameSync(`${tree}.gz`, path);
  writeFileSync(stamp, inputs);
  rmSync(tree, { recursive: true });
  return path;
}

function digestInputs(places: Places): string {
  const hash = createHash("sha256");
  for (const path of [places.busybox, ...FILES.map(([, source]) => source), import.meta.filename])
    hash.update(readFileSync(path));
  return hash.digest("hex");
}

async function layOut(tree: string, { busybox }: Places): Promise<void> {
  for (const directory of DIRECTORIES) mkdirSync(join(tree, directory), { recursive: true });
  copyFileSync(busybox, join(tree, "bin/busybox"));
  chmodSync(join(tree, "bin/busybox"), 0o755);
  for (const [path, source, mode] of FILES) {
    copyFileSync(source, join(tree, path));
    chmodSync(join(tree, path), mode);
  }
  for (const [path, text] of TEXTS) writeFileSync(join(tree, path), text, { mode: 0o644 });
  const applets = (await mustRun(busybox, ["--list-full"])).trim().split("\n");
  for (const applet of [...applets, "init"]) linkApplet(tree, applet);
}

function linkApplet(tree: string, applet: string): void {
  const path = join(tree, applet);
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync("/bin/busybox", path);
}

/** The tree as a cpio archive of format newc. */
export async function archive(tree: string): Promise<Buffer> {
  const names = readdirSync(tree, { recursive: true, encoding: "utf8" }).sort();
  for (const name of names) lutimesSync(join(tree, name), 0, 0);
  return new Promise((resolve, reject) => {
    const options = ["--create", "--format=newc", "--reproducible", "--owner=+0:+0", "--quiet"];
    const child = spawn("cpio", options, { cwd: tree, stdio: ["pipe", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", (error) =>
      reject(new UserError(`Could not start cpio: ${error.message}. \`make setup\` installs it.`)),
    );
    child.on("close", (status) => {
      if (status === 0) resolve(Buffer.concat(chunks));
      else reject(new UserError(`cpio failed with status ${status} while it packed the initramfs.`));
    });
    child.stdin.end(`${names.join("\n")}\n`);
  });
}
