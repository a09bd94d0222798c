; The stacks of the bootstrap processor. In the stack window each has an unmapped page below it, so that an overflow is a
; page fault and never silent damage:
;
;   slot + 0x00000  guard      0x01000  main, 64 KiB           0x11000  guard    0x12000  #DF, 16 KiB
;          0x16000  guard      0x17000  #PF, 16 KiB            0x1B000  guard    0x1C000  #MC, 16 KiB
;          0x20000  guard      0x21000  NMI, 4 KiB             0x22000 … 0x40000 unmapped
%include "constants.inc"

global tv_stack_start, tv_stack_top, tv_stack_pages, tv_stack_extents
global tv_stack_df_top, tv_stack_pf_top, tv_stack_mc_top, tv_stack_nmi_top
global tv_stack_physical_top

tv_stack_start          equ STACK_WINDOW + 0x01000
tv_stack_top            equ STACK_WINDOW + 0x11000
tv_stack_df_top         equ STACK_WINDOW + 0x16000
tv_stack_pf_top         equ STACK_WINDOW + 0x1B000
tv_stack_mc_top         equ STACK_WINDOW + 0x20000
tv_stack_nmi_top        equ STACK_WINDOW + 0x22000

MAIN_PAGES      equ 16
FAULT_PAGES     equ 4
NMI_PAGES       equ 1

section .rodata progbits alloc noexec nowrite align=16
; Pairs (first page within the slot, pages), in the order of the pages in memory; ends with zero pages.
tv_stack_extents:
        dd 0x01, MAIN_PAGES
        dd 0x12, FAULT_PAGES
        dd 0x17, FAULT_PAGES
        dd 0x1C, FAULT_PAGES
        dd 0x21, NMI_PAGES
        dd 0, 0

section .bss nobits alloc noexec write align=4096
tv_stack_pages:
        resb (MAIN_PAGES + 3 * FAULT_PAGES + NMI_PAGES) * PAGE
; Top of the main stack, as 32-bit code without paging sees it.
tv_stack_physical_top   equ PHYSICAL(tv_stack_pages) + MAIN_PAGES * PAGE
