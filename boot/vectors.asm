; Interrupts and exceptions of the host: one stub per vector, then the common paths into TypeScript.
; The kernel runs with interrupts off except where it waits for them, so an interrupt never nests.
%include "constants.inc"
%include "cpu.inc"
%include "frame.inc"

VECTOR_NMI                      equ 2
VECTOR_GENERAL_PROTECTION       equ 13
FIRST_INTERRUPT                 equ 32
VECTORS                         equ 256
STUB_BYTES                      equ 16

; Exceptions that push an error code (SDM and APM, "Error Code"): #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX.
%define HAS_ERROR(n) (n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21 || n == 29 || n == 30)

global tv_vector_stubs
extern tv_exception, tv_interrupt, tv_nested_fault
extern tv_fixups, tv_fixups_end

section .text progbits alloc exec nowrite align=16
bits 64
align 16
tv_vector_stubs:
%assign n 0
%rep VECTORS
        align STUB_BYTES
  %if n == VECTOR_NMI
        jmp take_nmi
  %else
    %if !HAS_ERROR(n)
        push 0
    %endif
        push n
    %if n < FIRST_INTERRUPT
        jmp take_exception
    %else
        jmp take_interrupt
    %endif
  %endif
  %assign n n + 1
%endrep
        align STUB_BYTES

; An NMI of the host only has to be taken: those meant for the guest arrive as VM exits.
take_nmi:
        inc qword [fs:CpuBlock.nmis]
        iretq

; The processor aligns the stack to 16 bytes before it pushes: 7 words so far and 9 here keep it aligned for the call.
take_interrupt:
        push rax
        push rcx
        push rdx
        push rsi
        push rdi
        push r8
        push r9
        push r10
        push r11
        cld
        mov edi, [rsp + 9 * 8]
        call tv_interrupt
        pop r11
        pop r10
        pop r9
        pop r8
        pop rdi
        pop rsi
        pop rdx
        pop rcx
        pop rax
        add rsp, 16
        iretq

take_exception:
        push rax
        push rcx
        push rdx
        push rbx
        push rbp
        push rsi
        push rdi
        push r8
        push r9
        push r10
        push r11
        push r12
        push r13
        push r14
        push r15
        cld
        cmp dword [rsp + Frame.vector], VECTOR_GENERAL_PROTECTION
        jne .report
        call find_fixup
        jz resume
.report:
        mov rsi, rsp
        and rsp, -16
        inc qword [fs:CpuBlock.faults]
        cmp qword [fs:CpuBlock.faults], 1
        jne tv_nested_fault
        mov edi, [rsi + Frame.vector]
        call tv_exception
.halt:  cli
        hlt
        jmp .halt

; Looks the faulting instruction up among those that are expected to fault (probe.asm). ZF set: found, and the frame's RIP
; now is where to go on.
find_fixup:
        mov rcx, [rsp + 8 + Frame.rip]
        mov rdx, tv_fixups
        mov rax, tv_fixups_end
.next:  cmp rdx, rax
        jae .none
        cmp [rdx], rcx
        je .found
        add rdx, 16
        jmp .next
.found: mov rcx, [rdx + 8]
        mov [rsp + 8 + Frame.rip], rcx
        cmp eax, eax
        ret
.none:  or al, 1
        ret

resume: pop r15
        pop r14
        pop r13
        pop r12
        pop r11
        pop r10
        pop r9
        pop r8
        pop rdi
        pop rsi
        pop rbp
        pop rbx
        pop rdx
        pop rcx
        pop rax
        add rsp, 16
        iretq
