; The guest's FPU and SSE state lives through exits of every kind.
%include "guest.inc"

main:   mov eax, cr4
        or eax, 1 << 9
        mov cr4, eax
        fninit
        fldpi
        movups xmm0, [pattern]
        movups xmm7, [pattern + 16]
        mov ecx, 100
.again: push ecx
        xor eax, eax
        cpuid
        mov ecx, 0x1B
        rdmsr
        in al, 0x61
        mov eax, [0xFEE00020]
        pop ecx
        loop .again
        movups [result], xmm0
        movups [result + 16], xmm7
        mov esi, pattern
        mov edi, result
        mov ecx, 8
        repe cmpsd
        check e, "XMM registers"
        fldpi
        fcompp
        fnstsw ax
        test ah, 0x40
        check nz, "x87 stack"
        ret

section .rodata
pattern: dd 0x01234567, 0x89ABCDEF, 0xDEADBEEF, 0xCAFEBABE, 0x11223344, 0x55667788, 0x99AABBCC, 0xDDEEFF00
section .bss
result: resd 8
