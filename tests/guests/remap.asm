; Another instruction at the same linear address, after the guest has mapped another page there: by INVLPG, by a load of CR3, by
; another page table, by another root. What exits is the instruction that is there now. Under each paging mode.
;
; And a MOV that reaches a device from one place again and again, but the last time across the border of its page.
%include "guest.inc"

TABLES          equ 0x400000
TABLE_A         equ TABLES + 0x3000
TABLE_B         equ TABLES + 0x4000
PAGE_A          equ TABLES + 0x6000
PAGE_B          equ TABLES + 0x7000
RAM_BELOW       equ TABLES + 0x8000
RAM_ABOVE       equ TABLES + 0x9000
OTHER_ROOT      equ TABLES + 0xA000
END             equ TABLES + 0x10000
APIC            equ 0xFEE00000
TPR             equ 0x80
; Four pages: code, RAM, the local APIC, RAM.
WINDOW          equ 0x40000000
APIC_WINDOW     equ WINDOW + 0x2000
CR0_PG          equ 1 << 31
CR4_PSE         equ 1 << 4
CR4_PAE         equ 1 << 5
MSR_EFER        equ 0xC0000080
EFER_LME        equ 1 << 8
MSR_MTRR_BASE   equ 0x200
OLD             equ 0x10000006
NEW             equ 0x20000006

WAYS            equ 4
TURNS           equ 6

main:   ; 32-bit paging: 4 MiB pages for RAM.
        mov dword [width], 4
        call clear
        mov dword [TABLES], 0x00000083
        mov dword [TABLES + 4], 0x00400083
        mov dword [directory], TABLES + (WINDOW >> 22) * 4
        mov eax, cr4
        or eax, CR4_PSE
        mov cr4, eax
        call run

        ; PAE: four page-directory pointers.
        mov dword [width], 8
        call clear
        mov dword [TABLES], TABLES + 0x1001
        mov dword [TABLES + 8], TABLES + 0x2001
        mov edi, TABLES + 0x1000
        call map_ram
        mov dword [directory], TABLES + 0x2000
        mov eax, cr4
        or eax, CR4_PAE
        mov cr4, eax
        call run

        ; 4-level paging, and 32-bit code.
        call clear
        mov dword [TABLES], TABLES + 0x1003
        mov dword [TABLES + 0x1000], TABLES + 0x2003
        mov dword [TABLES + 0x1008], TABLES + 0x5003
        mov edi, TABLES + 0x2000
        call map_ram
        mov dword [directory], TABLES + 0x5000
        mov ecx, MSR_EFER
        rdmsr
        or eax, EFER_LME
        wrmsr
        call run
        mov ecx, MSR_EFER
        rdmsr
        and eax, ~EFER_LME
        wrmsr
        mov eax, cr4
        and eax, ~CR4_PAE
        mov cr4, eax
        ret

; EDI: a page directory of 8-byte entries.
map_ram:
        mov dword [edi], 0x00000083
        mov dword [edi + 8], 0x00200083
        mov dword [edi + 16], 0x00400083
        ret

clear:  mov edi, TABLES
        mov ecx, (END - TABLES) / 4
        xor eax, eax
        rep stosd
        ret

; --- under one paging mode -------------------------------------------------------------------------------------------------

run:    mov ebx, TABLE_A
        mov dword [ebx], PAGE_A | 3
        call map_window
        mov ebx, TABLE_B
        mov dword [ebx], PAGE_B | 3
        call map_window
        mov eax, [directory]
        mov dword [eax], TABLE_A | 3
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        jmp .paged
.paged: mov dword [way], 0
.next:  call test_msr
        call test_cpuid
        call test_load
        call test_store
        inc dword [way]
        cmp dword [way], WAYS
        jb .next
        call test_border
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        jmp .off
.off:   ret

; EBX: a page table. Its pages behind the code.
map_window:
        mov ecx, [width]
        mov dword [ebx + ecx], RAM_BELOW | 3
        mov dword [ebx + ecx * 2], APIC | 0x13
        lea ecx, [ecx + ecx * 2]
        mov dword [ebx + ecx], RAM_ABOVE | 3
        ret

; Makes EBP = 0: page A, 1: page B, appear at WINDOW, by [way]. Preserves EAX, ECX and EDX.
show:   pushad
        mov eax, ebp
        shl eax, 12
        mov edx, [directory]
        cmp dword [way], 2
        je .table
        cmp dword [way], 3
        je .root
        lea ecx, [PAGE_A + eax + 3]
        mov dword [edx], TABLE_A | 3
        mov [TABLE_A], ecx
        cmp dword [way], 1
        je .reload
        invlpg [WINDOW]
        jmp .done
.reload:
        mov eax, cr3
        mov cr3, eax
        jmp .done
.table: mov dword [TABLE_A], PAGE_A | 3
        lea ecx, [TABLE_A + eax + 3]
        mov [edx], ecx
        invlpg [WINDOW]
        jmp .done
        ; The same tables but for the entry of the code, changed while the other root is in use; then back.
.root:  mov esi, TABLES
        mov edi, OTHER_ROOT
        mov ecx, 0x1000 / 4
        rep movsd
        mov ecx, OTHER_ROOT
        mov cr3, ecx
        lea ecx, [PAGE_A + eax + 3]
        mov dword [edx], TABLE_A | 3
        mov [TABLE_A], ecx
        mov ecx, TABLES
        mov cr3, ecx
.done:  popad
        ret

; place page, "bytes": what is executed there.
%macro place 2+
        mov esi, %%bytes
        mov edi, %1
        mov ecx, 16
        rep movsb
        jmp %%after
%%bytes:
        db %2
        times 16 nop
%%after:
%endmacro

; in_turns check_a, check_b: pages A and B alternate, and a check calls WINDOW. EBP says which it is: 0, 1.
%macro in_turns 2
        mov dword [turn], 0
%%next: xor ebp, ebp
        call show
        ; Twice: the second time it may be known.
        call %1
        call %1
        inc ebp
        call show
        call %2
        call %2
        inc dword [turn]
        cmp dword [turn], TURNS
        jb %%next
%endmacro

test_msr:
        place PAGE_A, 0x0F, 0x32, 0xC3          ; RDMSR
        place PAGE_B, 0x0F, 0x30, 0xC3          ; WRMSR
        in_turns read_old, write_new
        ret
read_old:
        call write_old
        mov ecx, MSR_MTRR_BASE
        mov eax, NEW
        xor edx, edx
        call WINDOW
        check_equal eax, OLD, "RDMSR where WRMSR was"
        ret
write_new:
        call write_old
        mov ecx, MSR_MTRR_BASE
        mov eax, NEW
        xor edx, edx
        call WINDOW
        rdmsr
        check_equal eax, NEW, "WRMSR where RDMSR was"
        ret
write_old:
        mov ecx, MSR_MTRR_BASE
        mov eax, OLD
        xor edx, edx
        wrmsr
        ret

; With a length of two, the second goes on with A2h, which stores AL where there is no memory.
test_cpuid:
        place PAGE_A, 0x0F, 0xA2, 0x41, 0xC3                            ; CPUID; INC ECX
        place PAGE_B, 0x66, 0x0F, 0xA2, 0x90, 0x90, 0x90, 0x90, 0xC3    ; the same with a prefix that does nothing
        in_turns cpuid_there, cpuid_there
        ret
cpuid_there:
        push ebp
        xor eax, eax
        xor ecx, ecx
        cpuid
        mov esi, ecx
        mov edi, edx
        mov ebp, [esp]
        xor ebp, 1
        add esi, ebp                            ; where INC ECX follows
        xor eax, eax
        xor ecx, ecx
        call WINDOW
        check_equal ecx, esi, "CPUID: ECX, and what follows"
        check_equal edx, edi, "CPUID: EDX"
        pop ebp
        ret

test_load:
        place PAGE_A, 0xA1, 0x80, 0x20, 0x00, 0x40, 0xC3                ; MOV EAX, [TPR]
        place PAGE_B, 0x8B, 0x0D, 0x80, 0x20, 0x00, 0x40, 0xC3          ; MOV ECX, [TPR]
        mov dword [APIC_WINDOW + TPR], 0x50
        in_turns load_eax, load_ecx
        mov dword [APIC_WINDOW + TPR], 0
        ret
load_eax:
        mov eax, 1
        mov ecx, 2
        call WINDOW
        check_equal eax, 0x50, "load to EAX"
        check_equal ecx, 2, "load to EAX, not ECX"
        ret
load_ecx:
        mov eax, 1
        mov ecx, 2
        call WINDOW
        check_equal ecx, 0x50, "load to ECX"
        check_equal eax, 1, "load to ECX, not EAX"
        ret

test_store:
        place PAGE_A, 0xC7, 0x05, 0x80, 0x20, 0x00, 0x40, 0x20, 0, 0, 0, 0xC3   ; MOV dword [TPR], 20h
        place PAGE_B, 0xC7, 0x05, 0x80, 0x20, 0x00, 0x40, 0x30, 0, 0, 0, 0xC3
        in_turns store_20, store_30
        mov dword [APIC_WINDOW + TPR], 0
        ret
store_20:
        call WINDOW
        check_equal [APIC_WINDOW + TPR], 0x20, "store of 20h"
        ret
store_30:
        call WINDOW
        check_equal [APIC_WINDOW + TPR], 0x30, "store of 30h"
        ret

; --- across the border of the device's page --------------------------------------------------------------------------------

test_border:
        mov edx, TURNS
.next:  mov dword [RAM_BELOW + 0xFFC], 0
        mov dword [RAM_ABOVE], 0
        mov edi, APIC_WINDOW + TPR
        mov eax, 0x60
        call store_eax
        call store_eax
        check_equal [APIC_WINDOW + TPR], 0x60, "store to the device"
        mov eax, 0x44332211
        mov edi, APIC_WINDOW - 2
        call store_eax
        check_equal [RAM_BELOW + 0xFFC], 0x22110000, "half of a store in the page below"
        mov edi, APIC_WINDOW + 0x1000 - 1
        call store_eax
        check_equal [RAM_ABOVE], 0x00443322, "most of a store in the page above"
        mov edi, APIC_WINDOW + 0x1000 - 3
        call store_eax
        check_equal [RAM_ABOVE], 0x00443344, "the last byte of a store in the page above"
        dec edx
        jnz .next
        mov dword [APIC_WINDOW + TPR], 0
        ret
store_eax:
        mov [edi], eax
        ret

section .bss
width:          resd 1
directory:      resd 1
way:            resd 1
turn:           resd 1
