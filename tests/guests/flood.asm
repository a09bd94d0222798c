; More output than any buffer on the way holds, by polling, with interrupts off: all of it arrives.
%include "guest.inc"

LINES   equ 1000

main:   cli
        mov ecx, LINES
.next:  mov esi, line
        call print
        dec ecx
        jnz .next
        ret

section .rodata
line:   db "0123456789012345678901234567890123456", 13, 10, 0
