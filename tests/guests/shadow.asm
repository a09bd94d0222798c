; Where exactly an interrupt arrives: not while IF is clear, however long; not in the shadow of STI, also when the
; instruction there exits; at once behind POPF; and it wakes HLT, whether it comes before or after.
%include "guest.inc"

IF      equ 1 << 9

main:   mov dword [on_interrupt], end_pic
        mov al, 0xFE
        out 0x21, al
        call start_pit
        call wait_pending
        call wait_long
        check_equal [interrupts], 0, "an interrupt came with IF clear"
        sti
        nop
        nop
        cli
        check_equal [interrupts], 1, "the interrupt that waited"
        call wait_long
        sti
        nop
        nop
        cli
        check_equal [interrupts], 1, "a one-shot came twice"

        ; STI; CLI: the shadow of STI ends behind the next instruction, which masks again.
        call start_pit
        call wait_pending
        sti
        cli
        check_equal [interrupts], 1, "an interrupt in the shadow of STI"
        ; An instruction in the shadow that exits: the interrupt comes behind it.
        xor eax, eax
        sti
        cpuid
.behind_cpuid:
        nop
        cli
        check_equal [interrupts], 2, "behind STI; CPUID"
        check_equal [last_eip], .behind_cpuid, "behind STI; CPUID, elsewhere"
        ; POPF opens at once.
        call start_pit
        call wait_pending
        pushfd
        or dword [esp], IF
        popfd
.behind_popf:
        nop
        cli
        check_equal [interrupts], 3, "behind POPF"
        check_equal [last_eip], .behind_popf, "behind POPF, elsewhere"

        ; STI; HLT with the interrupt already there does not sleep.
        call start_pit
        call wait_pending
        sti
        hlt
.behind_hlt:
        cli
        check_equal [interrupts], 4, "STI; HLT with an interrupt waiting"
        check_equal [last_eip], .behind_hlt, "STI; HLT, elsewhere"
        ; And sleeps until it comes.
        call start_pit
        sti
        hlt
        cli
        check_equal [interrupts], 5, "HLT was not woken"
        ret

end_pic:
        mov al, 0x20
        out 0x20, al
        ret

; One shot in about a millisecond.
start_pit:
        mov al, 0x30
        out 0x43, al
        mov al, 0xA9
        out 0x40, al
        mov al, 0x04
        out 0x40, al
        ret

; Until the interrupt waits at the interrupt controller (OCW3: read the request register), however late the machine is.
wait_pending:
        mov al, 0x0A
        out 0x20, al
.again: in al, 0x20
        test al, 1
        jz .again
        ret

; Longer than one shot, by a bit of port B that follows the memory refresh every 15 us, so that it exits as well.
wait_long:
        pushad
        mov ecx, 400
.half:  in al, 0x61
        and al, 0x10
        cmp al, ah
        mov ah, al
        je .half
        loop .half
        popad
        ret
