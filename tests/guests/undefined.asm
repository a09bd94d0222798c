; Instructions that a guest does not have: #UD, whatever the processor below could do.
%include "guest.inc"

main:   mov eax, cr4
        test eax, 1 << 13
        check z, "CR4.VMXE"
        mov eax, 0x300000
        expect_fault 6, "VMRUN", vmrun
        expect_fault 6, "VMLOAD", vmload
        expect_fault 6, "VMSAVE", vmsave
        expect_fault 6, "STGI", stgi
        expect_fault 6, "CLGI", clgi
        expect_fault 6, "VMXON", vmxon [vmxon_operand]
        expect_fault 6, "VMPTRLD", vmptrld [vmxon_operand]
        expect_fault 6, "VMLAUNCH", vmlaunch
        expect_fault 6, "VMREAD", vmread eax, ebx
        xor ecx, ecx
        xor edx, edx
        mov eax, vmxon_operand
        expect_fault 6, "MONITOR", monitor
        expect_fault 6, "MWAIT", mwait
        expect_fault 6, "RSM", rsm
        ; VMXE is not for guests.
        mov eax, cr4
        or eax, 1 << 13
        expect_fault 13, "setting CR4.VMXE", mov cr4, eax
        ; The vendor's hypercall is there, and an unknown one says so.
        xor eax, eax
        cpuid
        cmp ebx, "Auth"
        mov eax, 0x7FFF
        je .amd
        vmcall
        jmp .called
.amd:   vmmcall
.called:
        check_equal eax, -1000, "an unknown hypercall"
        ; Cache flushes do nothing that can be seen.
        wbinvd
        invd
        ret

section .data progbits alloc noexec write align=16
vmxon_operand:  dq 0x300000, 0
