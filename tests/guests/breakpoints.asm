; Breakpoints on ports and data whose accesses exit, what waits behind MOV SS, and RF in what exceptions push.
%include "guest.inc"

DR6_B0  equ 1 << 0
DR6_B1  equ 1 << 1
DR6_B2  equ 1 << 2
DR6_BS  equ 1 << 14
TF      equ 1 << 8
RF      equ 1 << 16
CR4_DE  equ 1 << 3
GLOBAL0 equ 1 << 1
GLOBAL1 equ 1 << 3
GLOBAL2 equ 1 << 5
LAPIC   equ 0xFEE00000
TPR     equ LAPIC + 0x80

; DR7's fields of breakpoint %1: kind %2 (1 write, 2 port, 3 read or write), length field %3.
%define FIELDS(n, kind, length) (((kind) | ((length) << 2)) << (16 + 4 * (n)))

; After the instructions, #DB must have come once, behind the first of them at label %2, with DR6 = %3.
%macro expect_trap 3
        check_equal [debug_count], 1, %1
        check_equal [debug_eip], %2, %1
        check_equal [debug_dr6], %3, %1
        mov dword [debug_count], 0
%endmacro

main:   mov eax, debug_handler
        mov [idt + 8], ax
        shr eax, 16
        mov [idt + 8 + 6], ax
        mov dword [debug_count], 0
        xor eax, eax
        mov dr6, eax
        mov eax, cr4
        or eax, CR4_DE
        mov cr4, eax

        ; Breakpoint 0: port 80h, any of two bytes. Breakpoint 1: the task priority register, writes; 2: reads and writes.
        mov eax, 0x80
        mov dr0, eax
        mov eax, TPR
        mov dr1, eax
        mov dr2, eax
        mov eax, GLOBAL0 | FIELDS(0, 2, 1) | GLOBAL1 | FIELDS(1, 1, 3) | GLOBAL2 | FIELDS(2, 3, 3)
        mov dr7, eax
        out 0x80, al
.out:   nop
        expect_trap "OUT", .out, DR6_B0
        in al, 0x81
.in:    nop
        expect_trap "IN", .in, DR6_B0
        in al, 0x61
        nop
        check_equal [debug_count], 0, "IN of another port"
        mov esi, text
        mov dx, 0x80
        outsb
.outsb: nop
        expect_trap "OUTSB", .outsb, DR6_B0
        mov ecx, 1
        rep outsb
.rep:   nop
        expect_trap "REP OUTSB", .rep, DR6_B0

        ; An access from the same place again and again: the hypervisor may remember it.
        mov ebx, 8
.again: mov eax, [TPR]
.read:  nop
        expect_trap "read of a device's register", .read, DR6_B2
        mov [TPR], eax
.write: nop
        expect_trap "write of a device's register", .write, DR6_B1 | DR6_B2
        dec ebx
        jnz .again
        mov eax, [LAPIC + 0x30]
        nop
        check_equal [debug_count], 0, "read of another register"

        ; With a single step it is one exception.
        pushfd
        or dword [esp], TF
        popfd
        mov eax, [TPR]
.step:  nop
        expect_trap "breakpoint and step", .step, DR6_B2 | DR6_BS
        xor eax, eax
        mov dr7, eax
        mov eax, [TPR]
        nop
        check_equal [debug_count], 0, "breakpoints switched off"

        ; A fault that the hypervisor raises pushes RF, as any fault does.
        mov ecx, 0x12345
        expect_fault 13, "RDMSR of none", rdmsr
        test dword [last_eflags], RF
        check nz, "RF pushed by a fault"
        ; The trap behind an instruction that exits does not.
        pushfd
        or dword [esp], TF
        popfd
        cpuid
.cpuid: nop
        expect_trap "step over CPUID", .cpuid, DR6_BS
        test dword [debug_eflags], RF
        check z, "RF pushed by a trap"

        ; QEMU, which emulates AMD-V here, holds nothing back behind MOV SS.
        xor eax, eax
        cpuid
        cmp ecx, "cAMD"
        je .done

        ; A breakpoint met by MOV SS waits until the next instruction is complete, also if that exits.
        mov eax, selector
        mov dr0, eax
        mov eax, GLOBAL0 | FIELDS(0, 3, 1)
        mov dr7, eax
        mov ss, [selector]
        cpuid
.held:  nop
        expect_trap "breakpoint on MOV SS's operand; CPUID", .held, DR6_B0
        pushfd
        or dword [esp], TF
        popfd
        mov ss, [selector]
        cpuid
.both:  nop
        expect_trap "breakpoint and step behind MOV SS; CPUID", .both, DR6_B0 | DR6_BS
        xor eax, eax
        mov dr7, eax

        ; ICEBP behind MOV SS under TF: #DB of its own, which is no step and leaves DR6 alone.
        mov dword [debug_count], 0
        mov ebx, DATA32
        pushfd
        or dword [esp], TF
        popfd
        mov ss, ebx
        db 0xF1
.icebp: nop
        expect_trap "ICEBP behind MOV SS", .icebp, 0
.done:  ret

; Stack: EIP, CS, EFLAGS. Steps end, breakpoints stay as they are.
debug_handler:
        push eax
        mov eax, [esp + 4]
        mov [debug_eip], eax
        mov eax, [esp + 12]
        mov [debug_eflags], eax
        mov eax, dr6
        and eax, 0xE00F
        mov [debug_dr6], eax
        xor eax, eax
        mov dr6, eax
        inc dword [debug_count]
        and dword [esp + 12], ~TF
        pop eax
        iretd

section .rodata
text:   db "ab"
alignb 2
selector: dw DATA32

section .bss
alignb 4
debug_count:    resd 1
debug_eip:      resd 1
debug_eflags:   resd 1
debug_dr6:      resd 1
