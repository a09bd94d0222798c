// Debian packages as data: downloaded and unpacked into a private directory, never installed. Debian 12 asks its own
// apt; other systems (and machines whose package lists are empty) use an apt configuration of our own, which needs no
// root and is verified with Debian's keyring.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, mustRun } from "../lib/command.ts";
import { GUEST_BUILD } from "../lib/paths.ts";
import { UserError } from "../lib/user-error.ts";

const RELEASE = "bookworm";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR = process.env.TYPEVISOR_DEBIAN_MIRROR ?? "http://deb.debian.org";
const DOWNLOADS = join(GUEST_BUILD, "packages");

/** A part of Debian's archive. */
export interface Archive {
  architecture: "amd64" | "i386";
  suites: string[];
}

export const ARCHIVES = {
  amd64: { architecture: "amd64", suites: [RELEASE, `${RELEASE}-security`] },
  i386: { architecture: "i386", suites: [RELEASE] },
  backports: { architecture: "amd64", suites: [`${RELEASE}-backports`] },
} satisfies Record<string, Archive>;

export type ArchiveName = keyof typeof ARCHIVES;

/** Options common to every apt call; empty for the system's own configuration. */
type AptOptions = string[];

/**
 * Downloads Debian package `name` and unpacks it into `target`.
 * @returns the package file's name, which holds the version.
 */
export async function unpackPackage(
  name: string,
  target: string,
  archive: ArchiveName = "amd64",
): Promise<string> {
  const apt = await aptFor(name, archive);
  const directory = join(DOWNLOADS, `${name}.${process.pid}`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await mustRun("apt-get", [...apt, "-q", "download", name], { cwd: directory });
  const file = readdirSync(directory).find((entry) => entry.endsWith(".deb"));
  if (!file) throw new UserError(`apt-get download ${name} left no package in ${directory}.`);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  await mustRun("dpkg-deb", ["-x", join(directory, file), target]);
  rmSync(directory, { recursive: true });
  return file;
}

/** The first package that meta package `name` depends on: the versioned kernel behind linux-image-cloud-amd64. */
export async function resolveMetaPackage(name: string, archive: ArchiveName = "amd64"): Promise<string> {
  const apt = await aptFor(name, archive);
  const record = await mustRun("apt-cache", [...apt, "show", "--no-all-versions", name]);
  const depends = /^Depends: ([^\s,(]+)/m.exec(record);
  if (!depends?.[1])
    throw new UserError(`Package ${name} names no kernel package; its record is:\n${record.trim()}`);
  return depends[1];
}

/** The apt configuration that knows `name`: the system's on Debian 12 when its lists are there, else our own. */
async function aptFor(name: string, archive: ArchiveName): Promise<AptOptions> {
  if (archive === "amd64" && isDebianRelease()) {
    const known = await capture("apt-cache", ["show", name]);
    if (known.status === 0) return asRoot([]);
  }
  return privateApt(archive);
}

function isDebianRelease(): boolean {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^ID=debian$/m.test(release) && release.includes(`VERSION_CODENAME=${RELEASE}`);
}

/** Root may not let apt drop its privileges: the unprivileged user could not write into our directory. */
function asRoot(options: AptOptions): AptOptions {
  return process.getuid?.() === 0 ? [...options, "-o", "APT::Sandbox::User=root"] : options;
}

const privateReady = new Map<ArchiveName, Promise<AptOptions>>();

function privateApt(archive: ArchiveName): Promise<AptOptions> {
  const ready = privateReady.get(archive) ?? preparePrivateApt(archive);
  privateReady.set(archive, ready);
  return ready;
}

async function preparePrivateApt(name: ArchiveName): Promise<AptOptions> {
  if (!existsSync(KEYRING)) {
    throw new UserError(
      `The guest is made of Debian packages, whose signatures need ${KEYRING}: install debian-archive-keyring ` +
        "(`make setup` does).",
    );
  }
  const { architecture, suites } = ARCHIVES[name];
  const directory = join(GUEST_BUILD, `apt-${name}`);
  for (const part of ["state/lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(directory, part), { recursive: true });
  }
  const sources = suites.map(
    (suite) => `deb [signed-by=${KEYRING}] ${MIRROR}/${pathOf(suite)} ${suite} main\n`,
  );
  writeFileSync(join(directory, "sources.list"), sources.join(""));
  writeFileSync(join(directory, "status"), "");
  const options = asRoot(
    [
      `Dir::State=${join(directory, "state")}`,
      `Dir::State::status=${join(directory, "status")}`,
      `Dir::Cache=${join(directory, "cache")}`,
      `Dir::Etc::SourceList=${join(directory, "sources.list")}`,
      "Dir::Etc::SourceParts=/dev/null",
      "Dir::Etc::Preferences=/dev/null",
      "Dir::Etc::PreferencesParts=/dev/null",
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
    ].flatMap((option) => ["-o", option]),
  );
  await mustRun("apt-get", [...options, "-q", "update"]);
  return options;
}

/** Where a suite is below the mirror. */
function pathOf(suite: string): string {
  return suite.endsWith("-security") ? "debian-security" : "debian";
}
