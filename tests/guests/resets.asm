; Every way to a reset that a PC has beside its ports: INIT to the boot processor, a triple fault, a jump to the reset vector. The
; registers that no control structure holds are as after power-up each time. A counter in RAM tells how often it has started.
%include "guest.inc"

BOOTS   equ 0x00500000
LOW     equ 0x8000
APIC    equ 0xFEE00000
INIT    equ 0x00004500                  ; delivery mode INIT, asserted, to the APIC with ID 0

main:   call check_power_up
        call fill
        inc dword [BOOTS]
        cmp dword [BOOTS], 1
        je by_init
        cmp dword [BOOTS], 2
        je by_shutdown
        cmp dword [BOOTS], 5
        jb by_vector
        ret

by_init:
        mov dword [APIC + 0xF0], 0x1FF
        mov dword [APIC + 0x310], 0
        mov dword [APIC + 0x300], INIT
        jmp not_reset

by_shutdown:
        lidt [no_idt]
        ud2

; In real mode: 3 jumps to FFFF:0000, 4 to F000:FFF0.
by_vector:
        cmp dword [BOOTS], 3
        je .copy
        mov dword [real_target], 0xF000FFF0
.copy:  mov esi, real_start
        mov edi, LOW
        mov ecx, real_end - real_start
        rep movsb
        jmp CODE16:LOW + to_real - real_start

not_reset:
        mov esi, text_running
        jmp fail

; XMM0 and XMM7 are zero, the x87 control word and MXCSR are those of power-up, and so are the breakpoints.
check_power_up:
        mov eax, cr4
        or eax, 1 << 9
        mov cr4, eax
        movups [buffer], xmm0
        movups [buffer + 16], xmm7
        xor eax, eax
        mov ecx, 8
        mov edi, buffer
        repe scasd
        check e, "vector registers after a reset"
        fnstcw [buffer]
        check_equal word [buffer], 0x0040, "x87 control word after a reset"
        stmxcsr [buffer]
        check_equal [buffer], 0x1F80, "MXCSR after a reset"
        mov eax, dr0
        mov edx, dr3
        or eax, edx
        check z, "breakpoints after a reset"
        ret

fill:   mov eax, -1
        mov [buffer], eax
        mov [buffer + 4], eax
        mov [buffer + 8], eax
        mov [buffer + 12], eax
        movups xmm0, [buffer]
        movups xmm7, [buffer]
        fninit
        fldpi
        mov dr0, eax
        mov dr3, eax
        ret

real_start:
bits 16
to_real:
        mov ax, DATA16
        mov ds, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xFE
        mov cr0, eax
        jmp 0:LOW + .real - real_start
.real:  jmp far [cs:LOW + real_target - real_start]
real_target: dw 0x0000, 0xFFFF
bits 32
real_end:

section .rodata
no_idt: dw 0
        dd 0
text_running: db "INIT to the boot processor did not reset it", 0

section .bss
buffer: resd 8
