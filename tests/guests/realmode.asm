; Real mode: 16-bit code, its interrupt table, I/O, exits with segments that have a base, and back.
%include "guest.inc"

LOW     equ 0x8000

main:   mov esi, real_start
        mov edi, LOW
        mov ecx, real_end - real_start
        rep movsb
        mov [saved_esp], esp
        ; Interrupt 0x60 of the real-mode table.
        mov word [0x60 * 4], LOW + real_interrupt - real_start
        mov word [0x60 * 4 + 2], 0
        lidt [real_idt]
        jmp CODE16:LOW + to_real - real_start

back:   mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, [saved_esp]
        lidt [idt_pointer]
        cmp word [LOW + real_results - real_start], 0x600D
        check e, "INT in real mode"
        cmp word [LOW + real_results - real_start + 2], 1
        check ae, "CPUID in real mode"
        cmp word [LOW + real_results - real_start + 4], 0x00FF
        check e, "IN in real mode"
        cmp word [LOW + real_results - real_start + 6], 0x1234
        check e, "code in a segment with a base"
        cmp word [LOW + real_results - real_start + 8], 0xFFFF
        check e, "INSW in real mode"
        ret

real_start:
bits 16
to_real:
        mov ax, DATA16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xFE
        mov cr0, eax
        jmp 0:LOW + .real - real_start
.real:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7000
        int 0x60
        xor eax, eax
        cpuid
        mov [LOW + real_results - real_start + 2], ax
        xor ax, ax
        mov dx, 0x1234
        in al, dx
        mov [LOW + real_results - real_start + 4], ax
        call (LOW >> 4):based - real_start
        mov di, LOW + real_results - real_start + 8
        mov dx, 0x1234
        insw
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE32:back

; Runs with CS = LOW / 16, so that its linear address is not its offset.
based:  xor eax, eax
        cpuid
        db 0x66
        cpuid
        mov word [LOW + real_results - real_start + 6], 0x1234
        retf

real_interrupt:
        mov word [LOW + real_results - real_start], 0x600D
        iret

real_results:
        times 8 dw 0
bits 32
real_end:

section .rodata
real_idt:       dw 0x3FF
                dd 0
section .bss
saved_esp:      resd 1
