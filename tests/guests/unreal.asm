; Real mode: 16-bit code with every paging and protection off, its interrupt table, its string instructions, interrupts that
; wake HLT, LMSW and CLTS, and segments larger than real mode can load.
%include "guest.inc"

CODE_AT equ 0x8000                      ; 16-bit code, below 1 MiB
STACK16 equ 0x7000

main:   ; Something at 2 MiB to see again from "unreal" mode.
        mov dword [0x200000], 0xC0FFEE11
        mov esi, blob
        mov edi, CODE_AT
        mov ecx, blob_end - blob
        rep movsb
        mov [saved_esp], esp
        sidt [saved_idt]
        lidt [real_idt]
        jmp CODE16:CODE_AT

; Back in 32-bit protected mode; AX says what happened.
back:   mov dx, DATA32
        mov ds, dx
        mov es, dx
        mov fs, dx
        mov gs, dx
        mov ss, dx
        mov esp, [saved_esp]
        lidt [saved_idt]
        movzx eax, ax
        test eax, eax
        jz .good
        call print_hex
        mov esi, text_failed
        jmp fail
.good:  mov eax, cr0
        test eax, 1 << 3
        check z, "CLTS in real mode left CR0.TS"
        ret

section .rodata
text_failed:    db " is the step that failed in real mode", 0
real_idt:       dw 0x3FF
                dd 0

; Fails with step number %1 unless condition %2 holds.
%macro step 2
        mov ax, %1
        j%2 %%good
        jmp near leave16
%%good:
%endmacro

%define at16(label) (CODE_AT + (label - blob))

align 16
blob:
bits 16
        ; 16-bit protected mode: leave it.
        mov eax, cr0
        and eax, ~1
        mov cr0, eax
        jmp 0:at16(real)
real:   xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, STACK16
        mov ax, 0xB00
        mov es, ax

        ; Segment arithmetic: ES:0 is 0xB000.
        mov dword [0xB000], 0x12345678
        cmp dword [es:0], 0x12345678
        step 1, e

        ; INT n through the table at 0.
        mov word [0x60 * 4], at16(int60)
        mov word [0x60 * 4 + 2], 0
        mov bx, 1
        int 0x60
        cmp bx, 0x6060
        step 2, e

        ; A fault pushes no error code here.
        mov word [6 * 4], at16(invalid)
        mov word [6 * 4 + 2], 0
        mov word [13 * 4], at16(protection)
        mov word [13 * 4 + 2], 0
        mov si, sp
        ud2
after_ud:
        cmp bx, 0x0606
        step 3, e
        cmp si, sp
        step 4, e

        ; #GP raised by the hypervisor: an MSR that does not exist.
        mov ecx, 0x12345
        rdmsr
after_gp:
        cmp bx, 0x1313
        step 5, e
        cmp si, sp
        step 6, e

        ; CPUID and ports.
        xor eax, eax
        cpuid
        test ebx, ebx
        step 7, nz
        mov dx, 0x1234
        in ax, dx
        cmp ax, 0xFFFF
        step 8, e

        ; OUTSB with a segment override, and INSB to ES:DI.
        push ds
        mov ax, 0x800
        mov ds, ax
        push cs
        pop fs
        mov si, at16(hello)
        mov cx, hello_end - hello
        mov dx, COM1
        cld
        rep fs outsb
        pop ds
        cmp si, at16(hello_end)
        step 9, e
        mov di, 0x20
        mov byte [0xB020], 0
        mov dx, 0x1234
        insb
        cmp byte [0xB020], 0xFF
        step 10, e

        ; The 8254 wakes HLT: interrupt 0 at vector 0x20.
        mov word [0x20 * 4], at16(tick)
        mov word [0x20 * 4 + 2], 0
        mov al, 0x30
        out 0x43, al
        mov al, 0xFF
        out 0x40, al
        mov al, 0x01
        out 0x40, al
        mov al, 0xFE
        out 0x21, al
        xor bx, bx
        sti
        hlt
        cli
        cmp bx, 0x7777
        step 11, e
        mov al, 0xFF
        out 0x21, al

        ; LMSW cannot leave protected mode but can enter it; CLTS clears TS; CD and NW are the guest's to see.
        mov eax, cr0
        or eax, 1 << 3
        mov cr0, eax
        clts
        mov eax, cr0
        test al, 1 << 3
        step 12, z
        mov eax, cr0
        or eax, 1 << 30
        mov cr0, eax
        mov ebx, cr0
        cmp eax, ebx
        step 13, e
        mov eax, cr0
        and eax, ~(1 << 30)
        mov cr0, eax

        ; Unreal mode: protected mode's 4 GiB limit stays behind.
        lgdt [at16(gdt16)]
        smsw ax
        or al, 1
        lmsw ax
        mov bx, DATA32
        mov fs, bx
        mov eax, cr0
        and al, ~1
        mov cr0, eax
        jmp 0:at16(unreal)
unreal: mov ebx, 0x200000
        cmp dword [fs:ebx], 0xC0FFEE11
        step 14, e
        xor ax, ax

leave16:
        lgdt [at16(gdt16)]
        mov cx, ax
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov ax, cx
        jmp dword CODE32:back

int60:  mov bx, 0x6060
        iret
invalid:
        mov bx, 0x0606
        jmp to_after_ud
to_after_ud:
        add sp, 6
        jmp after_ud
protection:
        mov bx, 0x1313
        add sp, 6
        jmp after_gp
tick:   mov bx, 0x7777
        mov al, 0x20
        out 0x20, al
        iret
hello:  db "real mode", 13, 10
hello_end:
gdt16:  dw gdt_end - gdt - 1
        dd gdt
blob_end:
bits 32

section .bss
saved_esp:      resd 1
saved_idt:      resb 8
