; Exceptions of the guest itself: vector, error code and address as on a bare processor.
%include "guest.inc"

main:   xor edx, edx
        mov eax, 1
        xor ecx, ecx
        expect_fault 0, "#DE", div ecx
        expect_fault 6, "#UD", ud2
        mov eax, 0x18 << 3
        expect_fault 13, "#GP", mov ds, ax
        check_equal [last_error], 0x18 << 3 & 0xFFFC, "error code of #GP"
        mov eax, cr0
        or eax, 1 << 3
        mov cr0, eax
        expect_fault 7, "#NM", fninit
        clts
        fninit
        mov eax, cr0
        test eax, 1 << 3
        check z, "CLTS"

        ; Software interrupts: the return address is behind them.
        mov dword [on_interrupt], 0
        int 0x42
        check_equal [interrupts], 1, "INT n"
        check_equal [last_vector], 0x42, "INT n, vector"
        mov dword [resume], .breakpoint
        int3
.after: mov esi, text_int3
        jmp fail
.breakpoint:
        check_equal [last_vector], 3, "INT3"
        check_equal [last_eip], .after, "INT3, return address"

        ; Single step.
        mov dword [resume], .stepped
        pushfd
        or dword [esp], 1 << 8
        popfd
        nop
.behind:
        mov esi, text_step
        jmp fail
.stepped:
        push dword 2
        popfd
        check_equal [last_vector], 1, "#DB"
        check_equal [last_eip], .behind, "#DB behind the instruction"
        mov eax, dr6
        test eax, 1 << 14
        check nz, "DR6.BS"

        ; Single step over an instruction that exits.
        xor eax, eax
        mov dr6, eax
        mov dword [resume], .stepped_exit
        pushfd
        or dword [esp], 1 << 8
        popfd
        cpuid
.behind_exit:
        mov esi, text_step
        jmp fail
.stepped_exit:
        push dword 2
        popfd
        check_equal [last_vector], 1, "#DB over CPUID"
        check_equal [last_eip], .behind_exit, "#DB behind CPUID"
        mov eax, dr6
        test eax, 1 << 14
        check nz, "DR6.BS over CPUID"

        ; A page fault: error code and CR2.
        call map_pages
        mov eax, cr0
        or eax, 1 << 31
        mov cr0, eax
        expect_fault 14, "#PF", mov eax, [0x00400123]
        check_equal [last_error], 0, "error code of a read from an absent page"
        mov eax, cr2
        check_equal eax, 0x00400123, "CR2"
        expect_fault 14, "#PF of a write", mov [0x00500456], eax
        check_equal [last_error], 2, "error code of a write to an absent page"
        mov eax, cr0
        and eax, 0x7FFFFFFF
        mov cr0, eax
        ret

; One page table: the first 4 MiB, nothing else.
map_pages:
        mov edi, 0x200000
        mov ecx, 1024
        xor eax, eax
        rep stosd
        mov dword [0x200000], 0x201003
        mov edi, 0x201000
        mov eax, 3
        mov ecx, 1024
.next:  stosd
        add eax, 0x1000
        loop .next
        mov eax, 0x200000
        mov cr3, eax
        ret

section .rodata
text_int3:      db "INT3 did not trap", 0
text_step:      db "single step did not trap", 0
