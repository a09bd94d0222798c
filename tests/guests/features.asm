; What CPUID announces can be used: MSRs of each bit shown can be read and written, its bit of CR4 can be set.
%include "guest.inc"

; leaf, register (0 EAX … 3 EDX), bit, kind, MSR or bit of CR4
READ_WRITE      equ 0
READ_ONLY       equ 1
COMMAND         equ 2
CR4_BIT         equ 3
ROW_BYTES       equ 20

main:   mov ebp, rows
.next:  cmp ebp, rows_end
        jae .done
        mov eax, [ebp]
        xor ecx, ecx
        cpuid
        mov [registers], eax
        mov [registers + 4], ebx
        mov [registers + 8], ecx
        mov [registers + 12], edx
        mov eax, [ebp + 4]
        mov ecx, [ebp + 8]
        bt [registers + eax * 4], ecx
        jnc .skip
        inc dword [used]
        call use
.skip:  add ebp, ROW_BYTES
        jmp .next
.done:  cmp dword [used], 10
        check ae, "hardly any feature is shown"
        ret

use:    mov ecx, [ebp + 16]
        mov eax, [ebp + 12]
        cmp eax, CR4_BIT
        je .cr4
        cmp eax, COMMAND
        je .command
        rdmsr
        cmp dword [ebp + 12], READ_ONLY
        je .denied
        wrmsr
        ret
.command:
        xor eax, eax
        xor edx, edx
        wrmsr
        ret
.denied:
        expect_fault 13, "WRMSR of an MSR that can only be read", wrmsr
        ret
.cr4:   mov eax, cr4
        mov ebx, eax
        bts eax, ecx
        mov cr4, eax
        mov edx, cr4
        check_equal edx, eax, "a bit of CR4 that CPUID announces"
        mov cr4, ebx
        ret

section .data
align 4
rows:   dd 1, 3, 1, CR4_BIT, 0          ; VME
        dd 1, 3, 2, CR4_BIT, 3          ; DE
        dd 1, 3, 3, CR4_BIT, 4          ; PSE
        dd 1, 3, 4, CR4_BIT, 2          ; TSC
        dd 1, 3, 4, READ_WRITE, 0x10
        dd 1, 3, 6, CR4_BIT, 5          ; PAE
        dd 1, 3, 7, CR4_BIT, 6          ; MCE
        dd 1, 3, 9, READ_WRITE, 0x1B    ; APIC
        dd 1, 3, 11, READ_WRITE, 0x174  ; SEP
        dd 1, 3, 12, READ_ONLY, 0xFE    ; MTRR
        dd 1, 3, 13, CR4_BIT, 7         ; PGE
        dd 1, 3, 14, READ_ONLY, 0x179   ; MCA
        dd 1, 3, 16, READ_WRITE, 0x277  ; PAT
        dd 1, 3, 24, CR4_BIT, 9         ; FXSR
        dd 1, 3, 25, CR4_BIT, 10        ; SSE
        dd 1, 2, 24, READ_WRITE, 0x6E0  ; TSC deadline
        dd 1, 2, 26, CR4_BIT, 18        ; XSAVE
        dd 7, 1, 0, CR4_BIT, 16         ; FSGSBASE
        dd 7, 1, 1, READ_WRITE, 0x3B    ; TSC_ADJUST
        dd 7, 1, 7, CR4_BIT, 20         ; SMEP
        dd 7, 1, 20, CR4_BIT, 21        ; SMAP
        dd 7, 2, 2, CR4_BIT, 11         ; UMIP
        dd 7, 2, 3, CR4_BIT, 22         ; PKU
        dd 7, 2, 22, READ_WRITE, 0xC0000103 ; RDPID
        dd 7, 3, 26, READ_WRITE, 0x48   ; IBRS and IBPB
        dd 7, 3, 26, COMMAND, 0x49
        dd 7, 3, 27, READ_WRITE, 0x48   ; STIBP
        dd 7, 3, 28, COMMAND, 0x10B     ; L1D_FLUSH
        dd 7, 3, 29, READ_ONLY, 0x10A   ; ARCH_CAPABILITIES
        dd 7, 3, 31, READ_WRITE, 0x48   ; SSBD
        dd 0x80000001, 3, 27, READ_WRITE, 0xC0000103 ; RDTSCP
        dd 0x80000008, 1, 12, COMMAND, 0x49
        dd 0x80000008, 1, 14, READ_WRITE, 0x48
        dd 0x80000008, 1, 15, READ_WRITE, 0x48
        dd 0x80000008, 1, 24, READ_WRITE, 0x48
rows_end:

section .bss
registers:      resd 4
used:           resd 1
