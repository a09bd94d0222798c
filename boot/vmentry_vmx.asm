; VM entry and exit on VT-x (SDM volume 3, "VM Entries", "VM Exits", "Host-State Area").
;
; The VMCS gives back RSP, RIP, CR0, CR3, CR4, segments and descriptor tables at an exit; the general registers are swapped
; here, and CR2, which no VMCS holds. While the guest runs, the host's stack ends with the vCPU's linear address.
%include "vcpu.inc"

; VMCS fields of the host that only assembly can know (encodings: kernel/vmx/fields.ts).
HOST_ES_SELECTOR        equ 0x0C00
HOST_CS_SELECTOR        equ 0x0C02
HOST_SS_SELECTOR        equ 0x0C04
HOST_DS_SELECTOR        equ 0x0C06
HOST_FS_SELECTOR        equ 0x0C08
HOST_GS_SELECTOR        equ 0x0C0A
HOST_TR_SELECTOR        equ 0x0C0C
HOST_TR_BASE            equ 0x6C0A
HOST_GDTR_BASE          equ 0x6C0C
HOST_IDTR_BASE          equ 0x6C0E
HOST_RSP                equ 0x6C14
HOST_RIP                equ 0x6C16

; What tv_asm_vmx_enter returns.
STATUS_EXIT             equ 0
STATUS_FAIL_INVALID     equ 1           ; VMfailInvalid: carry flag
STATUS_FAIL_VALID       equ 2           ; VMfailValid: zero flag

global tv_asm_vmx_enter

section .text progbits alloc exec nowrite align=16
bits 64
; EDI: linear address of the vCPU. ESI: 0 to VMLAUNCH, 1 to VMRESUME. Interrupts are off.
align 16
tv_asm_vmx_enter:
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov edi, edi
        push rdi
        test esi, esi
        jz .first
        cmp rsp, [rdi + Vcpu.hostStack]
        jne .stack
.ready: mov rax, [rdi + Vcpu.cr2]
        mov rdx, cr2
        cmp rax, rdx
        jne .cr2
.time:  rdtsc
        mov [rdi + Vcpu.tscEntry], eax
        mov [rdi + Vcpu.tscEntry + 4], edx
        test esi, esi
        mov rax, [rdi + Vcpu.rax]
        mov rcx, [rdi + Vcpu.rcx]
        mov rdx, [rdi + Vcpu.rdx]
        mov rbx, [rdi + Vcpu.rbx]
        mov rbp, [rdi + Vcpu.rbp]
        mov rsi, [rdi + Vcpu.rsi]
        mov r8,  [rdi + Vcpu.r8]
        mov r9,  [rdi + Vcpu.r9]
        mov r10, [rdi + Vcpu.r10]
        mov r11, [rdi + Vcpu.r11]
        mov r12, [rdi + Vcpu.r12]
        mov r13, [rdi + Vcpu.r13]
        mov r14, [rdi + Vcpu.r14]
        mov r15, [rdi + Vcpu.r15]
        mov rdi, [rdi + Vcpu.rdi]
        jz .launch
        vmresume
        jmp .failed
.launch:
        vmlaunch
.failed:
        ; Neither instruction came back as an exit: the flags say why, and no guest instruction ran.
        mov ecx, STATUS_FAIL_INVALID
        mov eax, STATUS_FAIL_VALID
        cmovc eax, ecx
        pop rdi
        jmp restore
.cr2:   mov cr2, rax
        jmp .time
.first: call write_host_fields
.stack: mov eax, HOST_RSP
        vmwrite rax, rsp
        jbe bad_host_field
        mov [rdi + Vcpu.hostStack], rsp
        jmp .ready

; Where a VM exit comes to. RSP points at the vCPU's address; all general registers are the guest's. Time first.
align 16
vmx_exit:
        push rdi
        mov rdi, [rsp + 8]
        mov [rdi + Vcpu.rax], rax
        mov [rdi + Vcpu.rdx], rdx
        rdtsc
        mov [rdi + Vcpu.tscExit], eax
        mov [rdi + Vcpu.tscExit + 4], edx
        pop rax
        mov [rdi + Vcpu.rdi], rax
        mov [rdi + Vcpu.rcx], rcx
        mov [rdi + Vcpu.rbx], rbx
        mov [rdi + Vcpu.rbp], rbp
        mov [rdi + Vcpu.rsi], rsi
        mov [rdi + Vcpu.r8],  r8
        mov [rdi + Vcpu.r9],  r9
        mov [rdi + Vcpu.r10], r10
        mov [rdi + Vcpu.r11], r11
        mov [rdi + Vcpu.r12], r12
        mov [rdi + Vcpu.r13], r13
        mov [rdi + Vcpu.r14], r14
        mov [rdi + Vcpu.r15], r15
        mov rax, cr2
        mov [rdi + Vcpu.cr2], rax
        pop rdi
        mov eax, STATUS_EXIT
restore:
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret

; Writes what this CPU restores at an exit, as it is now: selectors, descriptor tables, TSS, and where to go on. Before every
; VMLAUNCH, hence whenever the VMCS comes to another CPU. Preserves RDI and RSI.
write_host_fields:
%macro host_field 2
        mov edx, %1
        vmwrite rdx, %2
        jbe bad_host_field
%endmacro
%macro host_selector 2
        mov eax, %2
        host_field %1, rax
%endmacro
        host_selector HOST_ES_SELECTOR, es
        host_selector HOST_CS_SELECTOR, cs
        host_selector HOST_SS_SELECTOR, ss
        host_selector HOST_DS_SELECTOR, ds
        host_selector HOST_FS_SELECTOR, fs
        host_selector HOST_GS_SELECTOR, gs
        str eax
        host_field HOST_TR_SELECTOR, rax
        sub rsp, 16
        sidt [rsp + 6]
        host_field HOST_IDTR_BASE, qword [rsp + 8]
        sgdt [rsp + 6]
        host_field HOST_GDTR_BASE, qword [rsp + 8]
        ; The TSS's base lies in four pieces in its descriptor.
        add rax, [rsp + 8]
        add rsp, 16
        movzx ecx, byte [rax + 7]
        shl ecx, 8
        mov cl, [rax + 4]
        shl ecx, 16
        mov cx, [rax + 2]
        mov eax, [rax + 8]
        shl rax, 32
        or rax, rcx
        host_field HOST_TR_BASE, rax
        mov rax, vmx_exit
        host_field HOST_RIP, rax
        ret

; The current VMCS lacks a field that every VMCS has: a bug, reported like any other.
bad_host_field:
        ud2
