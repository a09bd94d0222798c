; The page tables that the kernel starts on, built by 32-bit code. kernel/mm/paging.ts replaces them by exact ones.
;
;   PML4[0]     while switching: identity map of the image; then: linear memory, page 0 absent
;   PML4[256]   direct map of the first 4 GiB
;   PML4[510]   stacks of this CPU, with guard pages (kept by the final tables)
;   PML4[511]   image
%include "constants.inc"

DIRECT_GIB      equ 4
ENTRIES         equ 512
; Large pages that hold the image and linear memory, from physical address 0.
IMAGE_PAGES     equ 16

global tv_early_tables, tv_early_pml4, tv_linear_pdpt
extern tv_stack_extents, tv_stack_pages, tv_linear_start, tv_linear_large_pages

section .boot32 progbits alloc exec nowrite align=16
bits 32
; Clobbers all registers but ESP.
tv_early_tables:
        ; direct map and image: large pages from physical address 0
        mov edi, PHYSICAL(direct_directories)
        mov eax, PTE_RW | PTE_LARGE
        mov edx, PTE_NX_HIGH
        mov ecx, DIRECT_GIB * ENTRIES
        call fill_large
        mov edi, PHYSICAL(image_directory)
        mov eax, PTE_RW | PTE_LARGE
        xor edx, edx
        mov ecx, IMAGE_PAGES
        call fill_large
        ; linear memory: 4 KiB pages in the first large page, so that page 0 can be absent
        mov edi, PHYSICAL(linear_directory)
        mov eax, PHYSICAL(tv_linear_start) + (PTE_RW | PTE_LARGE)
        mov edx, PTE_NX_HIGH
        mov ecx, tv_linear_large_pages
        call fill_large
        mov edi, PHYSICAL(linear_table)
        mov eax, PHYSICAL(tv_linear_start) + PTE_RW
        mov ecx, ENTRIES
        call fill_small
        mov dword [PHYSICAL(linear_table)], 0
        mov dword [PHYSICAL(linear_table) + 4], 0
        call map_stacks
        jmp link_tables

; Writes ECX entries for consecutive large (small) pages at EDI: EAX is the first's low half, EDX the high half.
fill_large:
        mov ebx, LARGE_PAGE
        jmp fill
fill_small:
        mov ebx, PAGE
fill:   mov [edi], eax
        mov [edi + 4], edx
        add eax, ebx
        add edi, 8
        loop fill
        ret

; The stacks, as tv_stack_extents lists them.
map_stacks:
        mov esi, PHYSICAL(tv_stack_extents)
        mov eax, PHYSICAL(tv_stack_pages) + PTE_RW
        mov edx, PTE_NX_HIGH
.next:  mov ecx, [esi + 4]
        jecxz .done
        mov edi, [esi]
        lea edi, [PHYSICAL(stack_table) + edi * 8]
        call fill_small
        add esi, 8
        jmp .next
.done:  ret

; Entries that point to tables, from a list of (entry, table) pairs.
link_tables:
        mov esi, links
.next:  mov edi, [esi]
        test edi, edi
        jz .done
        mov eax, [esi + 4]
        mov [edi], eax
        mov dword [edi + 4], 0
        add esi, 8
        jmp .next
.done:  ret

%macro link 3
        dd PHYSICAL(%1) + (%2) * 8, PHYSICAL(%3) + PTE_RW
%endmacro

align 8
links:
        link tv_early_pml4, 0, identity_pdpt
        link identity_pdpt, 0, image_directory
        link tv_early_pml4, 256, direct_pdpt
%assign gib 0
%rep DIRECT_GIB
        link direct_pdpt, gib, direct_directories + gib * PAGE
  %assign gib gib + 1
%endrep
        link tv_early_pml4, 510, stack_pdpt
        link stack_pdpt, 0, stack_directory
        link stack_directory, 0, stack_table
        link tv_early_pml4, 511, image_pdpt
        link image_pdpt, 510, image_directory
        link tv_linear_pdpt, 0, linear_directory
        link linear_directory, 0, linear_table
        dd 0

section .bss nobits alloc noexec write align=4096
tv_early_pml4:          resb PAGE
identity_pdpt:          resb PAGE
direct_pdpt:            resb PAGE
direct_directories:     resb DIRECT_GIB * PAGE
image_pdpt:             resb PAGE
image_directory:        resb PAGE
stack_pdpt:             resb PAGE
stack_directory:        resb PAGE
stack_table:            resb PAGE
tv_linear_pdpt:         resb PAGE
linear_directory:       resb PAGE
linear_table:           resb PAGE
