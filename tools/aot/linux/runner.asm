; Runs a compiled module as a Linux process: maps linear memory, then executes commands from standard input and
; writes their results to standard output. No C library.
;
; Commands (little endian):
;   'c' u32 export, u32 arguments, u32 results, u64 argument...   call
;       -> u64 signal (0: returned), u64 pc, u64 fault address, u64 elapsed ns, u64 result...
;   'g' u32 cell                                                  read a global variable
;       -> u64
;   'm' u32 offset, u32 length                                    read linear memory
;       -> u32 pages, bytes (only those that exist)
; End of input ends the process.

bits 64
default rel

extern tv_harness_exports, tv_harness_cells, tv_harness_initial_pages, tv_harness_maximum_pages, tv_harness_null_page
extern tv_linear_init, tv_linear_init_end
global _start, tv_memory_pages, tv_memory_base, tv_rt_memory_grow

SYS_READ equ 0
SYS_WRITE equ 1
SYS_MMAP equ 9
SYS_MPROTECT equ 10
SYS_RT_SIGACTION equ 13
SYS_RT_SIGRETURN equ 15
SYS_EXIT equ 60
SYS_SIGALTSTACK equ 131
SYS_ARCH_PRCTL equ 158
SYS_CLOCK_GETTIME equ 228

PROT_NONE equ 0
PROT_READ_WRITE equ 3
MAP_FLAGS equ 0x4022                    ; private, anonymous, no reserve
MAP_FIXED_NOREPLACE equ 0x100000
ARCH_SET_GS equ 0x1001
CLOCK_PROCESS_CPUTIME_ID equ 2
SA_FLAGS equ 0x4c000004                 ; siginfo, on stack, restorer, no defer

MEMORY_BASE equ 0x1000000000            ; known to process.ts, to tell out-of-bounds accesses from stack overflow
RESERVED_BYTES equ 0x210000000          ; every 32-bit address plus every 32-bit offset, and a guard
STACK_BYTES equ 0x100000
MAX_VALUES equ 1024                     ; arguments or results of one call

; ucontext: offsets of saved registers
UCONTEXT_RSP equ 160
UCONTEXT_RIP equ 168
SIGINFO_ADDRESS equ 16

section .text

_start:
    ; linear memory
    mov rdi, MEMORY_BASE
    mov rsi, RESERVED_BYTES
    mov edx, PROT_NONE
    call map
    mov [tv_memory_base], rax
    mov rsi, rax
    mov edi, ARCH_SET_GS
    mov eax, SYS_ARCH_PRCTL
    syscall
    mov eax, [tv_harness_initial_pages]
    mov [tv_memory_pages], eax
    mov rdi, [tv_memory_base]
    mov rsi, rax
    shl rsi, 16
    call unprotect
    ; initial contents
    mov rdi, [tv_memory_base]
    mov eax, [tv_harness_null_page]
    add rdi, rax
    lea rsi, [tv_linear_init]
    lea rcx, [tv_linear_init_end]
    sub rcx, rsi
    rep movsb
    mov esi, [tv_harness_null_page]
    test esi, esi
    jz .mapped
    mov rdi, [tv_memory_base]
    mov edx, PROT_NONE
    mov eax, SYS_MPROTECT
    syscall
.mapped:
    ; stack with a guard page below, and signal stack
    xor edi, edi
    mov rsi, STACK_BYTES
    mov edx, PROT_READ_WRITE
    call map
    mov rdi, rax
    lea rax, [rax + STACK_BYTES]
    mov [stack_top], rax
    mov esi, 4096
    mov edx, PROT_NONE
    mov eax, SYS_MPROTECT
    syscall
    lea rdi, [signal_stack_descriptor]
    xor esi, esi
    mov eax, SYS_SIGALTSTACK
    syscall
    mov edi, 4                          ; SIGILL
    call catch
    mov edi, 7                          ; SIGBUS
    call catch
    mov edi, 8                          ; SIGFPE
    call catch
    mov edi, 11                         ; SIGSEGV
    call catch

next_command:
    lea rdi, [command]
    mov esi, 1
    call read_all
    cmp byte [command], 'c'
    je command_call
    cmp byte [command], 'g'
    je command_global
    cmp byte [command], 'm'
    je command_memory
    mov edi, 2
    jmp exit

command_call:
    lea rdi, [command]
    mov esi, 12
    call read_all
    mov esi, [command + 4]
    cmp esi, MAX_VALUES
    ja bad_input
    cmp dword [command + 8], MAX_VALUES
    ja bad_input
    shl esi, 3
    lea rdi, [arguments]
    call read_all
    mov qword [outcome], 0
    mov qword [outcome + 8], 0
    mov qword [outcome + 16], 0
    call clock
    mov [outcome + 24], rax
    mov [saved_rsp], rsp
    mov rsp, [stack_top]
    ; stack arguments below, results above them
    sub rsp, 2 * MAX_VALUES * 8
    mov ecx, [command + 4]
    sub ecx, 6
    jbe .registers
    lea rsi, [arguments + 48]
    mov rdi, rsp
    rep movsq
.registers:
    mov rdi, [arguments]
    mov rsi, [arguments + 8]
    mov rdx, [arguments + 16]
    mov rcx, [arguments + 24]
    mov r8, [arguments + 32]
    mov r9, [arguments + 40]
    mov eax, [command]
    lea r10, [tv_harness_exports]
    call [r10 + rax * 8]
    mov [results], rax
    mov [results + 8], rdx
    mov ecx, [command + 8]
    sub ecx, 2
    jbe .returned
    mov edx, [command + 4]
    sub edx, 6
    jae .above
    xor edx, edx
.above:
    lea rsi, [rsp + rdx * 8]
    lea rdi, [results + 16]
    rep movsq
.returned:
    mov rsp, [saved_rsp]
    call clock
    sub rax, [outcome + 24]
    mov [outcome + 24], rax
    mov esi, [command + 8]
    jmp write_outcome
recovered:
    mov rsp, [saved_rsp]
    xor esi, esi
write_outcome:
    push rsi
    lea rdi, [outcome]
    mov esi, 32
    call write_all
    pop rsi
    shl esi, 3
    lea rdi, [results]
    call write_all
    jmp next_command

command_global:
    lea rdi, [command]
    mov esi, 4
    call read_all
    mov eax, [command]
    lea rcx, [tv_harness_cells]
    mov rdi, [rcx + rax * 8]
    mov esi, 8
    call write_all
    jmp next_command

command_memory:
    lea rdi, [command]
    mov esi, 8
    call read_all
    lea rdi, [tv_memory_pages]
    mov esi, 4
    call write_all
    mov eax, [tv_memory_pages]
    shl rax, 16
    mov edi, [command]
    mov esi, [command + 4]
    sub rax, rdi
    jbe next_command
    cmp rsi, rax
    cmova rsi, rax
    add rdi, [tv_memory_base]
    call write_all
    jmp next_command

bad_input:
    mov edi, 3
exit:
    mov eax, SYS_EXIT
    syscall

; rdi = start or 0, rsi = bytes, edx = protection -> rax
map:
    mov r10d, MAP_FLAGS
    test rdi, rdi
    jz .anywhere
    or r10d, MAP_FIXED_NOREPLACE
.anywhere:
    mov r8, -1
    xor r9d, r9d
    mov eax, SYS_MMAP
    syscall
    cmp rax, -4096
    ja bad_input
    ret

; rdi = start, rsi = bytes -> rax = 0 or an error
unprotect:
    mov edx, PROT_READ_WRITE
    mov eax, SYS_MPROTECT
    syscall
    ret

; edi = signal
catch:
    lea rsi, [action]
    xor edx, edx
    mov r10d, 8
    mov eax, SYS_RT_SIGACTION
    syscall
    ret

on_signal:
    mov [outcome], rdi
    mov rax, [rdx + UCONTEXT_RIP]
    mov [outcome + 8], rax
    mov rax, [rsi + SIGINFO_ADDRESS]
    mov [outcome + 16], rax
    lea rax, [recovered]
    mov [rdx + UCONTEXT_RIP], rax
    ret

on_signal_return:
    mov eax, SYS_RT_SIGRETURN
    syscall

; -> rax = CPU time of the process in ns
clock:
    mov edi, CLOCK_PROCESS_CPUTIME_ID
    lea rsi, [time]
    mov eax, SYS_CLOCK_GETTIME
    syscall
    imul rax, [time], 1000000000
    add rax, [time + 8]
    ret

; rdi = buffer, rsi = bytes
read_all:
    test rsi, rsi
    jz .done
    mov rdx, rsi
    mov rsi, rdi
.more:
    xor edi, edi
    mov eax, SYS_READ
    syscall
    test rax, rax
    jle .end_of_input
    add rsi, rax
    sub rdx, rax
    jnz .more
.done:
    ret
.end_of_input:
    xor edi, edi
    jmp exit

write_all:
    test rsi, rsi
    jz .done
    mov rdx, rsi
    mov rsi, rdi
.more:
    mov edi, 1
    mov eax, SYS_WRITE
    syscall
    test rax, rax
    jle bad_input
    add rsi, rax
    sub rdx, rax
    jnz .more
.done:
    ret

; edi = pages -> eax = pages before, or -1
tv_rt_memory_grow:
    mov eax, edi
    mov r9d, [tv_memory_pages]
    add rax, r9
    mov ecx, [tv_harness_maximum_pages]
    cmp rax, rcx
    ja .refused
    mov [new_pages], eax
    test edi, edi
    jz .same
    mov esi, edi
    shl rsi, 16
    mov rdi, r9
    shl rdi, 16
    add rdi, [tv_memory_base]
    call unprotect
    test rax, rax
    jnz .refused
    mov ecx, [new_pages]
    mov eax, [tv_memory_pages]
    mov [tv_memory_pages], ecx
    ret
.same:
    mov eax, r9d
    ret
.refused:
    mov eax, -1
    ret

section .data
align 8
action:
    dq on_signal, SA_FLAGS, on_signal_return, 0
signal_stack_descriptor:
    dq signal_stack, 0, SIGNAL_STACK_BYTES

section .bss
SIGNAL_STACK_BYTES equ 65536
alignb 16
signal_stack: resb SIGNAL_STACK_BYTES
tv_memory_base: resq 1
tv_memory_pages: resd 2
new_pages: resd 2
stack_top: resq 1
saved_rsp: resq 1
time: resq 2
command: resb 16
outcome: resq 4
arguments: resq MAX_VALUES
results: resq MAX_VALUES
