// Memory sizes as people write them: 256M, 1G, 1048576K; a bare number is MiB, as in QEMU's -m.
import { UserError } from "./user-error.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

const UNIT_BYTES: Record<string, number> = { "": MIB, K: KIB, M: MIB, G: GIB };

/**
 * Bytes of a size such as `256M`.
 * @throws UserError naming `option` when the text is not a size.
 */
export function parseSize(text: string, option: string): number {
  const [, digits, unit] = /^(\d{1,9})([KMG]?)(?:i?B)?$/i.exec(text.trim()) ?? [];
  const unitBytes = unit === undefined ? undefined : UNIT_BYTES[unit.toUpperCase()];
  if (unitBytes === undefined) {
    throw new UserError(
      `${option}: "${text}" is not a memory size. Write a number with K, M or G, such as 256M or 1G.`,
    );
  }
  return Number(digits) * unitBytes;
}

/** A size in its largest exact binary unit, or in MiB with one decimal: `256 MiB`, `13.5 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes >= GIB && bytes % GIB === 0) return `${bytes / GIB} GiB`;
  if (bytes < MIB) return bytes % KIB === 0 ? `${bytes / KIB} KiB` : `${bytes} bytes`;
  return `${Number((bytes / MIB).toFixed(1))} MiB`;
}
