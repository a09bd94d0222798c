; Times round trips through the hypervisor with RDTSC. Under an emulator that counts instructions as time, the difference is
; the number of instructions that the hypervisor executed. Prints one line `bench NAME VALUE` each: the least of ROUNDS
; averages over COUNT operations, less an empty loop.
%include "guest.inc"

COUNT   equ 1000
ROUNDS  equ 5

APIC            equ 0xFEE00000
APIC_ID         equ APIC + 0x20
APIC_EOI        equ APIC + 0xB0
APIC_SPURIOUS   equ APIC + 0xF0
APIC_ICR        equ APIC + 0x300
APIC_LVT_TIMER  equ APIC + 0x320
APIC_TIMER      equ APIC + 0x380
MSR_APIC_BASE   equ 0x1B
MSR_DEBUGCTL    equ 0x1D9
MSR_EFER        equ 0xC0000080
VECTOR          equ 0x50
SELF_IPI        equ 0x00044000 | VECTOR

; measure "name", count, instruction …: EBP counts; the body keeps EBP and EBX.
%macro measure 3+
        mov dword [best], -1
        mov ebx, ROUNDS
%%round:
        rdtsc
        mov [start], eax
        mov ebp, %2
%%loop: %3
        dec ebp
        jnz %%loop
        rdtsc
        sub eax, [start]
        cmp eax, [best]
        jae %%slower
        mov [best], eax
%%slower:
        dec ebx
        jnz %%round
        mov ecx, %2
        mov esi, %%name
        call report
        jmp %%done
%%name: db %1, 0
%%done:
%endmacro

; named "prefix", "name", count, instruction …: the same, with the name in two parts.
%macro named 4+
  %strcat %%both %1, %2
        measure %%both, %3, %4
%endmacro

; rows "prefix": one line for each kind of exit.
%macro rows 1
        named %1, "cpuid", COUNT, call cpuid_leaf
        named %1, "hypercall", COUNT, call hypercall
        named %1, "rdmsr", COUNT, call read_msr
        named %1, "wrmsr", COUNT, call write_msr
        named %1, "in", COUNT, call read_port
        named %1, "out", COUNT, call write_port
        named %1, "mmio-read", COUNT, mov eax, [APIC_ID]
        named %1, "eoi-write", COUNT, mov dword [APIC_EOI], 0
        mov dword [APIC_LVT_TIMER], 0x10000 | VECTOR
        named %1, "timer-arm", COUNT, mov dword [APIC_TIMER], 0x7FFFFFFF
        mov dword [APIC_TIMER], 0
%endmacro

main:   call measure_empty
        mov dword [on_interrupt], end_of_interrupt
        mov dword [APIC_SPURIOUS], 0x1FF
        rows ""
        measure "wake-up", 100, call wake_up
        cmp dword [interrupts], 100 * ROUNDS
        check e, "an interrupt was lost"
        ; With interrupts off while one waits, as interrupt handlers and drivers work.
        cli
        mov dword [APIC_ICR], SELF_IPI
        measure "waiting-in", COUNT, call read_port
        sti
        nop
        cmp dword [interrupts], 100 * ROUNDS + 1
        check e, "the interrupt that waited was lost"
        cli
        mov edi, FIRST
        mov esi, text_fault
        call measure_faults
        call crowd
        rows "crowded-"
        mov edi, FIRST + PAGES * STEP
        mov esi, text_crowded_fault
        call measure_faults
        call paging_on
        rows "paged-"
        ret

; 4-level paging with 4 KiB pages for the first 2 MiB, where the code is, and the local APIC in its place.
TABLES  equ FIRST
paging_on:
        mov edi, TABLES
        mov ecx, 0x6000 / 4
        xor eax, eax
        rep stosd
        mov dword [TABLES], TABLES + 0x1003
        mov dword [TABLES + 0x1000], TABLES + 0x2003
        mov dword [TABLES + 0x1000 + 3 * 8], TABLES + 0x3003
        mov dword [TABLES + 0x2000], TABLES + 0x4003
        mov dword [TABLES + 0x2000 + (TABLES >> 21) * 8], TABLES + 0x83
        mov dword [TABLES + 0x3000 + ((APIC >> 21) & 511) * 8], (APIC & 0xFFE00000) | 0x93
        mov edi, TABLES + 0x4000
        mov eax, 3
.next:  mov [edi], eax
        add edi, 8
        add eax, 0x1000
        cmp eax, 0x00200000
        jb .next
        mov eax, cr4
        or eax, 1 << 5                          ; CR4.PAE
        mov cr4, eax
        mov ecx, MSR_EFER
        rdmsr
        or eax, 1 << 8                          ; EFER.LME
        wrmsr
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, 1 << 31                         ; CR0.PG
        mov cr0, eax
        ret

; Exits of so many kinds that every table of the hypervisor which remembers kinds of exits is full, each often enough to look
; important, and in particular the ones whose numbers are next to those that `rows` uses.
CROWD   equ 4096
CROWDS  equ 3
crowd:  mov ebp, CROWDS
.again: xor esi, esi
.next:  lea eax, [0x40000000 + esi]
        cpuid
        lea eax, [esi + 1]
        cpuid
        lea eax, [0x8000 + esi]
        vmmcall
        lea eax, [0x7000 + esi]
        cmp eax, 0x7FFF
        je .ports
        vmmcall
.ports: lea edx, [0x2000 + esi]
        in al, dx
        inc esi
        cmp esi, CROWD
        jb .next
        dec ebp
        jnz .again
        ret

; The bodies below cost what `call` and `ret` do, and the empty loop's body is the same: it is subtracted.
nothing:
        nop
        ret
cpuid_leaf:
        push ebx
        xor eax, eax
        cpuid
        pop ebx
        ret
hypercall:
        mov eax, 0x7FFF
        vmmcall
        ret
read_msr:
        mov ecx, MSR_APIC_BASE
        rdmsr
        ret
write_msr:
        mov ecx, MSR_DEBUGCTL
        xor eax, eax
        xor edx, edx
        wrmsr
        ret
read_port:
        in al, 0x61
        ret
write_port:
        mov al, 0xFF
        out 0x21, al
        ret

; An interrupt to itself while halted: IPI, HLT, handler, EOI.
wake_up:
        cli
        mov dword [APIC_ICR], SELF_IPI
        sti
        hlt
        ret

end_of_interrupt:
        mov dword [APIC_EOI], 0
        ret

; The first touch of pages from EDI on that the hypervisor has not mapped yet (vm0.lazy=1), one in each 2 MiB. ESI: its name.
FIRST   equ 0x01000000
STEP    equ 0x00200000
PAGES   equ 16
measure_faults:
        mov ecx, PAGES
        rdtsc
        mov [start], eax
.next:  mov eax, [edi]
        add edi, STEP
        dec ecx
        jnz .next
        rdtsc
        sub eax, [start]
        mov [best], eax
        push dword [empty]
        mov dword [empty], 0
        mov ecx, PAGES
        call report
        pop dword [empty]
        ret

measure_empty:
        mov dword [empty], 0
        measure "empty", COUNT, call nothing
        mov eax, [average]
        mov [empty], eax
        ret

; Prints the line for ESI: [best] / ECX - [empty]; leaves the average in [average].
report: mov eax, [best]
        xor edx, edx
        div ecx
        mov [average], eax
        sub eax, [empty]
        push eax
        push esi
        mov esi, text_bench
        call print
        pop esi
        call print
        mov esi, text_blank
        call print
        pop eax
        call print_decimal
        mov esi, text_newline
        call print
        ret

print_decimal:
        pushad
        mov edi, decimal_end
        mov ebx, 10
.next:  xor edx, edx
        div ebx
        add dl, '0'
        dec edi
        mov [edi], dl
        test eax, eax
        jnz .next
        mov esi, edi
        call print
        popad
        ret

section .rodata
text_bench:     db "bench ", 0
text_fault:     db "nested-fault", 0
text_crowded_fault: db "crowded-nested-fault", 0
text_blank:     db " ", 0

section .data progbits alloc noexec write align=16
decimal:        times 12 db 0
decimal_end:    db 0

section .bss
start:          resd 1
best:           resd 1
empty:          resd 1
average:        resd 1
