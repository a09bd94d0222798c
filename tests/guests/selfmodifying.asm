; Code that changes between exits: what is executed counts, not what was there the last time.
%include "guest.inc"

main:   mov ecx, 50
.next:  push ecx
        ; CPUID, plain and with a prefix, in the same place.
        mov dword [code], 0xC390A20F
        mov eax, 0
        call code
        cmp eax, 1
        check ae, "plain"
        mov dword [code], 0xC3A20F66
        mov eax, 0
        call code
        cmp eax, 1
        check ae, "with a prefix"
        ; RDMSR there.
        mov ecx, 0x1B
        mov dword [code], 0xC390320F
        call code
        and eax, 0xFFFFF000
        check_equal eax, 0xFEE00000, "RDMSR"
        ; MMIO there: A1 moffs32.
        mov byte [code], 0xA1
        mov dword [code + 1], 0xFEE00080
        mov byte [code + 5], 0xC3
        call code
        check_equal eax, 0, "MMIO"
        pop ecx
        dec ecx
        jnz .next
        ret

section .data progbits alloc exec write align=16
code:   times 16 nop
