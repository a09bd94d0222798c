// The boot menu of the CD image on real computers.
import { vmArgs } from "../machines/cmdline.ts";
import type { VmConfig } from "../vm/config.ts";
import type { MenuEntry } from "./iso.ts";

const VARIANTS: { title: string; args: string[] }[] = [
  { title: "Typevisor", args: ["log=com1", "loglevel=info"] },
  { title: "Typevisor, hypervisor log on the second serial port", args: ["log=com2", "loglevel=info"] },
  { title: "Typevisor, verbose log", args: ["log=com1", "loglevel=debug"] },
];

/** The menu for a computer that is powered off through ACPI. */
export function bareMetalEntries(vms: VmConfig[]): MenuEntry[] {
  return VARIANTS.map(({ title, args }) => ({
    title,
    hypervisorArgs: [...args, "exit=acpi", ...vmArgs(vms)],
  }));
}
