; External interrupts: the local APIC's timer and IPIs, the 8259, shadows and windows, HLT.
%include "guest.inc"

APIC            equ 0xFEE00000
VECTOR          equ 0x50
SELF            equ 0x00044000

main:   mov dword [on_interrupt], end_of_interrupt
        mov dword [APIC + 0xF0], 0x1FF
        mov dword [APIC + 0x80], 0

        ; Pending while interrupts are off; taken one instruction after STI.
        mov dword [APIC + 0x300], SELF | VECTOR
        mov eax, [APIC + 0x220]
        test eax, 1 << (VECTOR & 31)
        check nz, "IRR of the pending IPI"
        check_equal [interrupts], 0, "an interrupt came with IF = 0"
        sti
        mov ebx, [interrupts]
        nop
        cli
        check_equal ebx, 0, "an interrupt came in the shadow of STI"
        check_equal [interrupts], 1, "no interrupt after STI"
        check_equal [last_vector], VECTOR, "vector"

        ; STI; HLT with the interrupt pending must wake.
        mov dword [APIC + 0x300], SELF | VECTOR
        sti
        hlt
        cli
        check_equal [interrupts], 2, "HLT with a pending interrupt"

        ; MOV SS shadows one instruction more.
        mov eax, ss
        mov dword [APIC + 0x300], SELF | VECTOR
        sti
        mov ss, ax
        nop
        nop
        cli
        check_equal [interrupts], 3, "MOV SS after STI"

        ; Priorities: the task priority holds an interrupt back until it is lowered.
        mov dword [APIC + 0x80], 0x60
        mov dword [APIC + 0x300], SELF | VECTOR
        sti
        nop
        nop
        check_equal [interrupts], 3, "task priority did not hold the interrupt back"
        mov dword [APIC + 0x80], 0
        nop
        cli
        check_equal [interrupts], 4, "lowering the task priority"

        ; Two pending: the higher vector first.
        mov dword [APIC + 0x300], SELF | 0x41
        mov dword [APIC + 0x300], SELF | 0x91
        sti
        nop
        nop
        nop
        cli
        check_equal [interrupts], 6, "two pending interrupts"
        check_equal [last_vector], 0x41, "the lower vector comes last"

        ; One-shot timer and HLT.
        mov dword [APIC + 0x3E0], 0x0B
        mov dword [APIC + 0x320], VECTOR
        mov dword [APIC + 0x380], 100000
        sti
        hlt
        cli
        check_equal [interrupts], 7, "timer"
        check_equal [APIC + 0x390], 0, "the one-shot timer is over"

        ; Periodic timer: 20 ms, within which a machine that is emulated twice over gets through the handler and on.
        mov dword [APIC + 0x320], 0x20000 | VECTOR
        mov dword [APIC + 0x380], 20000000
        mov ebx, [interrupts]
        add ebx, 5
.tick:  sti
        hlt
        cli
        cmp [interrupts], ebx
        jb .tick
        mov dword [APIC + 0x320], 0x10000
        mov dword [APIC + 0x380], 0

        ; The 8254 through the 8259, LINT0 as ExtINT.
        mov dword [on_interrupt], end_of_pic_interrupt
        mov dword [APIC + 0x350], 0x700
        mov al, 0xFE
        out 0x21, al
        mov ebx, [interrupts]
        mov al, 0x34
        out 0x43, al
        mov al, 0
        out 0x40, al
        mov al, 4
        out 0x40, al
        sti
        hlt
        cli
        cmp [interrupts], ebx
        check a, "8254 through the 8259"
        check_equal [last_vector], 0x20, "vector of the 8254"
        mov al, 0xFF
        out 0x21, al
        ret

end_of_interrupt:
        mov dword [APIC + 0xB0], 0
        ret
end_of_pic_interrupt:
        mov al, 0x20
        out 0x20, al
        ret
