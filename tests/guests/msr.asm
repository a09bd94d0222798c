; MSRs: what the policy has can be read and written, the rest raises #GP(0) with nothing changed.
%include "guest.inc"

APIC_BASE       equ 0x1B
MTRR_CAP        equ 0xFE
SYSENTER_ESP    equ 0x175
PAT             equ 0x277
EFER            equ 0xC0000080
LSTAR           equ 0xC0000082
FS_BASE         equ 0xC0000100

main:   mov ecx, APIC_BASE
        rdmsr
        and eax, 0xFFFFF900
        check_equal eax, 0xFEE00900, "APIC_BASE: enabled, bootstrap processor, usual address"
        check_equal edx, 0, "APIC_BASE, high half"

        ; Registers of the guest alone, and the edges of the ranges around them.
        mov ecx, SYSENTER_ESP
        call keeps
        mov ecx, LSTAR
        call keeps
        mov ecx, FS_BASE
        call keeps

        mov ecx, PAT
        mov eax, 0x00070106
        mov edx, 0x00070106
        wrmsr
        xor eax, eax
        xor edx, edx
        rdmsr
        check_equal eax, 0x00070106, "PAT, low half"
        check_equal edx, 0x00070106, "PAT, high half"
        mov eax, 0x02020202
        expect_fault 13, "PAT with reserved memory types", wrmsr
        check_equal [last_error], 0, "error code of #GP"

        mov ecx, EFER
        rdmsr
        or eax, 1 << 11
        wrmsr
        rdmsr
        test eax, 1 << 11
        check nz, "EFER.NXE did not stay"
        or eax, 1 << 12
        expect_fault 13, "EFER.SVME", wrmsr
        mov eax, 1 << 3
        expect_fault 13, "a reserved bit of EFER", wrmsr

        ; Default deny: in each range of the permission maps, and between them.
        mov ecx, 0x3FF
        call denied
        mov ecx, 0x1FFF
        call denied
        mov ecx, 0x2000
        call denied
        mov ecx, 0x12345678
        call denied
        mov ecx, 0xC0001FFF
        call denied
        mov ecx, 0xC0010114
        call denied_write
        mov ecx, 0xC0010117
        call denied_write
        mov ecx, 0xC0011FFF
        call denied
        mov ecx, 0xFFFFFFFF
        call denied
        ; VT-x of its own is not for the guest.
        mov ecx, 0x480
        call denied
        mov ecx, 0x48B
        call denied
        ret

; Writes and reads MSR ECX.
keeps:  mov eax, 0x5A5A1234
        mov edx, 0x00007FFF
        wrmsr
        xor eax, eax
        xor edx, edx
        rdmsr
        check_equal eax, 0x5A5A1234, "an MSR of the guest's own, low half"
        check_equal edx, 0x00007FFF, "an MSR of the guest's own, high half"
        ret

denied: mov eax, 0x11111111
        mov edx, 0x22222222
        expect_fault 13, "RDMSR of an MSR that is not there", rdmsr
        check_equal eax, 0x11111111, "RDMSR that faulted changed EAX"
        check_equal edx, 0x22222222, "RDMSR that faulted changed EDX"
denied_write:
        xor eax, eax
        inc eax
        xor edx, edx
        expect_fault 13, "WRMSR of an MSR that is not there", wrmsr
        check_equal [last_error], 0, "error code of #GP from an MSR"
        ret
