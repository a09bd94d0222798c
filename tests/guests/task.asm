; Hardware task switches: by CALL and IRET, by JMP, through task gates with and without an error code, to a 16-bit task.
; AMD-V leaves them to the processor, VT-x to the hypervisor.
%include "guest.inc"

MAIN_TSS        equ 0x30
CALL_TSS        equ 0x38
JUMP_TSS        equ 0x40
GATE_TSS        equ 0x48
TSS16           equ 0x50

TSS_EIP         equ 32
TSS_EFLAGS      equ 36
TSS_EAX         equ 40
TSS_ESP         equ 56
TSS_ES          equ 72
TSS_CS          equ 76

NT              equ 0x4000
CR0_TS          equ 8

; describe selector, address, limit, type: a TSS descriptor in the new GDT.
%macro describe 4
        mov eax, %2
        mov word [new_gdt + %1], %3
        mov [new_gdt + %1 + 2], ax
        shr eax, 16
        mov [new_gdt + %1 + 4], al
        mov byte [new_gdt + %1 + 5], %4
        mov byte [new_gdt + %1 + 6], 0
        mov [new_gdt + %1 + 7], ah
%endmacro

; prepare TSS, entry, stack: a 32-bit task with flat segments.
%macro prepare 3
        mov dword [%1 + TSS_EIP], %2
        mov dword [%1 + TSS_EFLAGS], 2
        mov dword [%1 + TSS_ESP], %3
        mov dword [%1 + TSS_CS], CODE32
%assign offset TSS_ES
%rep 6
  %if offset != TSS_CS
        mov dword [%1 + offset], DATA32
  %endif
  %assign offset offset + 4
%endrep
%endmacro

; gate vector: a task gate to GATE_TSS.
%macro gate 1
        mov dword [idt + %1 * 8], GATE_TSS << 16
        mov dword [idt + %1 * 8 + 4], 0x8500
%endmacro

main:   mov esi, gdt
        mov edi, new_gdt
        mov ecx, 0x30
        rep movsb
        describe MAIN_TSS, main_tss, 103, 0x89
        describe CALL_TSS, call_tss, 103, 0x89
        describe JUMP_TSS, jump_tss, 103, 0x89
        describe GATE_TSS, gate_tss, 103, 0x89
        describe TSS16, tss16, 43, 0x81
        lgdt [new_gdt_pointer]
        mov ax, MAIN_TSS
        ltr ax

        ; CALL and IRET, twice: the task goes on where it was.
        prepare call_tss, called, call_stack_top
        mov dword [call_tss + TSS_EAX], 5
        mov ebx, 0x1234
        call CALL_TSS:0
        check_equal [seen_eax], 6, "the called task ran with its own registers"
        check_equal [seen_task], CALL_TSS, "TR names the called task"
        check_equal [seen_link], MAIN_TSS, "the called task links back"
        check_equal ebx, 0x1234, "registers survive CALL and IRET"
        test dword [seen_flags], NT
        check nz, "the called task is nested"
        mov eax, cr0
        test eax, CR0_TS
        check nz, "CR0.TS is set by the switch"
        clts
        str ax
        movzx eax, ax
        check_equal eax, MAIN_TSS, "TR names the main task again"
        mov al, [new_gdt + CALL_TSS + 5]
        and eax, 0xFF
        check_equal eax, 0x89, "the task that returned is not busy"
        mov al, [new_gdt + MAIN_TSS + 5]
        and eax, 0xFF
        check_equal eax, 0x8B, "the main task is busy"
        pushfd
        pop eax
        test eax, NT
        check z, "the main task is not nested"
        call CALL_TSS:0
        check_equal [seen_eax], 7, "the called task goes on"
        clts

        ; JMP there and back.
        prepare jump_tss, jumped, jump_stack_top
        jmp JUMP_TSS:0
        check_equal [seen_task], JUMP_TSS, "TR names the task that was jumped to"
        test dword [seen_flags], NT
        check z, "a task that was jumped to is not nested"
        clts

        ; A task gate for an interrupt: the saved EIP is behind INT.
        prepare gate_tss, interrupted, gate_stack_top
        gate 0x60
        int 0x60
after_int:
        check_equal [seen_eip], after_int, "INT through a task gate returns behind it"
        clts

        ; A task gate for an exception with an error code, which is on the task's stack.
        prepare gate_tss, faulted, gate_stack_top
        gate 13
        mov eax, 0xFFF8
faulting:
        mov fs, ax
resumed:
        check_equal [seen_error], 0xFFF8, "error code on the stack of the task"
        check_equal [seen_eip], faulting, "a fault saves the address of its instruction"
        clts

        ; A 16-bit task, with the registers' lower halves.
        mov word [tss16 + 14], small - trampoline + 0x7000
        mov word [tss16 + 16], 2
        mov word [tss16 + 18], 0xBEEF
        mov word [tss16 + 26], 0x6000
        mov word [tss16 + 34], DATA16
        mov word [tss16 + 36], CODE16
        mov word [tss16 + 38], DATA16
        mov word [tss16 + 40], DATA16
        mov esi, trampoline
        mov edi, 0x7000
        mov ecx, trampoline_end - trampoline
        rep movsb
        jmp TSS16:0
        movzx eax, word [0x6F00]
        check_equal eax, 0xBEEF, "AX of the 16-bit task"
        clts
        ret

; Records what a task sees of itself.
observe:
        mov [seen_eax], eax
        pushfd
        pop dword [seen_flags]
        str word [seen_task]
        ret

called: inc eax
        call observe
        movzx ecx, word [call_tss]
        mov [seen_link], ecx
        iretd
        jmp called

jumped: call observe
        jmp MAIN_TSS:0

interrupted:
        mov eax, [main_tss + TSS_EIP]
        mov [seen_eip], eax
        iretd

faulted:
        pop dword [seen_error]
        mov eax, [main_tss + TSS_EIP]
        mov [seen_eip], eax
        mov dword [main_tss + TSS_EIP], resumed
        iretd

; Copied to 0x7000, where 16-bit code reaches it.
trampoline:
bits 16
small:  mov [0x6F00], ax
        jmp MAIN_TSS:0
bits 32
trampoline_end:

section .data progbits alloc noexec write align=16
new_gdt_pointer:
        dw new_gdt_end - new_gdt - 1
        dd new_gdt

section .bss
alignb 16
new_gdt:        resb 0x58
new_gdt_end:
alignb 128
main_tss:       resb 128
call_tss:       resb 128
jump_tss:       resb 128
gate_tss:       resb 128
tss16:          resb 64
call_stack:     resb 512
call_stack_top:
jump_stack:     resb 512
jump_stack_top:
gate_stack:     resb 512
gate_stack_top:
seen_eax:       resd 1
seen_flags:     resd 1
seen_task:      resd 1
seen_link:      resd 1
seen_eip:       resd 1
seen_error:     resd 1
