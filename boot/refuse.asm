; The end before the kernel runs: a message on COM1 from 32-bit code, then a halt.
%include "constants.inc"

COM1                    equ 0x3F8
UART_DATA               equ 0
UART_INTERRUPT_ENABLE   equ 1
UART_FIFO_CONTROL       equ 2
UART_LINE_CONTROL       equ 3
UART_LINE_STATUS        equ 5
LINE_CONTROL_DLAB_8N1   equ 0x83
LINE_CONTROL_8N1        equ 0x03
LINE_STATUS_EMPTY       equ 0x20        ; transmitter holding register empty
; Polls of the line status before a port counts as absent.
PATIENCE                equ 0x100000

global tv_refuse

section .boot32 progbits alloc exec nowrite align=16
bits 32
; Prints the zero-terminated text at ESI and the status line, and stops. Does not return.
tv_refuse:
        call set_up_port
        call print
        mov esi, status_line
        call print
.halt:  cli
        hlt
        jmp .halt

; COM1 to 115200 baud, 8N1.
set_up_port:
        mov dx, COM1 + UART_INTERRUPT_ENABLE
        xor eax, eax
        out dx, al
        mov dx, COM1 + UART_LINE_CONTROL
        mov al, LINE_CONTROL_DLAB_8N1
        out dx, al
        mov dx, COM1 + UART_DATA
        mov al, 1
        out dx, al
        inc dx
        dec al
        out dx, al
        mov dx, COM1 + UART_LINE_CONTROL
        mov al, LINE_CONTROL_8N1
        out dx, al
        ret

; Prints the zero-terminated text at ESI.
print:
        lodsb
        test al, al
        jz .done
        mov ah, al
        mov ecx, PATIENCE
        mov dx, COM1 + UART_LINE_STATUS
.wait:  in al, dx
        test al, LINE_STATUS_EMPTY
        loopz .wait
        mov al, ah
        mov dx, COM1 + UART_DATA
        out dx, al
        jmp print
.done:  ret

status_line:
        db "typevisor: halt (status 17)", 13, 10, 0
%if STATUS_UNSUPPORTED != 17
  %error "the status line above spells the status out"
%endif
