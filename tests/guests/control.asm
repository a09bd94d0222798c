; Control registers: what is reserved faults and changes nothing, what is allowed reads back.
%include "guest.inc"

main:   mov eax, cr0
        mov ebx, eax
        or eax, 1 << 16
        mov cr0, eax
        mov ecx, cr0
        cmp eax, ecx
        check e, "CR0.WP"
        mov cr0, ebx

        ; Paging without protection; write-through without cache disable.
        mov eax, ebx
        and eax, ~1
        or eax, 1 << 31
        expect_fault 13, "CR0.PG without CR0.PE", mov cr0, eax
        mov eax, ebx
        and eax, ~(1 << 30)
        or eax, 1 << 29
        expect_fault 13, "CR0.NW without CR0.CD", mov cr0, eax
        mov eax, cr0
        cmp eax, ebx
        check e, "a CR0 write that faulted changed it"

        mov eax, ebx
        or eax, 1 << 3
        mov cr0, eax
        mov eax, cr0
        test eax, 1 << 3
        check nz, "CR0.TS"
        clts
        mov eax, cr0
        test eax, 1 << 3
        check z, "CLTS"
        mov eax, ebx
        or eax, 1 << 3
        lmsw ax
        smsw eax
        test eax, 1 << 3
        check nz, "LMSW, SMSW"
        clts

        mov eax, cr4
        mov ebx, eax
        or eax, 1 << 4
        mov cr4, eax
        mov ecx, cr4
        test ecx, 1 << 4
        check nz, "CR4.PSE"
        mov eax, ebx
        or eax, 1 << 31
        expect_fault 13, "a reserved bit of CR4", mov cr4, eax
        mov eax, ebx
        or eax, 1 << 15
        expect_fault 13, "bit 15 of CR4", mov cr4, eax
        mov cr4, ebx

        mov eax, 0x12345000
        mov cr3, eax
        mov ecx, cr3
        cmp eax, ecx
        check e, "CR3"

        ; Debug registers keep their values.
        mov eax, 0x11111110
        mov dr0, eax
        mov eax, 0x22222220
        mov dr3, eax
        xor eax, eax
        cpuid
        mov eax, dr0
        check_equal eax, 0x11111110, "DR0"
        mov eax, dr3
        check_equal eax, 0x22222220, "DR3"
        mov eax, dr6
        and eax, 0xFFFF0FF0
        check_equal eax, 0xFFFF0FF0, "DR6"
        ret
