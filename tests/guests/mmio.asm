; Memory-mapped registers through the instruction emulator: the forms compilers emit, against the local APIC and I/O APIC.
%include "guest.inc"

APIC    equ 0xFEE00000
IOAPIC  equ 0xFEC00000

main:   mov eax, [APIC + 0x30]
        and eax, 0xFF
        cmp eax, 0x10
        check ae, "version of the local APIC"

        ; Task priority: MOV with immediate, register, through ModRM forms, and read back.
        mov dword [APIC + 0x80], 0x20
        check_equal [APIC + 0x80], 0x20, "MOV of an immediate, CMP from memory"
        mov ebx, APIC
        mov ecx, 0x30
        mov [ebx + 0x80], ecx
        mov edx, 8
        mov eax, [ebx + edx * 8 + 0x40]
        check_equal eax, 0x30, "base, index and scale"
        mov eax, 0x40
        mov [APIC + 0x80], eax
        xor eax, eax
        mov eax, [APIC + 0x80]
        check_equal eax, 0x40, "MOV of EAX with an absolute address"

        ; Read-modify-write.
        or dword [ebx + 0x80], 0x05
        check_equal [ebx + 0x80], 0x45, "OR"
        and dword [ebx + 0x80], 0xF0
        check_equal [ebx + 0x80], 0x40, "AND"
        add dword [ebx + 0x80], 0x10
        check_equal [ebx + 0x80], 0x50, "ADD"
        xor dword [ebx + 0x80], 0x60
        check_equal [ebx + 0x80], 0x30, "XOR"
        mov eax, 0x70
        xchg eax, [ebx + 0x80]
        check_equal eax, 0x30, "XCHG, old value"
        check_equal [ebx + 0x80], 0x70, "XCHG, new value"
        test dword [ebx + 0x80], 0x70
        check nz, "TEST"

        ; Flags of an ALU instruction on MMIO.
        sub dword [ebx + 0x80], 0x70
        check z, "SUB sets ZF"
        push dword [ebx + 0x30]
        pop eax
        cmp eax, [ebx + 0x30]
        check e, "PUSH from MMIO"
        movzx eax, byte [ebx + 0x30]
        cmp eax, 0x10
        check ae, "MOVZX"

        ; String instructions.
        mov esi, ebx
        add esi, 0x30
        mov edi, buffer
        movsd
        check_equal edi, buffer + 4, "MOVS from MMIO moved EDI"
        mov eax, [buffer]
        cmp eax, [ebx + 0x30]
        check e, "MOVS from MMIO"
        mov edi, APIC + 0x80
        mov eax, 0x60
        stosd
        check_equal [ebx + 0x80], 0x60, "STOS to MMIO"

        ; The I/O APIC: index and data.
        mov dword [IOAPIC], 1
        mov eax, [IOAPIC + 0x10]
        and eax, 0x00FF0000
        check_equal eax, 23 << 16, "24 pins"
        mov dword [IOAPIC], 0x10
        mov dword [IOAPIC + 0x10], 0x00010042
        check_equal [IOAPIC + 0x10], 0x00010042, "redirection entry"

        ; Nobody home.
        mov eax, [0xD0000000]
        check_equal eax, 0xFFFFFFFF, "an address that nobody claims"
        mov dword [0xD0000000], 0
        ret

section .bss
buffer: resd 4
