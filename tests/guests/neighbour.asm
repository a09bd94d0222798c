; One of several VMs: what it finds in the processor is as after power-up, whatever ran before; it then leaves all registers full,
; and says more than its serial port's buffer holds.
%include "guest.inc"

LINES   equ 200
DEBUGCTL equ 0x1D9

main:   mov eax, cr4
        or eax, 1 << 9
        mov cr4, eax
        movups [buffer], xmm0
        movups [buffer + 16], xmm7
        xor eax, eax
        mov ecx, 8
        mov edi, buffer
        repe scasd
        check e, "vector registers of another VM"
        fnstcw [buffer]
        check_equal word [buffer], 0x0040, "x87 control word of another VM"
        mov eax, dr1
        mov edx, dr2
        or eax, edx
        check z, "breakpoints of another VM"
        mov ecx, DEBUGCTL
        rdmsr
        or eax, edx
        check z, "DEBUGCTL of another VM"

        mov eax, -1
        mov edi, buffer
        mov ecx, 8
        rep stosd
        movups xmm0, [buffer]
        movups xmm7, [buffer + 16]
        fninit
        fldpi
        mov dr1, eax
        mov dr2, eax
        mov ecx, DEBUGCTL
        mov eax, 2
        xor edx, edx
        wrmsr
        mov ecx, LINES
.next:  mov esi, line
        call print
        dec ecx
        jnz .next
        ret

section .rodata
line:   db "a VM after another, each with the console", 13, 10, 0
section .bss
buffer: resd 8
