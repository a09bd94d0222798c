// PCI configuration space of bus 0.
import { arenaNew } from "../lib/arena";

/** Ports of configuration mechanism #1, from CF8h on. */
export const PCI_PORTS: u32 = 8;
/** Result of `pciTakeChange` when nothing changed. */
export const NO_SLOT: i32 = -1;

@unmanaged
export class Pci {
  reserved: u64;
}

/** Storage for one bus with a host bridge at 00:00.0; boot time only. */
export function pciNew(): Pci { return arenaNew<Pci>(); }
/** Power-on values of every function; functions stay. */
export function pciReset(_d: Pci): void {}
/** Puts a function into `slot` 1..31: IDs as vendor | device << 16, class code and revision as register 08h has them. */
export function pciAddFunction(_d: Pci, _slot: u32, _ids: u32, _classRevision: u32, _subsystem: u32): void {}
/** Gives `slot` a base address register of `bytes` (a power of two); `flags`: PCI_BAR_*. */
export function pciAddBar(_d: Pci, _slot: u32, _bar: u32, _bytes: u64, _flags: u32): void {}
export const PCI_BAR_MEMORY32: u32 = 0;
export const PCI_BAR_IO: u32 = 1;
export const PCI_BAR_MEMORY64: u32 = 4;
/** Interrupt pin (1 = INTA#) and line register's power-on value. */
export function pciSetInterrupt(_d: Pci, _slot: u32, _pin: u32, _line: u32): void {}
/** Makes bytes of the configuration space: initial value and which bits the guest may write (capabilities). */
export function pciDefine(_d: Pci, _slot: u32, _register: u32, _size: u32, _value: u32, _writable: u32): void {}
/** A function's register as the guest sees it. */
export function pciConfigRead(_d: Pci, _slot: u32, _register: u32, _size: u32): u32 { return 0xffffffff; }
export function pciConfigWrite(_d: Pci, _slot: u32, _register: u32, _size: u32, _value: u32): void {}
/** CF8h..CFFh; `offset` 0..7. */
export function pciRead(_d: Pci, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function pciWrite(_d: Pci, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** ECAM window; `offset` = bus << 20 | device << 15 | function << 12 | register. */
export function pciEcamRead(_d: Pci, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function pciEcamWrite(_d: Pci, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** Slot whose command register or BARs were written since the last call, or NO_SLOT: the platform re-routes it. */
export function pciTakeChange(_d: Pci): i32 { return NO_SLOT; }
export function pciLine(_d: Pci, _now: u64): bool { return false; }
export function pciDeadline(_d: Pci, _now: u64): u64 { return u64.MAX_VALUE; }
export function pciAdvance(_d: Pci, _now: u64): void {}
