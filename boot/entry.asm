; Multiboot-1 header and 32-bit entry: from the loader's protected mode to long mode in the upper half.
; (Multiboot Specification 0.6.96, "OS image format" and "Machine state".)
%include "constants.inc"

MULTIBOOT_HEADER_MAGIC  equ 0x1BADB002
MULTIBOOT_PAGE_ALIGN    equ 1 << 0
MULTIBOOT_MEMORY_INFO   equ 1 << 1
MULTIBOOT_FLAGS         equ MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO

CPUID_EXTENDED_FEATURES equ 0x80000001
EDX_NX                  equ 20
EDX_LONG_MODE           equ 29

global tv_entry
extern tv_boot_tsc, tv_multiboot_magic, tv_multiboot_info
extern tv_stack_physical_top, tv_early_tables, tv_early_pml4, tv_start64
extern tv_cpu0_block, tv_refuse

section .multiboot progbits alloc noexec nowrite align=4
        dd MULTIBOOT_HEADER_MAGIC
        dd MULTIBOOT_FLAGS
        dd -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS)

section .boot32 progbits alloc exec nowrite align=16
bits 32
tv_entry:
        cli
        cld
        mov ecx, eax
        rdtsc
        mov [PHYSICAL(tv_boot_tsc)], eax
        mov [PHYSICAL(tv_boot_tsc) + 4], edx
        mov [PHYSICAL(tv_multiboot_magic)], ecx
        mov [PHYSICAL(tv_multiboot_info)], ebx
        mov esp, tv_stack_physical_top
        call require_long_mode
        call tv_early_tables
        call enter_long_mode
        jmp SELECTOR_CODE:entry64

; Returns only on a CPU with long mode and no-execute pages.
require_long_mode:
        mov eax, 0x80000000
        cpuid
        cmp eax, CPUID_EXTENDED_FEATURES
        mov esi, no_long_mode
        jb tv_refuse
        mov eax, CPUID_EXTENDED_FEATURES
        cpuid
        bt edx, EDX_LONG_MODE
        jnc tv_refuse
        bt edx, EDX_NX
        mov esi, no_execute_disable
        jnc tv_refuse
        ret

; Switches paging and long mode on; returns in 32-bit compatibility mode.
enter_long_mode:
        mov eax, cr4
        or eax, CR4_PAE
        mov cr4, eax
        mov eax, PHYSICAL(tv_early_pml4)
        mov cr3, eax
        mov ecx, MSR_EFER
        rdmsr
        or eax, EFER_LME | EFER_NXE
        wrmsr
        mov eax, cr0
        or eax, CR0_PG | CR0_WP | CR0_PE
        mov cr0, eax
        lgdt [gdt_pointer]
        ret

bits 64
entry64:
        mov rax, tv_start64
        jmp rax

align 8
gdt:    dq 0
        dq 0x00AF9A000000FFFF           ; 64-bit code
gdt_pointer:
        dw $ - gdt - 1
        dd gdt

no_long_mode:
        db "typevisor: error: this processor has no 64-bit long mode. Typevisor needs a 64-bit x86 processor with VT-x "
        db "and EPT or AMD-V and nested paging; an emulated one must be configured as 64-bit.", 13, 10, 0
no_execute_disable:
        db "typevisor: error: this processor does not offer no-execute pages (NX, XD). Switch "
        db `"Execute Disable Bit" on in the firmware's set-up.`, 13, 10, 0
