; CPUID: the guest's own values, RIP behind the instruction with and without prefixes, upper halves and other registers kept.
%include "guest.inc"

main:   mov esi, 0x51515151
        mov edi, 0xD1D1D1D1
        mov ebp, 0xB9B9B9B9
        xor eax, eax
        cpuid
        check_equal esi, 0x51515151, "ESI lost"
        check_equal edi, 0xD1D1D1D1, "EDI lost"
        check_equal ebp, 0xB9B9B9B9, "EBP lost"
        cmp eax, 1
        check ae, "highest leaf below 1"
        test ebx, ebx
        check nz, "no vendor"

        mov eax, 1
        cpuid
        bt ecx, 31
        check c, "the hypervisor bit is clear"
        bt edx, 9
        check c, "no local APIC"
        test ecx, 1 << 5
        check z, "VMX is shown"

        mov eax, 0x80000001
        cpuid
        test ecx, 1 << 2
        check z, "SVM is shown"

        mov eax, 0x40000000
        cpuid
        cmp eax, 0x40000001
        check ae, "no hypervisor leaf"

        ; Prefixes that mean nothing to CPUID still count for its length.
        xor eax, eax
        db 0x66, 0x0F, 0xA2
        cmp eax, 1
        check ae, "66 CPUID"
        xor eax, eax
        db 0x2E, 0x66, 0x67, 0x0F, 0xA2
        cmp eax, 1
        check ae, "2E 66 67 CPUID"

        ; At the very end of a page, so that the bytes are in two.
        mov edi, straddle - 1
        mov byte [edi], 0x0F
        mov byte [edi + 1], 0xA2
        mov byte [edi + 2], 0xC3
        xor eax, eax
        call edi
        cmp eax, 1
        check ae, "CPUID across two pages"
        ret

section .straddle progbits alloc exec write align=4096
        times 4096 nop
straddle:
        times 16 nop
