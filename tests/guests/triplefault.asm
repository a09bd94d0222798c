; No IDT and an exception: the processor shuts down.
%include "guest.inc"

main:   lidt [nothing]
        ud2

section .rodata
nothing:        dw 0
                dd 0
