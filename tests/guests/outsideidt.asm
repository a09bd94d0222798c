; An IDT where there is no RAM: ones are no gate, so that any exception ends in a triple fault.
%include "guest.inc"

main:   lidt [elsewhere]
        ud2
        ret

section .rodata
elsewhere:      dw 256 * 8 - 1
                dd 0xD0000000
