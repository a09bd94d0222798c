; The guest's vector registers, which stay in the processor while the hypervisor runs: one moved at a time, for the emulator
; (System V AMD64).
global tv_asm_simd_read, tv_asm_simd_write

FSW_ES  equ 0x80                ; x87 status: an unmasked exception is pending

section .text progbits alloc exec nowrite align=16
bits 64
; EDI: register. ESI: linear address. EDX: 8 (MMX), 16 (XMM), 32 (YMM). Returns EAX = 1, or 0: #MF is pending.
%macro move 1
        mov esi, esi
        cmp edx, 8
        jne %%go
        fnstsw ax
        test al, FSW_ES
        jnz %%pending
%%go:   and edx, 0x30
        lea edx, [rdx + rdi]    ; sixteen places for each kind
        lea rax, [rel %1]
        lea rdx, [rax + rdx * 8]
        mov eax, 1
        jmp rdx
%%pending:
        xor eax, eax
        ret
%endmacro

tv_asm_simd_read:
        move stores
tv_asm_simd_write:
        move loads

; One instruction and RET in every eight bytes.
align 16
stores:
%assign n 0
%rep 8
        align 8
        movq [rsi], mm%[n]
        ret
  %assign n n + 1
%endrep
        times 16 * 8 - ($ - stores) int3
%assign n 0
%rep 16
        align 8
        movups [rsi], xmm%[n]
        ret
  %assign n n + 1
%endrep
%assign n 0
%rep 16
        align 8
        vmovups [rsi], ymm%[n]
        ret
  %assign n n + 1
%endrep

align 16
loads:
%assign n 0
%rep 8
        align 8
        movq mm%[n], [rsi]
        ret
  %assign n n + 1
%endrep
        times 16 * 8 - ($ - loads) int3
%assign n 0
%rep 16
        align 8
        movups xmm%[n], [rsi]
        ret
  %assign n n + 1
%endrep
%assign n 0
%rep 16
        align 8
        vmovups ymm%[n], [rsi]
        ret
  %assign n n + 1
%endrep
