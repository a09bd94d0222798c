; Long mode: into 64-bit code and back out to 32-bit protected mode, EFER.LMA as the processor keeps it, 64-bit registers and
; addresses across exits, SYSCALL's MSRs, FS and GS bases, CR8.
%include "guest.inc"

P       equ 1
RW      equ 2
LARGE   equ 0x80
MSR_EFER        equ 0xC0000080
MSR_LSTAR       equ 0xC0000082
MSR_FS_BASE     equ 0xC0000100
MSR_GS_BASE     equ 0xC0000101
MSR_KERNEL_GS   equ 0xC0000102
EFER_LME        equ 8
EFER_LMA        equ 10

; The last four bytes of 64-bit code's checks: EAX = step, back in 32 bits.
%macro step64 2
        mov eax, %1
        j%2 %%good
        jmp leave64
%%good:
%endmacro

main:   mov eax, pdpt
        or eax, P | RW
        mov [pml4], eax
        mov [pml4 + 511 * 8], eax       ; the same memory at the top of the address space
        mov eax, directory
        or eax, P | RW
        mov [pdpt], eax
        mov dword [directory], P | RW | LARGE
        mov dword [directory + 8], 0x200000 | P | RW | LARGE
        mov eax, cr4
        or eax, 1 << 5
        mov cr4, eax
        mov eax, pml4
        mov cr3, eax
        mov ecx, MSR_EFER
        rdmsr
        bts eax, EFER_LME
        wrmsr
        rdmsr
        bt eax, EFER_LMA
        check nc, "LMA before paging"
        mov [saved_esp], esp
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        jmp CODE64:code64

back:   mov eax, cr0
        and eax, ~(1 << 31)
        mov cr0, eax
        mov ecx, MSR_EFER
        rdmsr
        bt eax, EFER_LMA
        check nc, "LMA without paging"
        btr eax, EFER_LME
        wrmsr
        mov eax, cr4
        and eax, ~(1 << 5)
        mov cr4, eax
        mov esp, [saved_esp]
        mov eax, [result]
        test eax, eax
        jz .good
        call print_hex
        mov esi, text_failed
        jmp fail
.good:  ret

bits 64
code64: mov ecx, MSR_EFER
        rdmsr
        bt eax, EFER_LMA
        step64 1, c

        ; All 64 bits of every register survive an exit; CPUID clears upper halves.
        mov r8, 0x8888888888888888
        mov r15, 0xFFFFFFFF12345678
        mov rsi, 0x1122334455667788
        mov rax, -1
        mov rax, 0xFFFFFFFF00000000
        cpuid
        mov r9, rax
        shr r9, 32
        step64 2, z
        mov r9, 0x8888888888888888
        cmp r8, r9
        step64 3, e
        mov r9, 0xFFFFFFFF12345678
        cmp r15, r9
        step64 4, e

        ; Code and data at the top of the address space.
        mov rbx, 0xFFFFFF8000000000
        lea rcx, [rbx + high_code]
        jmp rcx
high_code:
        xor eax, eax
        cpuid
        lea r9, [rel high_code]
        shr r9, 39
        cmp r9d, 0x1FFFFFF
        step64 5, e
        mov eax, low_code
        jmp rax
low_code:
        ; MSRs with 64-bit values.
        mov ecx, MSR_LSTAR
        mov eax, 0x89ABCDEF
        mov edx, 0xFFFFFFFF
        wrmsr
        xor eax, eax
        xor edx, edx
        rdmsr
        cmp eax, 0x89ABCDEF
        step64 6, e
        cmp edx, 0xFFFFFFFF
        step64 7, e

        ; FS, GS, SWAPGS.
        mov ecx, MSR_FS_BASE
        mov eax, probe
        xor edx, edx
        wrmsr
        mov r9, 0x0123456789ABCDEF
        cmp [fs:0], r9
        step64 8, e
        mov ecx, MSR_GS_BASE
        mov eax, probe - 8
        wrmsr
        mov ecx, MSR_KERNEL_GS
        mov eax, probe - 16
        wrmsr
        cmp [gs:8], r9
        step64 9, e
        swapgs
        cmp [gs:16], r9
        step64 10, e

        ; CR8 is the task priority of the local APIC.
        mov eax, 5
        mov cr8, rax
        mov rbx, cr8
        cmp rbx, 5
        step64 11, e
        xor eax, eax
        mov cr8, rax

        ; CR3 with all 64 bits.
        mov rax, cr3
        mov cr3, rax
        mov rbx, cr3
        cmp rax, rbx
        step64 12, e
        xor eax, eax

leave64:
        mov [result], eax
        mov eax, saved_far
        jmp far dword [rax]
bits 32

section .rodata
text_failed:    db " is the step that failed in long mode", 0
align 8
probe:          dq 0x0123456789ABCDEF
saved_far:      dd compatibility
                dw CODE32

section .text
; 32-bit code in compatibility mode: paging can be switched off from here.
compatibility:
        mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        jmp back

section .bss
alignb 4096
pml4:           resb 4096
pdpt:           resb 4096
directory:      resb 4096
saved_esp:      resd 1
result:         resd 1
