; Debug exceptions: single steps over instructions that the hypervisor completes, breakpoints, the shadow of MOV SS, DR7.GD,
; and ICEBP, each reported once and in DR6.
%include "guest.inc"

DR6_B0  equ 1 << 0
DR6_B1  equ 1 << 1
DR6_BD  equ 1 << 13
DR6_BS  equ 1 << 14
TF      equ 1 << 8
RF      equ 1 << 16

; Runs the instructions after %1 with TF set; #DB must come once, behind the first, with only DR6.BS set.
%macro single_step 2+
        mov dword [debug_count], 0
        pushfd
        or dword [esp], TF
        popfd
        %2
%%next: nop
        check_equal [debug_count], 1, %1
        check_equal [debug_eip], %%next, %1
        check_equal [debug_dr6], DR6_BS, %1
%endmacro

main:   mov eax, debug_handler
        mov [idt + 8], ax
        shr eax, 16
        mov [idt + 8 + 6], ax
        xor eax, eax
        mov dr7, eax
        mov dr6, eax

        single_step "step over NOP", nop
        xor eax, eax
        single_step "step over CPUID", cpuid
        single_step "step over IN", in al, 0x61
        mov edx, 0x80
        single_step "step over OUT", out dx, al
        mov ecx, 0x1B
        single_step "step over RDMSR", rdmsr
        single_step "step over MOV from CR0", mov eax, cr0
        single_step "step over MOV to CR3", mov cr3, ebx

        ; MOV SS holds the trap back over one more instruction, also if that exits.
        mov dword [debug_count], 0
        xor eax, eax
        mov ebx, DATA32
        pushfd
        or dword [esp], TF
        popfd
        mov ss, ebx
        cpuid
.behind_shadow:
        nop
        check_equal [debug_count], 1, "step over MOV SS; CPUID"
        check_equal [debug_eip], .behind_shadow, "step over MOV SS; CPUID ended elsewhere"

        ; An instruction breakpoint is a fault, and RF gets past it, also when the instruction exits.
        mov dword [debug_count], 0
        mov eax, .breakpoint
        mov dr0, eax
        mov eax, 2
        mov dr7, eax
        xor eax, eax
.breakpoint:
        cpuid
        check_equal [debug_count], 1, "instruction breakpoint"
        check_equal [debug_eip], .breakpoint, "instruction breakpoint elsewhere"
        check_equal [debug_dr6], DR6_B0, "DR6 of an instruction breakpoint"

        ; A data breakpoint is a trap.
        mov dword [debug_count], 0
        mov eax, variable
        mov dr1, eax
        mov eax, (1 << 3) | (0xD << 20)         ; global, write, four bytes
        mov dr7, eax
        mov [variable], eax
.written:
        nop
        check_equal [debug_count], 1, "data breakpoint"
        check_equal [debug_eip], .written, "data breakpoint elsewhere"
        check_equal [debug_dr6], DR6_B1, "DR6 of a data breakpoint"
        xor eax, eax
        mov dr7, eax

        ; QEMU, which emulates AMD-V here, knows neither general detect nor ICEBP.
        xor eax, eax
        cpuid
        cmp ecx, "cAMD"
        je .software

        ; DR7.GD: the access faults before it happens, and #DB switches GD off for its handler.
        mov dword [debug_count], 0
        mov eax, 1 << 13
        mov dr7, eax
.guarded:
        mov ecx, dr0
        check_equal [debug_count], 1, "general detect"
        check_equal [debug_eip], .guarded, "general detect elsewhere"
        check_equal [debug_dr6], DR6_BD, "DR6 of general detect"
        mov eax, dr7
        test eax, 1 << 13
        check z, "DR7.GD survived #DB"

        ; ICEBP is #DB behind the instruction, and leaves DR6 alone.
        mov dword [debug_count], 0
        db 0xF1
.behind_icebp:
        nop
        check_equal [debug_count], 1, "ICEBP"
        check_equal [debug_eip], .behind_icebp, "ICEBP elsewhere"

.software:
        ; Software interrupts and exceptions return behind themselves.
        mov dword [resume], .behind_int3
        int3
.behind_int3:
        check_equal [last_vector], 3, "INT3"
        check_equal [last_eip], .behind_int3, "INT3 elsewhere"
        mov eax, 0x7FFFFFFF
        add eax, 1
        mov dword [resume], .behind_into
        into
.behind_into:
        check_equal [last_vector], 4, "INTO"
        check_equal [last_eip], .behind_into, "INTO elsewhere"
        mov dword [interrupts], 0
        int 0x80
        check_equal [interrupts], 1, "INT 0x80"
        ret

; Stack: EIP, CS, EFLAGS.
debug_handler:
        push eax
        mov eax, [esp + 4]
        mov [debug_eip], eax
        mov eax, dr6
        and eax, 0xE00F
        mov [debug_dr6], eax
        xor eax, eax
        mov dr6, eax
        inc dword [debug_count]
        and dword [esp + 12], ~TF
        or dword [esp + 12], RF
        pop eax
        iretd

section .bss
alignb 4                                ; breakpoints ignore the low bits of an address
debug_count:    resd 1
debug_eip:      resd 1
debug_dr6:      resd 1
variable:       resd 1
