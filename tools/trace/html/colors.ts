// One colour per exit reason: the same in every chart and, for what guests exit for most, in every report on either backend.

/** Twelve hues, apart from each other in this order, then the same ones darker. */
const HUES = [213, 31, 127, 339, 174, 275, 48, 0, 92, 300, 245, 150];
const PALETTE = [55, 36].flatMap((lightness, round) =>
  HUES.map((hue) => `hsl(${hue + round * 8} ${round === 0 ? 68 : 75}% ${lightness}%)`),
);
/** For reasons beyond the palette. */
const REST = "#8f99a8";

/** Places in the palette; names of Linux's kvm_exit event, AMD-V's and VT-x's of the same exit together. */
const HOMES: Record<string, number> = {
  io: 0,
  IO_INSTRUCTION: 0,
  msr: 1,
  MSR_WRITE: 1,
  MSR_READ: 13,
  cpuid: 2,
  CPUID: 2,
  npf: 3,
  EPT_VIOLATION: 3,
  hlt: 4,
  HLT: 4,
  interrupt: 5,
  EXTERNAL_INTERRUPT: 5,
  vintr: 6,
  INTERRUPT_WINDOW: 6,
  write_cr0: 7,
  CR_ACCESS: 7,
  PREEMPTION_TIMER: 8,
  vmmcall: 9,
  VMCALL: 9,
};

/** A colour for each reason, no two alike as long as the palette lasts. Earlier reasons choose first. */
export function reasonColors(names: string[]): Map<string, string> {
  const colors = new Map<string, string>();
  const free = new Set(PALETTE.keys());
  const known = names.filter((name) => Object.hasOwn(HOMES, name));
  for (const name of [...known, ...names.filter((name) => !Object.hasOwn(HOMES, name))]) {
    const home = HOMES[name];
    const place = home !== undefined && free.has(home) ? home : unclaimed(free);
    colors.set(name, place === undefined ? REST : (PALETTE[place] as string));
    if (place !== undefined) free.delete(place);
  }
  return colors;
}

/** The first free place that is nobody's home; without one, the first free. */
function unclaimed(free: Set<number>): number | undefined {
  const homes = new Set(Object.values(HOMES));
  return [...free].find((place) => !homes.has(place)) ?? [...free][0];
}
