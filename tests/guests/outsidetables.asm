; CR3 leads where there is no RAM, and paging goes on: neither the next instruction nor a handler can be reached.
%include "guest.inc"

main:   mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, 0xD0000000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ret
