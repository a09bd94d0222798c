// The boot layout: what boot/ knows about the image and hands to the kernel, as one array of 8-byte words at the physical
// address `boot_layout()`. boot/layout.asm fills it; byte offsets below. Valid for asc and for tsc.
//
//   offset  word
//   0x00    physical address of the image's first byte          0x08  … of the byte after its last (bss included)
//   0x10    .text start (virtual)    0x18 end                   0x20  .rodata start   0x28 end
//   0x30    .data/.bss start         0x38 end                   0x40  linear memory: physical start   0x48 bytes
//   0x50    symbol table start (virtual)  0x58 end              0x60  boot stack: lowest usable address  0x68 top
//   0x70    GDT (virtual)            0x78 TSS (virtual)         0x80  IDT (virtual)    0x88 PML4 (physical)
//   0x90    multiboot magic          0x98 multiboot information (physical)             0xA0 TSC at hand-over
//   0xA8    per-CPU block of the boot CPU (physical): its first word is what `cpu_base()` reads
//   0xB0    report ports (physical), two u16 for reports without TypeScript: the log's port, and the one that switches the
//           machine off (0: none)
//   0xB8    WebAssembly globals, 8 bytes each, in the order of the module: start (virtual)     0xC0 end

export const LAYOUT_IMAGE_START: u32 = 0x00;
export const LAYOUT_IMAGE_END: u32 = 0x08;
export const LAYOUT_TEXT_START: u32 = 0x10;
export const LAYOUT_TEXT_END: u32 = 0x18;
export const LAYOUT_RODATA_START: u32 = 0x20;
export const LAYOUT_RODATA_END: u32 = 0x28;
export const LAYOUT_DATA_START: u32 = 0x30;
export const LAYOUT_DATA_END: u32 = 0x38;
export const LAYOUT_LINEAR_START: u32 = 0x40;
export const LAYOUT_LINEAR_BYTES: u32 = 0x48;
export const LAYOUT_SYMTAB_START: u32 = 0x50;
export const LAYOUT_SYMTAB_END: u32 = 0x58;
export const LAYOUT_STACK_START: u32 = 0x60;
export const LAYOUT_STACK_TOP: u32 = 0x68;
export const LAYOUT_GDT: u32 = 0x70;
export const LAYOUT_TSS: u32 = 0x78;
export const LAYOUT_IDT: u32 = 0x80;
export const LAYOUT_PML4: u32 = 0x88;
export const LAYOUT_MULTIBOOT_MAGIC: u32 = 0x90;
export const LAYOUT_MULTIBOOT_INFO: u32 = 0x98;
export const LAYOUT_BOOT_TSC: u32 = 0xa0;
export const LAYOUT_CPU_BLOCK: u32 = 0xa8;
export const LAYOUT_REPORT_PORTS: u32 = 0xb0;
export const LAYOUT_GLOBALS_START: u32 = 0xb8;
export const LAYOUT_GLOBALS_END: u32 = 0xc0;

/** Selectors of the host's GDT. */
export const SELECTOR_CODE: u32 = 0x08;
export const SELECTOR_DATA: u32 = 0x10;
export const SELECTOR_TSS: u32 = 0x18;
