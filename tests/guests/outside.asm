; Code and page tables where there is no RAM: all ones, as on a computer. An instruction on a device that is not emulated: #UD.
%include "guest.inc"

HOLE    equ 0xD0000000
TABLES  equ 0x00400000          ; page directory; for PAE: pointer table and, behind it, a directory
WINDOW  equ 0x40000000          ; mapped by a table in the hole

main:   ; Code.
        mov dword [last_vector], -1
        mov dword [resume], .fetched
        mov eax, HOLE
        jmp eax
.fetched:
        check_equal [last_vector], 6, "code outside RAM is #UD"
        check_equal [last_eip], HOLE, "#UD at the address outside RAM"

        expect_fault 6, "an instruction that is not emulated is #UD", fld dword [HOLE]

        ; 32-bit paging: 4 MiB pages one to one, and one table that is not RAM.
        mov edi, TABLES
        mov eax, 0x83
.map:   stosd
        add eax, 0x400000
        jnc .map
        mov dword [TABLES + (WINDOW >> 22) * 4], HOLE | 3
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov eax, [WINDOW]
        check_equal eax, 0xFFFFFFFF, "32-bit table of ones maps the last page, where nothing is"
        mov dword [WINDOW + 0x123], 5
        mov eax, cr0
        and eax, 0x7FFFFFFF
        mov cr0, eax

        ; PAE: reserved bits are among the ones.
        mov edi, TABLES
        xor eax, eax
        mov ecx, 2048
        rep stosd
        mov dword [TABLES], (TABLES + 0x1000) | 1
        mov dword [TABLES + 8], HOLE | 1
        mov edi, TABLES + 0x1000
        mov eax, 0x83
.pae:   mov [edi], eax
        add edi, 8
        add eax, 0x200000
        cmp edi, TABLES + 0x2000
        jb .pae
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        expect_fault 14, "a PAE directory of ones is #PF", mov eax, [WINDOW]
        check_equal [last_error], 9, "#PF says: present, reserved bit"
        mov eax, cr2
        check_equal eax, WINDOW, "#PF at the linear address"
        expect_fault 14, "for a write", mov dword [WINDOW + 8], eax
        check_equal [last_error], 11, "#PF says: present, write, reserved bit"
        expect_fault 14, "for a push", push dword [WINDOW]
        mov eax, cr0
        and eax, 0x7FFFFFFF
        mov cr0, eax
        ret
