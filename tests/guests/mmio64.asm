; 64-bit code on memory where nothing is: the registers that 32-bit code has not, operands of 16 bytes, the stack. And protection
; keys, which INS, OUTS and MOVS obey like any access, where the processor has them.
%include "guest.inc"

P       equ 1
RW      equ 2
US      equ 4
LARGE   equ 0x80
MSR_EFER        equ 0xC0000080
EFER_LME        equ 8
HOLE    equ 0xD0000000
KEYED   equ 0x100000000         ; a page of RAM with key 5, at 4 GiB
RAM     equ 0x00600000
KEY5    equ 5 << 27             ; in the upper half of an entry
NO_ACCESS       equ 1 << 10     ; of key 5, in PKRU
NO_WRITE        equ 2 << 10

; EAX = step, back in 32 bits.
%macro step64 2
        mov eax, %1
        j%2 %%good
        jmp leave64
%%good:
%endmacro

; fault64 step, vector, error code, instruction …
%macro fault64 4+
        mov dword [vector], -1
        lea r12, [rel %%after]
        %4
%%after:
        cmp dword [vector], %2
        step64 %1, e
        cmp dword [error], %3
        step64 %1, e
%endmacro

%macro gate64 2                 ; vector, handler
        mov edi, idt64 + %1 * 16
        mov eax, %2
        mov [edi], ax
        mov word [edi + 2], CODE64
        mov word [edi + 4], 0x8E00
        shr eax, 16
        mov [edi + 6], ax
%endmacro

main:   gate64 6, on_6
        gate64 13, on_13
        gate64 14, on_14
        mov dword [pml4], pdpt + (P | RW | US)
        ; 4 GiB one to one.
        mov edi, pdpt
        mov eax, P | RW | LARGE
        mov ecx, 4
.map:   mov [edi], eax
        add eax, 1 << 30
        add edi, 8
        loop .map
        mov dword [edi], directory + (P | RW | US)
        mov dword [directory], table + (P | RW | US)
        mov dword [table], RAM | P | RW | US
        mov dword [table + 4], KEY5
        mov eax, 7
        xor ecx, ecx
        cpuid
        shr ecx, 3
        and ecx, 1
        mov [has_keys], ecx
        shl ecx, 22
        mov eax, cr4
        or eax, ecx
        or eax, 0x620           ; PAE, OSFXSR, OSXMMEXCPT
        mov cr4, eax
        mov eax, pml4
        mov cr3, eax
        mov ecx, MSR_EFER
        rdmsr
        bts eax, EFER_LME
        wrmsr
        mov [saved_esp], esp
        mov eax, cr0
        or eax, (1 << 31) | (1 << 16)
        mov cr0, eax
        jmp CODE64:code64

back:   mov eax, cr0
        and eax, ~((1 << 31) | (1 << 16))
        mov cr0, eax
        mov ecx, MSR_EFER
        rdmsr
        btr eax, EFER_LME
        wrmsr
        mov eax, cr4
        and eax, ~((1 << 5) | (1 << 22))
        mov cr4, eax
        lidt [idt_pointer]
        mov esp, [saved_esp]
        mov eax, [result]
        test eax, eax
        jz .good
        call print_hex
        mov esi, text_failed
        jmp fail
.good:  cmp dword [has_keys], 0
        je .end
        mov esi, text_keys
        call print
.end:   ret

bits 64
on_6:   push qword 0
        push qword 6
        jmp on_any
on_13:  push qword 13
        jmp on_any
on_14:  push qword 14
on_any: pop qword [vector]
        pop qword [error]
        mov rax, cr2
        mov [address], rax
        mov [rsp], r12
        iretq

code64: lidt [idt64_pointer]
        mov esp, esp
        mov r15d, HOLE

        ; Registers 8 to 15, by all kinds of addresses.
        mov r9d, 2
        xor r8d, r8d
        mov r8, [r15 + r9 * 8 + 0x10]
        cmp r8, -1
        step64 1, e
        xorps xmm12, xmm12
        movups xmm12, [r15 + 0x20]
        movq rax, xmm12
        cmp rax, -1
        step64 2, e
        movaps [r15], xmm12
        movq xmm13, [r15]
        pextrd ecx, xmm13, 2
        cmp ecx, 0
        step64 3, e
        mov rax, -1
        mov rdx, -1
        lock cmpxchg16b [r15 + 0x10]
        step64 4, z
        xor eax, eax
        xor edx, edx
        cmpxchg16b [r15 + 0x10]
        mov r11, rax
        step64 5, nz
        cmp r11, -1
        step64 6, e
        fault64 7, 13, 0, cmpxchg16b [r15 + 8]
        xor r10d, r10d
        crc32 r10, qword [r15]
        mov r11d, 0xC44FF94D
        cmp r10, r11
        step64 8, e
        movbe r10, [r15]
        cmp r10, -1
        step64 9, e

        ; The stack, with and without the prefixes of other sizes.
        mov r14, rsp
        lea rsp, [r15 + 0x200]
        push fs
        push word 5
        pushfq
        call .called
.called:
        lea rbp, [r15 + 0x400]
        enter 32, 2
        mov rbx, rsp
        mov rcx, rbp
        leave
        pop r13
        mov rdx, rsp
        mov rsp, r14
        lea rax, [r15 + 0x200 - 8 - 2 - 8 - 8 - 8]
        cmp rcx, rax
        step64 10, e
        lea rax, [r15 + 0x200 - 8 - 2 - 8 - 8 - 8 - 16 - 32]
        cmp rbx, rax
        step64 11, e
        cmp r13, -1
        step64 12, e
        lea rax, [r15 + 0x200 - 8 - 2 - 8]
        cmp rdx, rax
        step64 13, e
        ; Tables and selectors.
        sgdt [r15]
        str [r15]
        mov [r15], gs
        fault64 14, 13, 0xFFFC, mov fs, [r15]
        fault64 15, 13, 0xFFFC, lfs eax, [r15]
        fault64 16, 6, 0, fld qword [r15]

        ; Protection keys.
        cmp dword [has_keys], 0
        je done64
        mov rbx, KEYED
        xor ecx, ecx
        xor edx, edx
        mov eax, NO_WRITE
        wrpkru
        mov rdi, rbx
        mov edx, 0x61
        fault64 20, 14, 0x23, insb
        cmp rdi, [address]
        step64 21, e
        mov rsi, r15
        fault64 22, 14, 0x23, movsb
        mov rsi, rbx
        mov rdi, r15
        movsb
        mov rsi, rbx
        mov edx, 0x80
        outsb
        xor ecx, ecx
        xor edx, edx
        mov eax, NO_ACCESS
        wrpkru
        mov rsi, rbx
        mov edx, 0x80
        fault64 23, 14, 0x21, outsb
        mov rsi, rbx
        mov rdi, r15
        fault64 24, 14, 0x21, movsb
        xor ecx, ecx
        xor edx, edx
        xor eax, eax
        wrpkru
        mov rsi, r15
        mov rdi, rbx
        movsb
        cmp byte [RAM], 0xFF
        step64 25, e
done64: xor eax, eax

leave64:
        mov [result], eax
        mov eax, saved_far
        jmp far dword [rax]
bits 32

section .rodata
text_failed:    db " is the step that failed in 64-bit code", 0
text_keys:      db "protection keys are obeyed", 13, 10, 0
align 8
saved_far:      dd compatibility
                dw CODE32
idt64_pointer:  dw 32 * 16 - 1
                dq idt64

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
table:          resb 4096
idt64:          resb 32 * 16
vector:         resq 1
error:          resq 1
address:        resq 1
saved_esp:      resd 1
result:         resd 1
has_keys:       resd 1
