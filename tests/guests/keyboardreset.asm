; A reset through the keyboard controller.
%include "guest.inc"

main:   mov al, 0xFE
        out 0x64, al
        cli
        hlt
        ret
