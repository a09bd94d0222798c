// The guest's I/O ports and interrupt numbers: those of a PC. Devices know neither; platform.ts and the ACPI tables use
// these.

export const PORT_PIC_MASTER: u32 = 0x20;
export const PORT_PIC_SLAVE: u32 = 0xa0;
/** Edge/level control of the interrupt controllers. */
export const PORT_ELCR: u32 = 0x4d0;
export const PORT_PIT: u32 = 0x40;
/** System control port B: gate and output of timer 2, speaker. */
export const PORT_SYSTEM_B: u32 = 0x61;
export const PORT_I8042_DATA: u32 = 0x60;
export const PORT_I8042_COMMAND: u32 = 0x64;
/** System control port A: A20, fast reset. */
export const PORT_SYSTEM_A: u32 = 0x92;
export const PORT_RTC: u32 = 0x70;
/** Advanced power management control: on a computer a write raises SMI, here it calls the BIOS. */
export const PORT_SMI_COMMAND: u32 = 0xb2;
export const PORT_COM1: u32 = 0x3f8;
export const PORT_PVPANIC: u32 = 0x505;
/** The opt-in test device: its registers, and one port for each interrupt line. */
export const PORT_TESTDEV: u32 = 0xe0;
export const PORT_TESTDEV_LINES: u32 = 0x2000;
export const TESTDEV_LINES: u32 = 24;
/** Where those who ask for the test device expect the debug-exit port. */
export const PORT_TESTDEV_EXIT: u32 = 0xf4;
export const PORT_ACPI_PM: u32 = 0x600;
export const PORT_PCI_CONFIG: u32 = 0xcf8;
/** Reset control register; inside the PCI configuration ports, whose address register takes 32-bit accesses only. */
export const PORT_RESET_CONTROL: u32 = 0xcf9;

/** ISA interrupts, which the PIC pair has too. */
export const ISA_IRQS: u32 = 16;
/** Some of them; each is the pin of that number on the PIC pair and on the I/O APIC, but for the timer. */
export const IRQ_PIT: u32 = 0;
export const IRQ_I8042: u32 = 1;
export const IRQ_COM1: u32 = 4;
export const IRQ_RTC: u32 = 8;
/** ACPI's system control interrupt: level-triggered, active high. */
export const IRQ_SCI: u32 = 9;

/** I/O APIC pin of the timer, as on PCs: pin 0 takes the PIC's output. */
export const GSI_PIT: u32 = 2;
export const GSI_PIC: u32 = 0;
/** I/O APIC pins that PCI's INTx lines share. */
export const PCI_GSI_FIRST: u32 = 16;
export const PCI_GSIS: u32 = 4;
/** I/O APIC pins that the HPET's timers can be routed to; nothing else is wired to them. */
export const HPET_GSI_FIRST: u32 = 20;
export const HPET_GSIS: u32 = 4;
