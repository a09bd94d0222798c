; Exits under each paging mode: 32-bit with 4 KiB and 4 MiB pages, PAE, and 4-level in 64-bit mode. Each reaches a device
; through an address that is not its own, so the emulator must walk the tables.
%include "guest.inc"

TABLES          equ 0x400000
WINDOW          equ 0x40000000          ; where the local APIC is mapped
APIC            equ 0xFEE00000

main:   call clear
        ; 32-bit paging: 4 MiB pages for RAM, a 4 KiB page for the window.
        mov dword [TABLES], 0x00000083
        mov dword [TABLES + 4], 0x00400083
        mov dword [TABLES + (WINDOW >> 22) * 4], TABLES + 0x1003
        mov dword [TABLES + 0x1000], APIC | 0x13
        mov eax, cr4
        or eax, 1 << 4
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        call paging_on
        call probe
        mov eax, [TABLES + 0x1000]
        and eax, 0x60
        check_equal eax, 0x60, "accessed and dirty bits"
        call paging_off

        ; PAE: four page-directory pointers.
        call clear
        mov dword [TABLES], TABLES + 0x1001
        mov dword [TABLES + 8], TABLES + 0x2001
        mov dword [TABLES + 0x1000], 0x00000083
        mov dword [TABLES + 0x1008], 0x00200083
        mov dword [TABLES + 0x1010], 0x00400083
        mov dword [TABLES + 0x2000], TABLES + 0x3003
        mov dword [TABLES + 0x3000], APIC | 0x13
        mov eax, cr4
        or eax, 1 << 5
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        call paging_on
        call probe
        call paging_off

        ; 4-level paging and 64-bit code.
        call clear
        mov dword [TABLES], TABLES + 0x1003
        mov dword [TABLES + 0x1000], TABLES + 0x2003
        mov dword [TABLES + 0x1008], TABLES + 0x3003
        mov dword [TABLES + 0x2000], 0x00000083
        mov dword [TABLES + 0x2008], 0x00200083
        mov dword [TABLES + 0x2010], 0x00400083
        mov dword [TABLES + 0x3000], TABLES + 0x4003
        mov dword [TABLES + 0x4000], APIC | 0x13
        mov ecx, 0xC0000080
        rdmsr
        or eax, 1 << 8
        wrmsr
        mov eax, TABLES
        mov cr3, eax
        call paging_on
        mov ecx, 0xC0000080
        rdmsr
        test eax, 1 << 10
        check nz, "EFER.LMA"
        call probe
        jmp CODE64:long_mode

back:   mov ecx, DATA32
        mov ds, ecx
        mov ss, ecx
        push eax
        call paging_off
        mov ecx, 0xC0000080
        rdmsr
        and eax, ~(1 << 8)
        wrmsr
        pop eax
        check_equal eax, 0x600D, "64-bit code"
        ret

bits 64
long_mode:
        xor ebx, ebx
        mov rbp, 0x1122334455667788
        xor eax, eax
        cpuid
        cmp eax, 1
        jb .bad
        ; The window, with REX registers and a 64-bit address; task priority through MMIO and CR8.
        mov r9, WINDOW
        mov r10d, 0x50
        mov [r9 + 0x80], r10d
        mov rax, cr8
        cmp eax, 5
        jne .bad
        mov ecx, 3
        mov cr8, rcx
        mov r11d, [r9 + 0x80]
        cmp r11d, 0x30
        jne .bad
        xor ecx, ecx
        mov cr8, rcx
        ; Upper halves: a 32-bit result clears them, everything else stays.
        mov rax, -1
        mov eax, [r9 + 0x20]
        shr rax, 32
        jnz .bad
        mov rdx, 0x1122334455667788
        cmp rbp, rdx
        jne .bad
        mov rax, -1
        mov edx, 0x1234
        in eax, dx
        shr rax, 32
        jnz .bad
        mov eax, 0x600D
        jmp .end
.bad:   mov eax, 0xBAD
.end:   jmp far dword [rel far_back]
bits 32

; Reads and writes through the window, and a few other exits.
probe:  xor eax, eax
        cpuid
        cmp eax, 1
        check ae, "CPUID under paging"
        mov dword [WINDOW + 0x80], 0x70
        check_equal [WINDOW + 0x80], 0x70, "MMIO under paging"
        mov dword [WINDOW + 0x80], 0
        mov edi, TABLES + 0x8000
        mov edx, 0x1234
        mov ecx, 3
        mov dword [edi], 0
        rep insb
        check_equal [TABLES + 0x8000], 0x00FFFFFF, "INSB under paging"
        ret

clear:  mov edi, TABLES
        mov ecx, 0x8000 / 4
        xor eax, eax
        rep stosd
        ret
paging_on:
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        ret
paging_off:
        mov eax, cr0
        and eax, 0x7FFFFFFF
        mov cr0, eax
        ret

section .rodata
far_back:       dd back
                dw CODE32
