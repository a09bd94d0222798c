; Functions called from TypeScript (System V AMD64) whose instructions may fault or need assembly of their own.
%include "fixup.inc"

global tv_asm_rdmsr_safe, tv_asm_wrmsr_safe, tv_asm_run_nmi_handler


section .text progbits alloc exec nowrite align=16
bits 64
; EDI: MSR. ESI: linear address of the result. Returns EAX = 1, or 0 when RDMSR raised #GP.
tv_asm_rdmsr_safe:
        mov ecx, edi
        mov esi, esi
        fault_to .fault
        rdmsr
        mov [rsi], eax
        mov [rsi + 4], edx
        mov eax, 1
        ret
.fault: xor eax, eax
        ret

; EDI: MSR. RSI: value. Returns EAX = 1, or 0 when WRMSR raised #GP.
tv_asm_wrmsr_safe:
        mov ecx, edi
        mov eax, esi
        mov rdx, rsi
        shr rdx, 32
        fault_to .fault
        wrmsr
        mov eax, 1
        ret
.fault: xor eax, eax
        ret

; Runs the host's NMI handler for an NMI that arrived as a VM exit. Its IRET also ends the blocking of further NMIs.
tv_asm_run_nmi_handler:
        int 2
        ret
