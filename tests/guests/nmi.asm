; NMI: taken with interrupts off, blocked until IRET, a second one kept meanwhile.
%include "guest.inc"

APIC    equ 0xFEE00000
SEND    equ 0x00044400                  ; delivery mode NMI, to itself

main:   mov dword [APIC + 0xF0], 0x1FF
        mov eax, handler
        mov edi, idt + 2 * 8
        mov [edi], ax
        shr eax, 16
        mov [edi + 6], ax

        mov dword [APIC + 0x300], SEND
        nop
        nop
        check_equal [count], 1, "NMI with IF = 0"

        ; Two, the second from inside the handler: it must not nest, and must not be lost.
        mov dword [again], 1
        mov dword [APIC + 0x300], SEND
        nop
        nop
        nop
        nop
        check_equal [count], 3, "the second NMI"
        check_equal [deepest], 1, "NMIs nested"
        ret

handler:
        inc dword [depth]
        mov eax, [depth]
        cmp eax, [deepest]
        jbe .known
        mov [deepest], eax
.known: inc dword [count]
        cmp dword [again], 0
        je .done
        mov dword [again], 0
        mov dword [APIC + 0x300], SEND
        mov ecx, 100
        loop $
        xor eax, eax
        cpuid
.done:  dec dword [depth]
        iretd

section .bss
count:  resd 1
depth:  resd 1
deepest: resd 1
again:  resd 1
