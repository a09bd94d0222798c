; The boot layout (kernel/abi/layout.ts): what the kernel learns about its own image.
%include "constants.inc"

global tv_boot_layout, tv_boot_tsc, tv_multiboot_magic, tv_multiboot_info
extern tv_image_start, tv_image_end, tv_image_text_start, tv_image_text_end, tv_image_rodata_start, tv_image_rodata_end
extern tv_image_data_start, tv_image_data_end, tv_linear_start, tv_linear_bytes, tv_symtab_start, tv_symtab_end
extern tv_stack_start, tv_stack_top, tv_cpu0_block, tv_cpu0_gdt, tv_cpu0_tss, tv_idt, tv_early_pml4
extern tv_report_ports, tv_globals, tv_globals_end

section .data progbits alloc noexec write align=64
tv_boot_layout:
        dq PHYSICAL(tv_image_start)     ; 0x00
        dq PHYSICAL(tv_image_end)       ; 0x08
        dq tv_image_text_start                ; 0x10
        dq tv_image_text_end                  ; 0x18
        dq tv_image_rodata_start              ; 0x20
        dq tv_image_rodata_end                ; 0x28
        dq tv_image_data_start                ; 0x30
        dq tv_image_data_end                  ; 0x38
        dq PHYSICAL(tv_linear_start)    ; 0x40
        dq tv_linear_bytes              ; 0x48
        dq tv_symtab_start              ; 0x50
        dq tv_symtab_end                ; 0x58
        dq tv_stack_start               ; 0x60
        dq tv_stack_top                 ; 0x68
        dq tv_cpu0_gdt                  ; 0x70
        dq tv_cpu0_tss                  ; 0x78
        dq tv_idt                       ; 0x80
        dq PHYSICAL(tv_early_pml4)      ; 0x88
tv_multiboot_magic:
        dq 0                            ; 0x90
tv_multiboot_info:
        dq 0                            ; 0x98
tv_boot_tsc:
        dq 0                            ; 0xA0
        dq PHYSICAL(tv_cpu0_block)      ; 0xA8
        dq PHYSICAL(tv_report_ports)    ; 0xB0
        dq tv_globals                   ; 0xB8
        dq tv_globals_end               ; 0xC0
