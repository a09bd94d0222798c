; VM entry and exit on AMD-V (APM volume 2, "VMRUN Instruction", "#VMEXIT", "Global Interrupt Flag, STGI and CLGI").
;
; While the guest's registers are loaded, RSP points at the vCPU: it is the only register that VMRUN gives back. Nothing can
; use it as a stack meanwhile: GIF is 0, and the exceptions that ignore GIF have stacks of their own.
%include "vcpu.inc"

global tv_asm_svm_enter

VMCB_RIP        equ 0x578               ; kernel/svm/vmcb.ts
VMCB_RAX        equ 0x5F8

section .text progbits alloc exec nowrite align=16
bits 64
; EDI: linear address of the vCPU. [Vcpu.vmcb] is the physical address of the guest's VMCB, [Vcpu.hostVmcb] that of the VMCB
; which holds the host's FS, GS, TR, LDTR and system-call MSRs. GIF is 0 here and again after the exit; physical interrupts
; exit, since VMRUN sees IF = 1. RIP and RAX, which VMRUN loads, go to the VMCB here, whose address is at hand. Returns EAX = EDI.
; Keeps no register but RSP: the code generator knows, and saves what its caller needs (intrinsic `keepsNothing`).
align 16
tv_asm_svm_enter:
        mov [rdi + Vcpu.hostStack], rsp
        mov esp, edi
        rdtsc
        mov [rsp + Vcpu.tscEntry], eax
        mov [rsp + Vcpu.tscEntry + 4], edx
        mov rax, [rsp + Vcpu.vmcb]
        mov rcx, [rsp + Vcpu.rip]
        mov [gs:rax + VMCB_RIP], rcx
        mov rcx, [rsp + Vcpu.rax]
        mov [gs:rax + VMCB_RAX], rcx
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
        ; RAX is the VMCB again, RSP the vCPU; all else is the guest's. Time first.
        mov [rsp + Vcpu.rdx], rdx
        rdtsc
        mov [rsp + Vcpu.tscExit], eax
        mov [rsp + Vcpu.tscExit + 4], edx
        mov rax, [rsp + Vcpu.vmcb]
        vmsave
        mov [rsp + Vcpu.rcx], rcx
        mov rcx, rax
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
        ret
