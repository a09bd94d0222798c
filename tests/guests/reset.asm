; A reset through port 0xCF9; [boots] in RAM tells how often the guest has started.
%include "guest.inc"

BOOTS   equ 0x00500000

main:   inc dword [BOOTS]
        cmp dword [BOOTS], 3
        jae .enough
        mov al, 0x06
        mov edx, 0xCF9
        out dx, al
        hlt
.enough:
        ret
