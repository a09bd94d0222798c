; 64-bit start in the upper half: stack, descriptor tables, segment bases, linear memory; then the kernel.
%include "constants.inc"
%include "cpu.inc"

GATE_INTERRUPT  equ 0x8E                ; present, DPL 0, 64-bit interrupt gate
VECTORS         equ 256
STUB_BYTES      equ 16

VECTOR_NMI              equ 2
VECTOR_DOUBLE_FAULT     equ 8
VECTOR_PAGE_FAULT       equ 14
VECTOR_MACHINE_CHECK    equ 18

global tv_start64, tv_cpu0_block, tv_cpu0_gdt, tv_cpu0_tss, tv_idt
extern tv_stack_top, tv_stack_nmi_top, tv_stack_df_top, tv_stack_mc_top, tv_stack_pf_top
extern tv_early_pml4, tv_linear_pdpt, tv_vector_stubs
extern tv__start, tv_kmain, tv_linear_init

section .text progbits alloc exec nowrite align=16
bits 64
tv_start64:
        mov rsp, tv_stack_top
        xor ebp, ebp
        call load_descriptor_tables
        call load_segment_bases
        call map_linear_memory
        call fill_linear_memory
        call tv__start
        call tv_kmain
.halt:  cli
        hlt
        jmp .halt

load_descriptor_tables:
        mov rbx, tv_cpu0_block
        call fill_tss_descriptor
        lea rax, [rbx + CpuBlock.gdt]
        mov rdx, 5 * 8 - 1
        sub rsp, 16
        mov [rsp + 6], dx
        mov [rsp + 8], rax
        lgdt [rsp + 6]
        mov eax, SELECTOR_DATA
        mov ds, eax
        mov es, eax
        mov ss, eax
        xor eax, eax
        mov fs, eax
        mov gs, eax
        mov eax, SELECTOR_TSS
        ltr ax
        call fill_gates
        mov rax, tv_idt
        mov edx, VECTORS * 16 - 1
        mov [rsp + 6], dx
        mov [rsp + 8], rax
        lidt [rsp + 6]
        add rsp, 16
        ret

; The TSS's base is spread over its descriptor, so no relocation can fill it. RBX: the CPU's block.
fill_tss_descriptor:
        lea rax, [rbx + CpuBlock.tss]
        lea rdi, [rbx + CpuBlock.gdt + SELECTOR_TSS]
        mov word [rdi], TSS_BYTES - 1
        mov [rdi + 2], ax
        shr rax, 16
        mov [rdi + 4], al
        mov byte [rdi + 5], 0x89        ; present, available 64-bit TSS
        mov byte [rdi + 6], 0
        mov [rdi + 7], ah
        shr rax, 16
        mov [rdi + 8], rax
        ret

; Gate n points to stub n; a few switch stacks.
fill_gates:
        mov rdi, tv_idt
        mov rax, tv_vector_stubs
        mov ecx, VECTORS
.next:  mov [rdi], ax
        mov word [rdi + 2], SELECTOR_CODE
        mov word [rdi + 4], GATE_INTERRUPT << 8
        mov rdx, rax
        shr rdx, 16
        mov [rdi + 6], dx
        shr rdx, 16
        mov [rdi + 8], rdx
        add rax, STUB_BYTES
        add rdi, 16
        loop .next
        mov rdi, tv_idt
        mov byte [rdi + VECTOR_NMI * 16 + 4], IST_NMI
        mov byte [rdi + VECTOR_DOUBLE_FAULT * 16 + 4], IST_DOUBLE_FAULT
        mov byte [rdi + VECTOR_MACHINE_CHECK * 16 + 4], IST_MACHINE_CHECK
        mov byte [rdi + VECTOR_PAGE_FAULT * 16 + 4], IST_PAGE_FAULT
        ret

; FS: this CPU's block. GS: the direct map.
load_segment_bases:
        mov rax, tv_cpu0_block
        mov ecx, MSR_FS_BASE
        call write_msr
        mov rax, DIRECT_MAP
        mov ecx, MSR_GS_BASE
write_msr:
        mov rdx, rax
        shr rdx, 32
        wrmsr
        ret

; Linear memory takes the place of the identity map.
map_linear_memory:
        mov rax, tv_early_pml4
        mov rdx, tv_linear_pdpt
        mov rcx, IMAGE_BASE
        sub rdx, rcx
        or rdx, PTE_RW
        mov [rax], rdx
        mov rax, cr3
        mov cr3, rax
        ret

; Initial contents: the two planes of tools/aot/linear-image.ts. The loader has zeroed the rest.
fill_linear_memory:
        mov rsi, tv_linear_init
        call unpack
; RSI: a plane; its packed stream is that of tools/aot/pack.ts. Leaves RSI behind it.
unpack: mov edi, [rsi]
        mov ebp, [rsi + 4]
        add rsi, 8
.step:  cmp edi, ebp
        jae .done
        movzx edx, byte [rsi]
        inc rsi
        mov ecx, edx
        shr ecx, 4
        call .length
        jecxz .copied
.literal:
        movsb
        inc edi
        loop .literal
.copied:
        cmp edi, ebp
        jae .done
        mov ecx, edx
        and ecx, 15
        call .length
        add ecx, 4                      ; the shortest copy
        movzx eax, word [rsi]
        add rsi, 2
        add eax, eax
        jz .zeros
        mov ebx, edi
        sub ebx, eax
.copy:  mov al, [rbx]
        mov [rdi], al
        add ebx, 2
        add edi, 2
        loop .copy
        jmp .step
.zeros: lea edi, [rdi + 2 * rcx]
        jmp .step
.done:  ret
; Adds the number that follows to ECX if that is 15: LEB128.
.length:
        cmp ecx, 15
        jne .done
        push rcx
        xor ebx, ebx
        xor ecx, ecx
.more:  lodsb
        movzx r8d, al
        and r8d, 127
        shl r8d, cl
        add ebx, r8d
        add ecx, 7
        test al, al
        js .more
        pop rcx
        add ecx, ebx
        ret

section .data progbits alloc noexec write align=64
tv_cpu0_block:
istruc CpuBlock
  at CpuBlock.linear,   dq 0
  at CpuBlock.nmis,     dq 0
  at CpuBlock.faults,   dq 0
  at CpuBlock.gdt,      dq 0, 0x00AF9A000000FFFF, 0x00CF92000000FFFF, 0, 0
  at CpuBlock.tss
        times TSS_IST1 db 0
        dq tv_stack_nmi_top, tv_stack_df_top, tv_stack_mc_top, tv_stack_pf_top, 0, 0, 0
        times TSS_IO_MAP - TSS_IST1 - 7 * 8 db 0
        dw TSS_BYTES                    ; no I/O permission map
  at CpuBlock.reserved, times 16 db 0
iend
tv_cpu0_gdt     equ tv_cpu0_block + CpuBlock.gdt
tv_cpu0_tss     equ tv_cpu0_block + CpuBlock.tss

section .bss nobits alloc noexec write align=4096
tv_idt: resb VECTORS * 16
