; The last resort: an exception while an exception was being reported. A report that needs nothing but ports.
%include "constants.inc"
%include "frame.inc"

UART_LINE_STATUS        equ 5
LINE_STATUS_EMPTY       equ 0x20        ; transmitter holding register empty
LINE_STATUS_IDLE        equ 0x40        ; transmitter empty: the last bit has left
PATIENCE                equ 0x100000
; Bochs is switched off by a word.
BOCHS_EXIT_PORT         equ 0x8900

global tv_nested_fault, tv_report_ports

section .text progbits alloc exec nowrite align=16
bits 64
; RSI: the frame. Does not return.
tv_nested_fault:
        mov rbx, rsi
        mov rsi, text_nested
        call print
        mov rax, [rbx + Frame.vector]
        call print_hex
        mov rsi, text_rip
        call print
        mov rax, [rbx + Frame.rip]
        call print_hex
        mov rsi, text_rsp
        call print
        mov rax, [rbx + Frame.rsp]
        call print_hex
        mov rsi, text_error
        call print
        mov rax, [rbx + Frame.error]
        call print_hex
        mov rsi, text_cr2
        call print
        mov rax, cr2
        call print_hex
        mov rsi, text_halt
        call print
        mov al, LINE_STATUS_IDLE
        call wait_for
        mov rdx, tv_report_ports
        mov dx, [rdx + 2]
        test dx, dx
        jz .halt
        cmp dx, BOCHS_EXIT_PORT
        je .bochs
        mov eax, STATUS_HYPERVISOR_BUG
        out dx, eax
        jmp .halt
.bochs: mov rsi, text_bochs
        mov ecx, text_bochs_end - text_bochs
        rep outsb
.halt:  cli
        hlt
        jmp .halt

; Prints RAX as 16 hexadecimal digits. Preserves RBX.
print_hex:
        mov r8, rax
        mov r9d, 16
.digit: rol r8, 4
        mov eax, r8d
        and eax, 15
        add al, '0'
        cmp al, '9'
        jbe .ready
        add al, 'a' - '0' - 10
.ready: call put
        dec r9d
        jnz .digit
        ret

; Prints the zero-terminated text at RSI. Preserves RBX.
print:
.next:  lodsb
        test al, al
        jz .done
        call put
        jmp .next
.done:  ret

; Sends AL. Clobbers RAX, RCX, RDX, R10.
put:
        mov r10d, eax
        mov al, LINE_STATUS_EMPTY
        call wait_for
        sub edx, UART_LINE_STATUS
        mov eax, r10d
        out dx, al
        ret

; Waits, not for ever, until a bit of AL is set in the line status; leaves its port in EDX.
wait_for:
        mov ah, al
        mov ecx, PATIENCE
        mov rdx, tv_report_ports
        movzx edx, word [rdx]
        add edx, UART_LINE_STATUS
.poll:  in al, dx
        test al, ah
        loopz .poll
        ret

section .rodata progbits alloc noexec nowrite align=16
text_nested:    db 13, 10, "typevisor: a second fault while reporting the first: vector ", 0
text_rip:       db ", RIP ", 0
text_rsp:       db ", RSP ", 0
text_error:     db ", error code ", 0
text_cr2:       db ", CR2 ", 0
text_halt:      db 13, 10, "typevisor: halt (status 18)", 13, 10, 0
text_bochs:     db "Shutdown"
text_bochs_end:
%if STATUS_HYPERVISOR_BUG != 18
  %error "the status line above spells the status out"
%endif

section .data progbits alloc noexec write align=16
; Port of the log, and the port that switches the machine off (0: none); the kernel sets both.
tv_report_ports:
        dw 0x3F8, 0
