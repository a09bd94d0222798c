; HLT with interrupts off is not the end while an NMI can come: the timer's, by the I/O APIC, wakes it.
%include "guest.inc"

IOAPIC  equ 0xFEC00000
PIN     equ 2                           ; the 8254
AS_NMI  equ 4 << 8

main:   mov eax, handler
        mov edi, idt + 2 * 8
        mov [edi], ax
        shr eax, 16
        mov [edi + 6], ax
        mov dword [IOAPIC], 0x11 + 2 * PIN
        mov dword [IOAPIC + 0x10], 0
        mov dword [IOAPIC], 0x10 + 2 * PIN
        mov dword [IOAPIC + 0x10], AS_NMI

        ; Mode 0: OUT rises when the count has run down, and stays.
        mov al, 0x30
        out 0x43, al
        mov al, 0xFF
        out 0x40, al
        mov al, 0x20
        out 0x40, al
        cli
        hlt
        check_equal [count], 1, "the NMI that woke it"

        ; Masked again, nothing can wake it any more: that is the end.
        mov dword [IOAPIC + 0x10], 1 << 16
        mov esi, text_alone
        call print
        cli
        hlt
        ret

handler:
        inc dword [count]
        iretd

section .rodata
text_alone: db "woken once", 13, 10, 0
section .bss
count:  resd 1
