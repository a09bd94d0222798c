; Runs compiled modules as a Linux process: maps their linear memories, then executes commands from standard input and
; writes their results to standard output. No C library. harness.ts makes the tables that tell what there is.
;
; Commands (little endian); each names the module that it is about by its number:
;   'c' u32 module, u32 export, u32 arguments, u32 results, u64 argument...   call
;       -> u64 signal (0: returned), u64 pc, u64 fault address, u64 elapsed ns, u64 result...
;   'g' u32 module, u32 cell                                                  read a global variable
;       -> u64
;   'm' u32 module, u32 offset, u32 length                                    read linear memory
;       -> u32 pages, bytes (only those that exist)
; End of input ends the process.

bits 64
default rel

extern tv_runner_instances, tv_runner_memories, tv_runner_memories_end, tv_runner_first, tv_runner_reserved
global _start, tv_runner_enter, tv_runner_grow

struc instance
    .exports resq 1                     ; addresses of functions
    .cells resq 1                       ; addresses of global variables
    .memory resq 1                      ; a memory, its own or an imported one
endstruc

struc memory
    .base resq 1
    .pages resd 1
    .maximum resd 1
    .init resq 1                        ; initial contents: from the first mapped page on
    .init_end resq 1
endstruc

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

STACK_BYTES equ 0x100000
CROSSING_BYTES equ 16                   ; return address, caller's memory
CROSSINGS_BYTES equ CROSSING_BYTES * STACK_BYTES / 8    ; each nested call also takes a word of the stack
MAX_VALUES equ 1024                     ; arguments or results of one call

; ucontext: offsets of saved registers
UCONTEXT_RSP equ 160
UCONTEXT_RIP equ 168
SIGINFO_ADDRESS equ 16

section .text

_start:
    lea rbx, [tv_runner_memories]
.memory:
    lea rax, [tv_runner_memories_end]
    cmp rbx, rax
    je .mapped
    call map_memory
    add rbx, memory_size
    jmp .memory
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
    mov esi, 16
    call read_command
    mov esi, [command + 8]
    cmp esi, MAX_VALUES
    ja bad_input
    cmp dword [command + 12], MAX_VALUES
    ja bad_input
    shl esi, 3
    lea rdi, [arguments]
    call read_all
    mov qword [outcome], 0
    mov qword [outcome + 8], 0
    mov qword [outcome + 16], 0
    lea rax, [crossings]
    mov [crossing], rax
    mov rax, [rbx + instance.memory]
    mov r10, [rax + memory.base]
    call switch_memory
    call clock
    mov [outcome + 24], rax
    mov [saved_rsp], rsp
    mov rsp, [stack_top]
    ; stack arguments below, results above them
    sub rsp, 2 * MAX_VALUES * 8
    mov ecx, [command + 8]
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
    mov eax, [command + 4]
    mov r10, [rbx + instance.exports]
    call [r10 + rax * 8]
    mov [results], rax
    mov [results + 8], rdx
    mov ecx, [command + 12]
    sub ecx, 2
    jbe .returned
    mov edx, [command + 8]
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
    mov esi, [command + 12]
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
    mov esi, 8
    call read_command
    mov eax, [command + 4]
    mov rcx, [rbx + instance.cells]
    mov rdi, [rcx + rax * 8]
    mov esi, 8
    call write_all
    jmp next_command

command_memory:
    mov esi, 12
    call read_command
    mov rbx, [rbx + instance.memory]
    lea rdi, [rbx + memory.pages]
    mov esi, 4
    call write_all
    mov eax, [rbx + memory.pages]
    shl rax, 16
    mov edi, [command + 4]
    mov esi, [command + 8]
    sub rax, rdi
    jbe next_command
    cmp rsi, rax
    cmova rsi, rax
    add rdi, [rbx + memory.base]
    call write_all
    jmp next_command

; esi = bytes -> rbx = the instance that the command names
read_command:
    lea rdi, [command]
    call read_all
    mov eax, [command]
    imul eax, eax, instance_size
    lea rbx, [tv_runner_instances]
    add rbx, rax
    ret

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

; Reserves a memory's addresses, makes its pages accessible and copies the initial contents. rbx = memory
map_memory:
    mov rdi, [rbx + memory.base]
    mov ecx, [tv_runner_first]
    mov rsi, [tv_runner_reserved]
    add rdi, rcx
    sub rsi, rcx
    mov edx, PROT_NONE
    call map
    mov esi, [rbx + memory.pages]
    shl rsi, 16
    mov ecx, [tv_runner_first]
    sub rsi, rcx
    jbe .done
    mov rdi, [rbx + memory.base]
    add rdi, rcx
    push rdi
    call unprotect
    pop rdi
    mov rsi, [rbx + memory.init]
    mov rcx, [rbx + memory.init_end]
    sub rcx, rsi
    jbe .done
    rep movsb
.done:
    ret

; Calls a function of another module: r10 = address of that module's memory, r11 = function. The return address waits
; aside meanwhile, so that the function finds its arguments on the stack where it expects them. Keeps what a call keeps,
; and argument and result registers.
tv_runner_enter:
    mov rax, [crossing]
    pop qword [rax]
    push r10
    mov r10, [current_memory]
    mov [rax + 8], r10
    pop r10
    add rax, CROSSING_BYTES
    mov [crossing], rax
    push r11
    call switch_memory
    pop r11
    call r11
    mov r11, [crossing]
    sub r11, CROSSING_BYTES
    mov [crossing], r11
    push qword [r11]
    mov r10, [r11 + 8]
    jmp switch_memory

; r10 = address of the memory that code runs on from now. Keeps everything but r10 and r11
switch_memory:
    cmp r10, [current_memory]
    je .done
    push rax
    push rcx
    push rdi
    push rsi
    mov edi, ARCH_SET_GS
    mov rsi, r10
    mov eax, SYS_ARCH_PRCTL
    syscall
    mov [current_memory], r10
    pop rsi
    pop rdi
    pop rcx
    pop rax
.done:
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

; edi = pages, rsi = memory -> eax = pages before, or -1
tv_runner_grow:
    mov eax, edi
    mov r9d, [rsi + memory.pages]
    add rax, r9
    mov ecx, [rsi + memory.maximum]
    cmp rax, rcx
    ja .refused
    test edi, edi
    jz .same
    push rsi
    push rax
    mov eax, edi
    mov rdi, r9
    shl rdi, 16
    add rdi, [rsi + memory.base]
    mov rsi, rax
    shl rsi, 16
    call unprotect
    pop rcx
    pop rsi
    test rax, rax
    jnz .refused
    mov eax, [rsi + memory.pages]
    mov [rsi + memory.pages], ecx
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
current_memory: resq 1
crossing: resq 1
crossings: resb CROSSINGS_BYTES
stack_top: resq 1
saved_rsp: resq 1
time: resq 2
command: resb 16
outcome: resq 4
arguments: resq MAX_VALUES
results: resq MAX_VALUES
