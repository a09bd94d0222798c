; 32-bit paging: 4 KiB and 4 MiB pages, accessed and dirty bits, page-fault error codes, write protection, INVLPG, and the
; switch off again.
%include "guest.inc"

P       equ 1
RW      equ 2
US      equ 4
ACCESSED equ 0x20
DIRTY   equ 0x40
LARGE   equ 0x80

WINDOW  equ 0x40000000                  ; linear address of the small pages

main:   ; 4 MiB identity, and a table of small pages at WINDOW.
        mov dword [directory], P | RW | LARGE
        mov eax, table
        or eax, P | RW
        mov [directory + (WINDOW >> 22) * 4], eax
        mov eax, page_a
        or eax, P | RW
        mov [table], eax
        mov eax, page_b
        or eax, P
        mov [table + 4], eax
        mov eax, cr4
        or eax, 1 << 4
        mov cr4, eax
        mov eax, directory
        mov cr3, eax
        mov eax, cr0
        or eax, (1 << 31) | (1 << 16)
        mov cr0, eax
        jmp .paged
.paged:
        mov eax, cr0
        bt eax, 31
        check c, "CR0.PG reads as 0"

        ; A write through the window reaches the page and sets A and D.
        mov dword [WINDOW], 0xABCD1234
        check_equal [page_a], 0xABCD1234, "a write through a small page"
        mov eax, [table]
        and eax, ACCESSED | DIRTY
        check_equal eax, ACCESSED | DIRTY, "A and D after a write"
        mov eax, [WINDOW + 0x1000]
        mov eax, [table + 4]
        and eax, ACCESSED | DIRTY
        check_equal eax, ACCESSED, "A without D after a read"
        mov eax, [directory]
        test eax, ACCESSED
        check nz, "A of a large page"

        ; Faults: not present; a write to what may only be read.
        expect_fault 14, "a page that is not there", mov eax, [WINDOW + 0x2004]
        check_equal [last_error], 0, "error code of a read of nothing"
        mov eax, cr2
        check_equal eax, WINDOW + 0x2004, "CR2 of a read of nothing"
        expect_fault 14, "a write of nothing", mov [WINDOW + 0x3000], eax
        check_equal [last_error], 2, "error code of a write of nothing"
        expect_fault 14, "a write to a read-only page", mov [WINDOW + 0x1008], eax
        check_equal [last_error], 3, "error code of a protection fault"

        ; Without CR0.WP the supervisor may.
        mov eax, cr0
        and eax, ~(1 << 16)
        mov cr0, eax
        mov dword [WINDOW + 0x1008], 0x77
        check_equal [page_b + 8], 0x77, "a supervisor write without CR0.WP"

        ; Another page at the same address.
        mov eax, page_b
        or eax, P | RW
        mov [table], eax
        invlpg [WINDOW]
        check_equal [WINDOW + 8], 0x77, "INVLPG"

        ; A whole other set of tables, and back.
        mov dword [directory2], P | RW | LARGE
        mov eax, directory2
        mov cr3, eax
        mov ebx, cr3
        check_equal ebx, directory2, "CR3"
        expect_fault 14, "the window is gone with CR3", mov eax, [WINDOW]

        mov eax, cr0
        and eax, ~(1 << 31)
        mov cr0, eax
        jmp .flat
.flat:  mov eax, cr0
        bt eax, 31
        check nc, "CR0.PG reads as 1"
        ret

section .bss
alignb 4096
directory:      resb 4096
directory2:     resb 4096
table:          resb 4096
page_a:         resb 4096
page_b:         resb 4096
