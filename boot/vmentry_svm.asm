; VM entry and exit on AMD-V (APM volume 2, "VMRUN Instruction", "#VMEXIT", "Global Interrupt Flag, STGI and CLGI").
;
; While the guest's registers are loaded, RSP points at the vCPU: it is the only register that VMRUN gives back. Nothing can
; use it as a stack meanwhile: GIF is 0, and the exceptions that ignore GIF have stacks of their own.
%include "vcpu.inc"

global tv_asm_svm_enter

VMCB_RAX        equ 0x5F8               ; kernel/svm/vmcb.ts

section .text progbits alloc exec nowrite align=16
bits 64
; EDI: linear address of the vCPU. RSI: physical address of the guest's VMCB; [Vcpu.hostVmcb] is that of the VMCB which
; holds the host's FS, GS, TR, LDTR and system-call MSRs. Interrupts are off here; physical interrupts exit, since VMRUN sees
; IF = 1. Returns EAX = EDI. Keeps no register but RSP: the code generator knows, and saves what its caller needs (intrinsic
; `keepsNothing`).
align 16
tv_asm_svm_enter:
        mov ebx, edi
        mov rcx, [rbx + Vcpu.rax]
        mov [gs:rsi + VMCB_RAX], rcx
        rdtsc
        mov [rbx + Vcpu.tscEntry], eax
        mov [rbx + Vcpu.tscEntry + 4], edx
        mov rax, rsi
        clgi
        ; Not right before VMRUN: QEMU would begin the guest in the shadow of this STI.
        sti
        mov [rbx + Vcpu.hostStack], rsp
        mov rsp, rbx
        mov rcx, [rsp + Vcpu.rcx]
        mov rdx, [rsp + Vcpu.rdx]
        mov rbx, [rsp + Vcpu.rbx]
        mov rbp, [rsp + Vcpu.rbp]
        mov rsi, [rsp + Vcpu.rsi]
        mov rdi, [rsp + Vcpu.rdi]
        mov r8,  [rsp + Vcpu.r8]
        mov r9,  [rsp + Vcpu.r9]
        mov r10, [rsp + Vcpu.r10]
        mov r11, [rsp + Vcpu.r11]
        mov r12, [rsp + Vcpu.r12]
        mov r13, [rsp + Vcpu.r13]
        mov r14, [rsp + Vcpu.r14]
        mov r15, [rsp + Vcpu.r15]
        vmload
        vmrun
        cli
        ; RAX is the VMCB again, RSP the vCPU; all else is the guest's. Time first.
        mov [rsp + Vcpu.rdx], rdx
        mov [rsp + Vcpu.rcx], rcx
        mov rcx, rax
        rdtsc
        mov [rsp + Vcpu.tscExit], eax
        mov [rsp + Vcpu.tscExit + 4], edx
        mov rax, rcx
        vmsave
        mov rax, [rsp + Vcpu.hostVmcb]
        vmload
        mov [rsp + Vcpu.rbx], rbx
        mov [rsp + Vcpu.rbp], rbp
        mov [rsp + Vcpu.rsi], rsi
        mov [rsp + Vcpu.rdi], rdi
        mov [rsp + Vcpu.r8],  r8
        mov [rsp + Vcpu.r9],  r9
        mov [rsp + Vcpu.r10], r10
        mov [rsp + Vcpu.r11], r11
        mov [rsp + Vcpu.r12], r12
        mov [rsp + Vcpu.r13], r13
        mov [rsp + Vcpu.r14], r14
        mov [rsp + Vcpu.r15], r15
        mov rdx, [gs:rcx + VMCB_RAX]
        mov [rsp + Vcpu.rax], rdx
        mov eax, esp
        mov rsp, [rsp + Vcpu.hostStack]
        stgi
        ret
