// Single files of Debian packages, as guests that are no Linux: Xen, memtest86+, GNU Mach, GRUB.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { GUEST_BUILD } from "../lib/paths.ts";
import type { Log } from "../lib/progress.ts";
import { UserError } from "../lib/user-error.ts";
import { unpackPackage } from "./packages.ts";

/**
 * Path of file `path` of Debian package `name`; downloads it the first time. A name that ends in `.gz` stands for what is
 * compressed in it.
 */
export async function obtainPackageFile(name: string, path: string, log: Log): Promise<string> {
  const kept = join(GUEST_BUILD, "files", name, basename(path, ".gz"));
  if (existsSync(kept)) return kept;
  const unpacking = await unpackForOnce(name, log);
  try {
    const source = join(unpacking, path);
    if (!existsSync(source)) throw new UserError(`Debian package ${name} holds no ${path}.`);
    mkdirSync(dirname(kept), { recursive: true });
    const fresh = `${kept}.${process.pid}`;
    if (path.endsWith(".gz")) writeFileSync(fresh, gunzipSync(readFileSync(source)));
    else copyFileSync(source, fresh);
    renameSync(fresh, kept);
    return kept;
  } finally {
    rmSync(unpacking, { recursive: true });
  }
}

/** Path of a directory with all of Debian package `name`; downloads it the first time. */
export async function obtainPackageTree(name: string, log: Log): Promise<string> {
  const kept = join(GUEST_BUILD, "trees", name);
  if (existsSync(kept)) return kept;
  const unpacking = await unpackForOnce(name, log);
  mkdirSync(dirname(kept), { recursive: true });
  renameSync(unpacking, kept);
  return kept;
}

async function unpackForOnce(name: string, log: Log): Promise<string> {
  log(`Downloading a guest, Debian package ${name} …`);
  const unpacking = join(GUEST_BUILD, `${name}.${process.pid}`);
  await unpackPackage(name, unpacking);
  return unpacking;
}
