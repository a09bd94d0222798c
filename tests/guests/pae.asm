; PAE paging: page-directory pointers, 2 MiB pages, no-execute. VT-x loads the pointers when CR3 and CR0 are written, and
; refuses bad ones; AMD-V reads them in the course of each walk (APM, "Nested Paging": "Guest PDPTEs").
%include "guest.inc"

P       equ 1
RW      equ 2
LARGE   equ 0x80
WINDOW  equ 0x40000000                  ; second page-directory pointer
MSR_EFER equ 0xC0000080
NOBODY  equ 0x1234                      ; a port that reads as all ones

main:   mov eax, directory0
        or eax, P
        mov [pointers], eax
        mov dword [directory0], P | RW | LARGE
        mov eax, directory1
        or eax, P
        mov [pointers + 8], eax
        mov dword [directory1], 0x200000 | P | RW | LARGE
        mov eax, directory2
        or eax, P
        mov [second_pointers + 8], eax
        mov eax, directory0
        or eax, P
        mov [second_pointers], eax
        mov dword [directory2], 0x400000 | P | RW | LARGE
        mov dword [0x200000], 0x22222222
        mov dword [0x400000], 0x44444444

        mov eax, cr4
        or eax, 1 << 5
        mov cr4, eax
        mov eax, pointers
        mov cr3, eax
        ; NE changes with PG: the write exits on VT-x, where the hypervisor owns NE.
        mov eax, cr0
        or eax, (1 << 31) | (1 << 16) | (1 << 5)
        mov cr0, eax
        jmp .paged
.paged: check_equal [WINDOW], 0x22222222, "through the second pointer"
        mov eax, second_pointers
        mov cr3, eax
        check_equal [WINDOW], 0x44444444, "through the second pointer of other tables"

        xor eax, eax
        cpuid
        cmp ecx, "cAMD"
        je .no_execute

        ; A pointer that memory no longer has stays loaded until CR3 is written.
        mov dword [second_pointers + 8], 0
        check_equal [WINDOW], 0x44444444, "pointers are loaded, not walked"
        mov edi, WINDOW
        mov edx, NOBODY
        insd                            ; the hypervisor does this one
        check_equal [WINDOW], 0xFFFFFFFF, "and so they are for an instruction that is emulated"
        mov dword [WINDOW], 0x44444444
        mov eax, cr3
        mov cr3, eax
        expect_fault 14, "the pointer is gone", mov eax, [WINDOW]
        check_equal [last_error], 0, "error code"

        ; Reserved bits in a pointer are refused, and CR3 is not changed.
        mov dword [bad_pointers], 0xFFF
        mov eax, bad_pointers
        expect_fault 13, "a pointer with reserved bits", mov cr3, eax
        mov eax, cr3
        check_equal eax, second_pointers, "CR3 after a refused write"

.no_execute:
        mov eax, pointers
        mov cr3, eax
        mov ecx, MSR_EFER
        rdmsr
        or eax, 1 << 11
        wrmsr
        mov dword [directory1 + 4], 1 << 31
        mov byte [WINDOW], 0xC3
        mov eax, cr3
        mov cr3, eax
        mov eax, WINDOW
        mov dword [last_vector], -1
        mov dword [resume], .refused
        call eax
.refused:
        mov dword [resume], 0
        check_equal [last_vector], 14, "no-execute"
        check_equal [last_error], 0x11, "error code of a fetch"

        mov eax, cr0
        and eax, ~((1 << 31) | (1 << 5))
        mov cr0, eax
        jmp .flat
.flat:  mov eax, cr4
        and eax, ~(1 << 5)
        mov cr4, eax
        add esp, 4                      ; the refused call's return address
        ret

section .bss
alignb 4096
directory0:     resb 4096
directory1:     resb 4096
directory2:     resb 4096
pointers:       resb 32
second_pointers: resb 32
bad_pointers:   resb 32
