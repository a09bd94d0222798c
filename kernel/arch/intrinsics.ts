// The processor as TypeScript sees it: the only file whose declarations are imports of the WebAssembly module.
//
// tools/aot emits each of these inline (or, where marked "asm", as a call to `tv_asm_<name>` in boot/). Under Node they
// are the fake CPU of tests/unit/fake-cpu.ts. None is ever merged, reordered or dropped by the code generator unless
// marked "pure". Arguments narrower than a register are truncated by the intrinsic itself.

// --- model-specific registers, control registers, flags -------------------------------------------------------------

/** RDMSR. A #GP here is a bug in the hypervisor: probe with `rdmsr_safe` where an MSR may be missing. */
export declare function rdmsr(msr: u32): u64;
/** WRMSR of EDX:EAX = value. */
export declare function wrmsr(msr: u32, value: u64): void;
/** asm. RDMSR whose #GP is caught: stores the value at `result` (8 bytes, linear) and returns 1, or returns 0. */
export declare function rdmsr_safe(msr: u32, result: usize): u32;
/** asm. WRMSR whose #GP is caught: 1 when the write was taken, 0 when it faulted. */
export declare function wrmsr_safe(msr: u32, value: u64): u32;
/** CPUID: stores EAX, EBX, ECX, EDX as four u32 at `result` (linear). */
export declare function cpuid(leaf: u32, subleaf: u32, result: usize): void;
export declare function read_cr0(): u64;
export declare function read_cr2(): u64;
export declare function read_cr3(): u64;
export declare function read_cr4(): u64;
export declare function read_cr8(): u64;
export declare function write_cr0(value: u64): void;
export declare function write_cr2(value: u64): void;
export declare function write_cr3(value: u64): void;
export declare function write_cr4(value: u64): void;
export declare function write_cr8(value: u64): void;
export declare function read_dr0(): u64;
export declare function read_dr1(): u64;
export declare function read_dr2(): u64;
export declare function read_dr3(): u64;
export declare function read_dr6(): u64;
export declare function read_dr7(): u64;
export declare function write_dr0(value: u64): void;
export declare function write_dr1(value: u64): void;
export declare function write_dr2(value: u64): void;
export declare function write_dr3(value: u64): void;
export declare function write_dr6(value: u64): void;
export declare function write_dr7(value: u64): void;
export declare function read_rflags(): u64;
/** XGETBV / XSETBV of extended control register `index`. */
export declare function xgetbv(index: u32): u64;
export declare function xsetbv(index: u32, value: u64): void;

// --- time and waiting -----------------------------------------------------------------------------------------------

/** RDTSC (not serialising). */
export declare function rdtsc(): u64;
export declare function pause(): void;
/** MFENCE. */
export declare function mfence(): void;
export declare function cli(): void;
export declare function sti(): void;
/** STI; HLT; CLI: waits for one interrupt, whose handler runs through the IDT, and returns with interrupts off. */
export declare function sti_hlt_cli(): void;
/** STI; NOP; CLI: lets one pending interrupt be taken through the IDT. */
export declare function sti_nop_cli(): void;
/** CLI; HLT for ever. Does not return. */
export declare function halt_forever(): void;

// --- port input and output ------------------------------------------------------------------------------------------

export declare function in8(port: u32): u32;
export declare function in16(port: u32): u32;
export declare function in32(port: u32): u32;
export declare function out8(port: u32, value: u32): void;
export declare function out16(port: u32, value: u32): void;
export declare function out32(port: u32, value: u32): void;

// --- physical memory, through the direct map (GS base + address) ----------------------------------------------------

export declare function phys_load8(hpa: u64): u32;
export declare function phys_load16(hpa: u64): u32;
export declare function phys_load32(hpa: u64): u32;
export declare function phys_load64(hpa: u64): u64;
export declare function phys_store8(hpa: u64, value: u32): void;
export declare function phys_store16(hpa: u64, value: u32): void;
export declare function phys_store32(hpa: u64, value: u32): void;
export declare function phys_store64(hpa: u64, value: u64): void;
/** LOCK CMPXCHG of 8 bytes: stores `desired` if the memory holds `expected`; returns what the memory held. */
export declare function phys_cmpxchg64(hpa: u64, expected: u64, desired: u64): u64;
/** The same for 4, 2 and 1 bytes. */
export declare function phys_cmpxchg32(hpa: u64, expected: u32, desired: u32): u32;
export declare function phys_cmpxchg16(hpa: u64, expected: u32, desired: u32): u32;
export declare function phys_cmpxchg8(hpa: u64, expected: u32, desired: u32): u32;
/** REP MOVSB from physical memory to linear memory. Regions must not overlap; `length` in bytes. */
export declare function phys_read(destination: usize, hpa: u64, length: u64): void;
/** REP MOVSB from linear memory to physical memory. */
export declare function phys_write(hpa: u64, source: usize, length: u64): void;
/** REP MOVSB from physical to physical memory, upwards. */
export declare function phys_copy(destination: u64, source: u64, length: u64): void;
/** REP STOSB of the low byte of `value`. */
export declare function phys_fill(hpa: u64, value: u32, length: u64): void;
/** A plain 8-byte load from any virtual address: for walking the native stack and exception frames only. */
export declare function peek64(virtualAddress: u64): u64;

// --- the hypervisor's own paging and per-CPU base -------------------------------------------------------------------

/** INVLPG. */
export declare function invlpg(virtualAddress: u64): void;
export declare function wbinvd(): void;
/** CLFLUSH of the line holding this physical address (through the direct map). */
export declare function phys_clflush(hpa: u64): void;
/** Linear address of this CPU's `PerCpu` structure: MOV from FS:[0]. */
export declare function cpu_base(): usize;
/** The stack pointer inside the current function's body, and an address inside its code: starting point of a stack walk. */
export declare function read_rsp(): u64;
export declare function read_rip(): u64;
/** pure. Physical address of the boot layout (kernel/abi/layout.ts), which boot/ fills: absolute symbol `tv_boot_layout_pa`. */
export declare function boot_layout(): u64;

// --- arithmetic the WebAssembly instruction set lacks ---------------------------------------------------------------

/** pure. High 64 bits of the unsigned 128-bit product. */
export declare function mul_high(a: u64, b: u64): u64;
/** pure. Low 64 bits of (a * b) >> 32 in 128-bit arithmetic: fixed-point scaling, as time conversions need. */
export declare function mul_shift32(a: u64, b: u64): u64;
/** pure. (high:low) / divisor, unsigned. The quotient must fit in 64 bits, else the CPU raises #DE. */
export declare function div_wide(high: u64, low: u64, divisor: u64): u64;

// --- VT-x -----------------------------------------------------------------------------------------------------------
// "status": 0 = VMsucceed, 1 = VMfailInvalid (CF), 2 = VMfailValid (ZF; see the VM-instruction error field).

/** VMXON with the region's physical address. Returns a status. */
export declare function vmxon(hpa: u64): u32;
export declare function vmxoff(): void;
export declare function vmclear(hpa: u64): u32;
export declare function vmptrld(hpa: u64): u32;
/** VMREAD of a field that is known to exist in the current VMCS; failure traps ("vmread failed"). */
export declare function vmread(field: u32): u64;
/** VMWRITE of a field that is known to exist in the current VMCS; failure traps ("vmwrite failed"). */
export declare function vmwrite(field: u32, value: u64): void;
/** VMREAD/VMWRITE returning a status; `vmread_status` stores the value (8 bytes, linear) on success. */
export declare function vmread_status(field: u32, result: usize): u32;
export declare function vmwrite_status(field: u32, value: u64): u32;
/** INVEPT / INVVPID with the 16-byte descriptor (low, high). Returns a status. */
export declare function invept(type: u32, low: u64, high: u64): u32;
export declare function invvpid(type: u32, low: u64, high: u64): u32;
/**
 * asm. VMLAUNCH (launched = 0) or VMRESUME (1) with the guest's registers at `registers` (linear; layout of Vcpu's head
 * in kernel/vcpu/vcpu.ts). Returns 0 after a VM exit, with the registers and `tscExit` stored back; 1 or 2: a status.
 */
export declare function vmx_enter(registers: usize, launched: u32): u32;
/** asm. Delivers the NMI that caused an exit to the host's own handler (software INT 2 on the NMI stack, then IRET). */
export declare function run_nmi_handler(): void;

// --- AMD-V ----------------------------------------------------------------------------------------------------------

export declare function stgi(): void;
export declare function clgi(): void;
/** VMSAVE / VMLOAD with the VMCB's physical address. */
export declare function vmsave(hpa: u64): void;
export declare function vmload(hpa: u64): void;
/** INVLPGA. */
export declare function invlpga(virtualAddress: u64, asid: u32): void;
/**
 * asm. VMLOAD guest, VMRUN, VMSAVE guest, VMLOAD host, with the guest's registers at `registers` as for `vmx_enter`, which
 * also name both VMCBs. GIF is 0 before and after, and IF is 1: physical interrupts exit (kernel/arch/gate.ts). Returns
 * `registers`. Keeps no other register: the code generator saves what is needed.
 */
export declare function svm_enter(registers: usize): usize;

// --- extended processor state (for switching between vCPUs; never on the plain exit path) ---------------------------

/** XSAVE64 / XRSTOR64 (all components in `mask`) at a physical address aligned to 64 bytes. */
export declare function phys_xsave(hpa: u64, mask: u64): void;
export declare function phys_xrstor(hpa: u64, mask: u64): void;
/** FXSAVE64 / FXRSTOR64 at a physical address aligned to 16 bytes, for CPUs without XSAVE. */
export declare function phys_fxsave(hpa: u64): void;
export declare function phys_fxrstor(hpa: u64): void;
/**
 * asm. MOVQ, MOVUPS or VMOVUPS of a register to, or from, linear memory: `bytes` is 8 for MMX, 16 for XMM (the rest of YMM stays
 * as it is), 32 for YMM (what is above it is cleared). These are the guest's own registers: the host uses none. MMX returns 0,
 * with nothing done, while an x87 exception is pending (#MF); else 1. YMM needs XCR0.AVX.
 */
export declare function simd_read(register: u32, target: usize, bytes: u32): u32;
export declare function simd_write(register: u32, source: usize, bytes: u32): u32;
/** RDPKRU: the guest's own. Needs CR4.PKE in the host. */
export declare function rdpkru(): u32;
