; Says so, then spins with interrupts off: nothing of its own makes it exit.
%include "guest.inc"

main:   mov esi, text
        call print
        cli
.spin:  jmp .spin

text:   db "spinning", 13, 10, 0
