; The instructions of processors, beside those that compilers emit for devices (mmio.asm), on memory where nothing is: it reads as
; ones. Moves of MMX, XMM and YMM registers, the stack, segment and table registers, and what is like no other.
%include "guest.inc"

APIC    equ 0xFEE00000
HOLE    equ 0xD0000000

main:   call general
        call stack
        call selectors
        call tables
        call sse
        call mmx
        call avx
        ret

general:
        mov ebx, HOLE
        mov eax, 0x1234
        xlatb
        check_equal eax, 0x12FF, "XLAT"
        mov eax, -1
        bound eax, [ebx]
        xor eax, eax
        expect_fault 5, "BOUND", bound eax, [ebx]
        xor eax, eax
        crc32 eax, byte [ebx]
        check_equal eax, 0xAD7D5351, "CRC32 of a byte"
        mov eax, -1
        crc32 eax, dword [ebx]
        check_equal eax, 0, "CRC32 of a dword"
        xor eax, eax
        crc32 eax, word [ebx]
        check_equal eax, 0x0E9E77D2, "CRC32 of a word"
        mov eax, 0x12345678
        movbe [APIC + 0x80], eax
        check_equal [APIC + 0x80], 0x12, "MOVBE to the local APIC"
        mov dword [APIC + 0x80], 0
        xor eax, eax
        arpl [ebx], ax
        check nz, "ARPL"
        mov eax, -1
        mov edx, -1
        mov esi, ebx
        cmpxchg8b [esi]
        check z, "CMPXCHG8B"
        ret

; What a handler would need of the stack must not be tried here.
stack:  mov edi, esp
        mov esp, HOLE + 0x200
        pushad
        popad
        mov ebx, esp
        mov esp, [keep]
        check_equal eax, -1, "POPA: EAX"
        check_equal ebx, HOLE + 0x200, "POPA: ESP"
        check_equal ebp, -1, "POPA: EBP"
        mov esp, HOLE + 0x200
        pushfd
        pushfw
        push ds
        push fs
        call .called
.called:
        mov ebx, esp
        mov esp, [keep]
        check_equal ebx, HOLE + 0x200 - 4 - 2 - 4 - 4 - 4, "PUSHF, PUSH of segments, CALL"
        mov esp, HOLE + 0x200
        mov ebp, 5
        enter 16, 0
        mov ecx, ebp
        mov ebx, esp
        leave
        mov edx, esp
        mov esp, [keep]
        check_equal ecx, HOLE + 0x1FC, "ENTER: EBP"
        check_equal ebx, HOLE + 0x1FC - 16, "ENTER: ESP"
        check_equal ebp, -1, "LEAVE: EBP"
        check_equal edx, HOLE + 0x200, "LEAVE: ESP"
        mov esp, HOLE + 0x200
        call CODE32:.far
.far:   mov ebx, esp
        mov esp, [keep]
        check_equal ebx, HOLE + 0x200 - 8, "far CALL"
        ret

selectors:
        mov ebx, HOLE
        mov [ebx], ds
        mov [ebx], cs
        expect_fault 13, "MOV to ES", mov es, [ebx]
        check_equal [last_error], 0xFFFC, "MOV to ES: selector"
        expect_fault 13, "LES", les eax, [ebx]
        expect_fault 13, "LSS", lss eax, [ebx]
        check_equal [last_error], 0xFFFC, "LSS: selector"
        expect_fault 13, "LFS", lfs eax, [ebx]
        expect_fault 13, "far CALL through memory", call far [ebx]
        check_equal [last_error], 0xFFFC, "far CALL: selector"
        expect_fault 13, "far JMP through memory", jmp far [ebx]
        ret

tables: mov ebx, HOLE
        sgdt [ebx]
        sidt [ebx]
        sldt [ebx]
        str [ebx]
        smsw [ebx]
        mov ecx, cr0
        lmsw [ebx]
        mov eax, cr0
        mov cr0, ecx
        and eax, 0xF
        check_equal eax, 0xF, "LMSW"
        sub esp, 8
        sidt [esp]
        lidt [ebx]
        sidt [buffer]
        lidt [esp]
        add esp, 8
        check_equal [buffer + 2], -1, "LIDT"
        ret

; Dwords of the buffer: something else than ones.
clear:  mov dword [buffer], 1
        mov dword [buffer + 4], 2
        mov dword [buffer + 8], 3
        mov dword [buffer + 12], 4
        mov dword [buffer + 16], 5
        mov dword [buffer + 28], 6
        ret

; wide n, text: the first n dwords of the buffer are ones.
%macro wide 2
  %assign at 0
  %rep %1
        check_equal [buffer + at], -1, %2
    %assign at at + 4
  %endrep
%endmacro

sse:    mov eax, cr4
        or eax, 0x600           ; OSFXSR, OSXMMEXCPT
        mov cr4, eax
        mov ebx, HOLE
%assign n 0
%macro sse_load 3               ; instruction, dwords of ones, of zeros behind them
        call clear
        xorps xmm%[n], xmm%[n]
        %1 xmm%[n], [ebx + n * 16]
        movups [buffer], xmm%[n]
        wide %2, %str(%1)
  %if %3 > 0
        check_equal [buffer + %2 * 4], 0, %str(%1)
  %endif
  %assign n (n + 1) % 8
%endmacro
        sse_load movups, 4, 0
        sse_load movaps, 4, 0
        sse_load movupd, 4, 0
        sse_load movapd, 4, 0
        sse_load movdqu, 4, 0
        sse_load movdqa, 4, 0
        sse_load lddqu, 4, 0
        sse_load movntdqa, 4, 0
        sse_load movddup, 4, 0
        sse_load movsldup, 4, 0
        sse_load movshdup, 4, 0
        sse_load movss, 1, 3
        sse_load movd, 1, 3
        sse_load movsd, 2, 2
        sse_load movq, 2, 2
        sse_load movlps, 2, 2
        sse_load movlpd, 2, 2
        call clear
        xorps xmm3, xmm3
        movhps xmm3, [ebx]
        movups [buffer], xmm3
        check_equal [buffer + 4], 0, "MOVHPS, low half"
        check_equal [buffer + 8], -1, "MOVHPS"
        ; Alignment.
        movups xmm0, [ebx + 1]
        expect_fault 13, "MOVAPS of what is not aligned", movaps xmm0, [ebx + 8]
        ; A register of a device, from all parts of an XMM register.
        mov eax, 0x40
        movd xmm5, eax
        movups [APIC + 0x80], xmm5
        check_equal [APIC + 0x80], 0x40, "MOVUPS to the local APIC"
        movaps xmm6, [APIC + 0x80]
        movd eax, xmm6
        check_equal eax, 0x40, "MOVAPS from the local APIC"
        xorps xmm5, xmm5
        movntps [APIC + 0x80], xmm5
        check_equal [APIC + 0x80], 0, "MOVNTPS to the local APIC"
        mov eax, 0x50
        movd xmm5, eax
        movd [APIC + 0x80], xmm5
        check_equal [APIC + 0x80], 0x50, "MOVD to the local APIC"
        pslldq xmm5, 8
        movhps [APIC + 0x80], xmm5
        check_equal [APIC + 0x80], 0x50, "MOVHPS to the local APIC"
        mov dword [APIC + 0x80], 0
        movaps [ebx], xmm5
        movss [ebx], xmm5
        movsd [ebx], xmm5
        movq [ebx], xmm5
        movntdq [ebx], xmm5
        ; Across the end of a device's page.
        movups xmm7, [APIC + 0xFF8]
        ret

mmx:    mov ebx, HOLE
        pxor mm1, mm1
        call clear
        movq mm1, [ebx]
        movq [buffer], mm1
        wide 2, "MOVQ of MMX"
        movd mm2, [ebx]
        movq [buffer], mm2
        check_equal [buffer], -1, "MOVD of MMX"
        check_equal [buffer + 4], 0, "MOVD of MMX clears the rest"
        mov eax, 0x30
        movd mm3, eax
        movd [APIC + 0x80], mm3
        check_equal [APIC + 0x80], 0x30, "MOVD of MMX to the local APIC"
        pxor mm3, mm3
        movq [APIC + 0x80], mm3
        check_equal [APIC + 0x80], 0, "MOVQ of MMX to the local APIC"
        movntq [ebx], mm3
        emms
        ret

; If the processor has it.
avx:    mov eax, 1
        cpuid
        and ecx, 0x14000000     ; AVX, XSAVE
        cmp ecx, 0x14000000
        jne .without
        mov eax, cr4
        or eax, 1 << 18
        mov cr4, eax
        xor ecx, ecx
        xor edx, edx
        mov eax, 7
        xsetbv
        ; KVM on QEMU's emulation loses XCR0 at the next exit, as QEMU does not intercept XSETBV: there is no AVX there then.
        xor eax, eax
        cpuid
        xor ecx, ecx
        xgetbv
        cmp eax, 7
        jne .without
        mov ebx, HOLE
        call clear
        vmovups ymm1, [ebx]
        vmovups [buffer], ymm1
        wide 8, "VMOVUPS of YMM"
        call clear
        vmovdqa ymm2, [ebx + 32]
        vmovdqa [buffer], ymm2
        wide 8, "VMOVDQA of YMM"
        ; XMM: with VEX the upper half is cleared, without it stays.
        vmovups xmm1, [ebx]
        vmovups [buffer], ymm1
        wide 4, "VMOVUPS of XMM"
        check_equal [buffer + 16], 0, "VMOVUPS of XMM clears the rest of YMM"
        xorps xmm2, xmm2
        movups xmm2, [ebx]
        vmovups [buffer], ymm2
        wide 8, "MOVUPS leaves the rest of YMM"
        vbroadcastss ymm3, [ebx]
        vmovups [buffer], ymm3
        wide 8, "VBROADCASTSS"
        vxorps xmm4, xmm4, xmm4
        vmovhps xmm5, xmm4, [ebx]
        vmovups [buffer], ymm5
        check_equal [buffer], 0, "VMOVHPS, low half from the second register"
        check_equal [buffer + 8], -1, "VMOVHPS"
        vmovups [ebx], ymm5
        vmovntdq [ebx], ymm5
        expect_fault 13, "VMOVAPS of what is not aligned", vmovaps ymm0, [ebx + 16]
        vzeroupper
.without:
        ret

section .data
keep:   dd STACK_TOP - 8        ; main's and the part's return addresses

section .bss
alignb 32
buffer: resd 8
