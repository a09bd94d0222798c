; The local APIC's timer at the ends of its range costs no exits: counted by the counters that CPUID shows.
%include "guest.inc"

APIC_BASE       equ 0x1B
TSC_DEADLINE    equ 0x6E0
X2APIC_SVR      equ 0x80F
X2APIC_LVT      equ 0x832
X2APIC_INITIAL  equ 0x838
MASKED          equ 1 << 16
DEADLINE_MODE   equ 2 << 17
VECTOR          equ 0x40
ALL_EXITS       equ 0x4FFFFFFC
LOOPS           equ 2000000
; Those of the physical timer and of the reads themselves are among them.
FEW             equ 60

main:   mov ecx, APIC_BASE
        rdmsr
        or eax, 1 << 10
        wrmsr
        mov ecx, X2APIC_SVR
        mov eax, 0x1FF
        xor edx, edx
        wrmsr
        mov ecx, X2APIC_LVT
        mov eax, DEADLINE_MODE | VECTOR
        xor edx, edx
        wrmsr

        mov ecx, 0x10
        rdmsr
        test eax, eax
        check nz, "the TSC reads as zero"

        ; Deadlines that never come, with interrupts off and on. Conversions to nanoseconds and back round by up to 2^30 ticks
        ; at this distance: one of these is past the end of the host's TSC by little.
        mov edi, ends
.each:   mov eax, [edi]
        mov edx, 0xFFFFFFFF
        call quiet
        add edi, 4
        cmp edi, ends_last
        jb .each
        xor eax, eax
        mov edx, 0x80000000
        call quiet
        sti
        mov eax, 0xFFFFFFFF
        mov edx, 0xFFFFFFFF
        call quiet
        check_equal [interrupts], 0, "a deadline at the end of time has come"

        ; One that has passed interrupts once and is disarmed.
        mov ecx, TSC_DEADLINE
        mov eax, 1
        xor edx, edx
        wrmsr
        nop
        cli
        mov ecx, TSC_DEADLINE
        rdmsr
        or eax, edx
        check z, "a deadline that has passed is still armed"
        ret

; Starts the TSC anew, so that the host's is ahead, sets the deadline EDX:EAX and counts the exits of a loop without any.
quiet:  push eax
        push edx
        xor eax, eax
        xor edx, edx
        mov ecx, 0x10
        wrmsr
        pop edx
        pop eax
        mov ecx, TSC_DEADLINE
        wrmsr
        mov esi, eax
        rdmsr
        check_equal eax, esi, "the deadline reads otherwise than it was written"
        mov eax, ALL_EXITS
        xor ecx, ecx
        cpuid
        mov esi, eax
        mov ecx, LOOPS
.spin:  dec ecx
        jnz .spin
        mov eax, ALL_EXITS
        xor ecx, ecx
        cpuid
        sub eax, esi
        cmp eax, FEW
        check be, "exits while nothing happened"
        ret

section .data
align 4
ends:    dd 0xFFFFFFFF, 0xFFFFFFFE, 0xEFFFFFFF, 0xDFFFFFFF, 0xBFFFFFFF, 0x7FFFFFFF
ends_last:
