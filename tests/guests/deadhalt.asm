; HLT with interrupts off: nothing can wake it.
%include "guest.inc"

main:   cli
        hlt
        ret
