; A multiboot kernel that says on COM1 what its loader handed over: command line, module strings, the first four bytes of
; each module, and whether ACPI's root pointer is where a BIOS leaves it. Then it ends the machine (isa-debug-exit with
; value 21; the port that shuts Bochs down).
bits 32

MULTIBOOT_MAGIC equ 0x1BADB002
MULTIBOOT_FLAGS equ 3                   ; page-aligned modules, memory information
COM1            equ 0x3f8
LINE_CONTROL    equ COM1 + 3
LINE_STATUS     equ COM1 + 5

; Multiboot information, and one entry of its module list.
MBI_CMDLINE     equ 16
MBI_MODS_COUNT  equ 20
MBI_MODS_ADDR   equ 24
MOD_START       equ 0
MOD_STRING      equ 8
MOD_BYTES       equ 16

section .text
align 4
        dd MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

global _start
_start: mov     esp, stack_top
        mov     edi, ebx
        mov     dx, LINE_CONTROL
        mov     al, 3                   ; 8 bits, no parity
        out     dx, al
        mov     esi, text_cmdline
        call    print
        mov     esi, [edi + MBI_CMDLINE]
        call    print
        mov     esi, text_close
        call    print
        mov     ecx, [edi + MBI_MODS_COUNT]
        mov     ebp, [edi + MBI_MODS_ADDR]
.module:
        jecxz   .modules_done
        mov     esi, text_module
        call    print
        mov     esi, [ebp + MOD_STRING]
        call    print
        mov     esi, text_begins
        call    print
        mov     esi, [ebp + MOD_START]
        mov     eax, [esi]
        mov     [four_bytes], eax
        mov     esi, four_bytes
        call    print
        mov     esi, text_close
        call    print
        add     ebp, MOD_BYTES
        dec     ecx
        jmp     .module
.modules_done:
        movzx   edx, word [0x40e]       ; BIOS data area: segment of the extended BIOS data area
        shl     edx, 4
        lea     ecx, [edx + 1024]
        call    find_rsdp
        mov     edx, 0xe0000
        mov     ecx, 0x100000
        call    find_rsdp
.drain: mov     dx, LINE_STATUS
        in      al, dx
        test    al, 0x40                ; transmitter empty
        jz      .drain
        mov     eax, 21
        out     0xf4, eax
        mov     dx, 0x8900
        mov     esi, text_shutdown
.port:  lodsb
        test    al, al
        jz      .halt
        out     dx, al
        jmp     .port
.halt:  hlt
        jmp     .halt

; Looks for the root pointer on 16-byte boundaries from edx to ecx.
find_rsdp:
        cmp     dword [edx], 'RSD '
        jne     .next
        cmp     dword [edx + 4], 'PTR '
        je      .found
.next:  add     edx, 16
        cmp     edx, ecx
        jb      find_rsdp
        ret
.found: mov     esi, text_rsdp
        ; fall through

; Prints the string at esi.
print:  lodsb
        test    al, al
        jz      .done
        mov     ah, al
        mov     dx, LINE_STATUS
.wait:  in      al, dx
        test    al, 0x20                ; holding register empty
        jz      .wait
        mov     dx, COM1
        mov     al, ah
        out     dx, al
        jmp     print
.done:  ret

section .rodata
text_cmdline:   db "cmdline=[", 0
text_module:    db "module=[", 0
text_begins:    db "] begins=[", 0
text_close:     db "]", 10, 0
text_rsdp:      db "rsdp found", 10, 0
text_shutdown:  db "Shutdown", 0

section .data
four_bytes:     db 0, 0, 0, 0, 0

section .bss
        resb    4096
stack_top:
