// The Debian packages that the tools call, each with its reason. Ubuntu has them under the same names.
import { capture } from "../lib/command.ts";

/** What packages are needed for; each purpose includes those before it. */
export const PURPOSES = ["run", "test"] as const;
export type Purpose = (typeof PURPOSES)[number];

export interface DebianPackage {
  name: string;
  why: string;
  purpose: Purpose;
}

export const PACKAGES: DebianPackage[] = [
  { name: "nasm", why: "assembles the image", purpose: "run" },
  { name: "binutils", why: "links the image", purpose: "run" },
  { name: "qemu-system-x86", why: "the machine with AMD-V", purpose: "run" },
  { name: "cpio", why: "packs the guest's initramfs", purpose: "run" },
  { name: "xz-utils", why: "unpacks Debian packages", purpose: "run" },
  { name: "debian-archive-keyring", why: "verifies the guest's packages", purpose: "run" },
  { name: "bochs", why: "the machine with VT-x", purpose: "test" },
  { name: "bochsbios", why: "firmware of Bochs", purpose: "test" },
  { name: "vgabios", why: "firmware of Bochs", purpose: "test" },
  { name: "grub-common", why: "builds CD images", purpose: "test" },
  { name: "grub-pc-bin", why: "boots CD images through BIOS", purpose: "test" },
  { name: "grub-efi-amd64-bin", why: "boots CD images through UEFI", purpose: "test" },
  { name: "xorriso", why: "writes CD images", purpose: "test" },
  { name: "mtools", why: "writes the UEFI part of CD images", purpose: "test" },
  { name: "ovmf", why: "UEFI firmware, to test CD images", purpose: "test" },
  { name: "acpica-tools", why: "checks the guest's ACPI tables", purpose: "test" },
  { name: "chromium", why: "draws the HTML report of a trace, to test it", purpose: "test" },
  { name: "gdb", why: "reads the image's debugging information, to test it", purpose: "test" },
  { name: "wabt", why: "reads the WebAssembly specification's tests", purpose: "test" },
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
const STATUS_FORMAT = "${Package} ${Status}\n";

/** The packages for `purpose` that are not installed. On systems without dpkg: undefined. */
export async function missingPackages(purpose: Purpose): Promise<DebianPackage[] | undefined> {
  const wanted = PACKAGES.filter((item) => PURPOSES.indexOf(item.purpose) <= PURPOSES.indexOf(purpose));
  const names = wanted.map((item) => item.name);
  // dpkg-query fails when it does not know one of them, but still tells about the others.
  const query = await capture("dpkg-query", ["--show", `--showformat=${STATUS_FORMAT}`, ...names]).catch(
    () => undefined,
  );
  if (query === undefined) return undefined;
  const installed = new Set(
    query.stdout.split("\n").map((line) => line.replace(/ install ok installed$/, "")),
  );
  return wanted.filter((item) => !installed.has(item.name));
}
