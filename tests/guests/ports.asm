; Ports: nobody home reads as ones at every width; a device's register keeps what was written; string and REP forms.
%include "guest.inc"

NOBODY  equ 0x1234

main:   mov edx, NOBODY
        xor eax, eax
        in al, dx
        check_equal eax, 0xFF, "IN AL of an empty port"
        xor eax, eax
        in ax, dx
        check_equal eax, 0xFFFF, "IN AX of an empty port"
        xor eax, eax
        in eax, dx
        check_equal eax, 0xFFFFFFFF, "IN EAX of an empty port"
        mov eax, 0x12345678
        out dx, al
        out dx, ax
        out dx, eax
        check_equal eax, 0x12345678, "OUT changed EAX"

        ; Partial register writes.
        mov eax, 0x11223344
        in al, dx
        check_equal eax, 0x112233FF, "IN AL changed more than AL"
        mov eax, 0x11223344
        in ax, dx
        check_equal eax, 0x1122FFFF, "IN AX changed more than AX"

        ; The 8259's mask register, with immediate and register ports, and with a prefix.
        mov al, 0x5A
        out 0x21, al
        xor eax, eax
        in al, 0x21
        check_equal eax, 0x5A, "8259 mask"
        mov edx, 0x21
        mov al, 0xA5
        out dx, al
        xor eax, eax
        db 0x67
        in al, dx
        check_equal eax, 0xA5, "8259 mask through DX"

        ; REP OUTSB: the text arrives whole, the registers end where they must.
        mov esi, text
        mov ecx, text.end - text
        mov edx, COM1
        rep outsb
        check_equal ecx, 0, "REP OUTSB left ECX"
        check_equal esi, text.end, "REP OUTSB left ESI"

        ; Backwards, one byte at a time.
        std
        mov esi, backwards.end - 1
        mov ecx, backwards.end - backwards
        rep outsb
        cld
        check_equal esi, backwards - 1, "REP OUTSB with DF"

        ; INS of every width, forwards.
        mov edi, buffer
        mov edx, NOBODY
        mov ecx, 3
        rep insb
        insw
        insd
        check_equal edi, buffer + 9, "INS left EDI"
        check_equal [buffer], 0xFFFFFFFF, "INSB and INSW stored"
        check_equal [buffer + 4], 0xFFFFFFFF, "INSD stored"
        check_equal [buffer + 9], 0, "INS stored too much"

        ; Nothing to do.
        xor ecx, ecx
        mov edi, buffer + 16
        rep insd
        check_equal edi, buffer + 16, "REP INSD of nothing moved EDI"
        check_equal [buffer + 16], 0, "REP INSD of nothing stored"

        ; More than one exit's worth.
        mov ecx, 10000
        mov edi, big
        rep insb
        check_equal ecx, 0, "a long REP INSB left ECX"
        check_equal edi, big + 10000, "a long REP INSB left EDI"
        check_equal [big + 9996], 0xFFFFFFFF, "a long REP INSB stopped early"
        check_equal [big + 10000], 0, "a long REP INSB went too far"
        ret

section .rodata
text:   db "string ports work", 13, 10
.end:
backwards:
        db 10, 13, "too sdrawkcab"
.end:

section .bss
buffer: resb 32
big:    resb 10016
