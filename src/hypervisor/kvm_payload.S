# The trial's guest (kvm_trial.h): a multiboot image that goes through what every operating system's kernel does first.
# Protected mode -> page tables -> long mode -> GDT, TSS, IDT -> timer interrupt while halted -> page fault that maps the
# page -> ring 3 -> system call back. Only then it writes 42 to port 0xf4 (isa-debug-exit; QEMU exits with 42*2+1 = 85).
# Any other exception is a triple fault, which ends QEMU with another code (-no-reboot).
# Formats: Multiboot Specification 0.6.96; AMD64 Architecture Programmer's Manual, volume 2.

    .set base, 0x100000             # where it is loaded
    .set tables, 0x200000           # PML4, PDPT, PD, each one page
    .set unmapped, 0x40000000       # the second GiB has no page table at first

    .section .rodata
    .globl bridgehead_kvm_payload_start
    .globl bridgehead_kvm_payload_end
    .balign 8
bridgehead_kvm_payload_start:
start:
    .set mb_flags, 0x00010000       # the addresses are in this header
header:
    .long 0x1badb002, mb_flags, -(0x1badb002 + mb_flags)
    .long base + (header - start), base, 0, base + 0x8000, base + (entry32 - start)

    .code32
entry32:
    cli
    movl $(base + 0x7000), %esp
    movl $tables, %edi              # clear three pages
    xorl %eax, %eax
    movl $(3 * 4096 / 4), %ecx
    rep stosl
    movl $(tables + 0x1007), tables           # PML4[0] -> PDPT; present, writable, user
    movl $(tables + 0x2007), tables + 0x1000  # PDPT[0] -> PD
    movl $(tables + 0x2000), %edi             # PD: identity, 2 MiB pages
    movl $0x87, %eax
    movl $512, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    movl $tables, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax                 # PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx          # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax           # paging
    movl %eax, %cr0
    lgdt base + (gdt_pointer - start)
    ljmp $0x08, $(base + (entry64 - start))

    .code64
entry64:
    xorl %eax, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movq $(base + 0x7000), %rsp
    movw $0x28, %ax
    ltr %ax
    movl $14, %ecx                  # IDT: page fault, timer, system call (callable from ring 3)
    movl $(base + (on_page_fault - start)), %eax
    movb $0x8e, %dl
    call set_gate
    movl $32, %ecx
    movl $(base + (on_timer - start)), %eax
    movb $0x8e, %dl
    call set_gate
    movl $0x80, %ecx
    movl $(base + (on_system_call - start)), %eax
    movb $0xee, %dl
    call set_gate
    lidt base + (idt_pointer - start)

    movb $0x11, %al                 # both PICs: vectors 32..47, only the timer unmasked
    outb %al, $0x20
    outb %al, $0xa0
    movb $32, %al
    outb %al, $0x21
    movb $40, %al
    outb %al, $0xa1
    movb $4, %al
    outb %al, $0x21
    movb $2, %al
    outb %al, $0xa1
    movb $1, %al
    outb %al, $0x21
    outb %al, $0xa1
    movb $0xfe, %al
    outb %al, $0x21
    movb $0xff, %al
    outb %al, $0xa1
    movb $0x34, %al                 # PIT channel 0: about 1 kHz
    outb %al, $0x43
    movb $0xa9, %al
    outb %al, $0x40
    movb $0x04, %al
    outb %al, $0x40

    xorl %ebx, %ebx                 # on_timer counts in %ebx
    sti
2:  hlt
    cmpl $3, %ebx
    jb 2b
    cli
    xorl %r12d, %r12d               # on_page_fault sets %r12d
    movl $unmapped, %esi
    movl $0x62726964, (%rsi)
    cmpl $0x62726964, (%rsi)
    jne failed
    testl %r12d, %r12d
    jz failed
    xorl %eax, %eax
    cpuid
    rdtsc

    pushq $0x23                     # ring 3: SS, RSP, RFLAGS, CS, RIP
    pushq $(base + 0x6000)
    pushq $0x202
    pushq $0x1b
    pushq $(base + (user - start))
    iretq
user:
    movl $42, %eax
    int $0x80
    jmp failed

# %ecx vector, %eax handler (below 4 GiB), %dl type
set_gate:
    movl %ecx, %edi
    shll $4, %edi
    addl $(base + 0x4000), %edi
    movw %ax, (%rdi)
    movw $0x08, 2(%rdi)
    movb $0, 4(%rdi)
    movb %dl, 5(%rdi)
    shrl $16, %eax
    movw %ax, 6(%rdi)
    movq $0, 8(%rdi)
    ret

on_timer:
    incl %ebx
    movb $0x20, %al
    outb %al, $0x20
    iretq
on_page_fault:
    movq %cr2, %rax
    cmpq $unmapped, %rax
    jne failed
    movl $(tables + 0x2007), tables + 0x1008  # PDPT[1] -> the same PD
    incl %r12d
    addq $8, %rsp                   # the error code
    iretq
on_system_call:
    movq 8(%rsp), %rcx              # did it come from ring 3?
    andl $3, %ecx
    cmpl $3, %ecx
    jne failed
    movw $0xf4, %dx
    outb %al, %dx
failed:
    movw $0xf4, %dx
    xorl %eax, %eax
    outb %al, %dx                   # QEMU exits with 1
3:  hlt
    jmp 3b

    .balign 8
gdt:
    .quad 0
    .quad 0x00209a0000000000        # 0x08 kernel code
    .quad 0x0000920000000000        # 0x10 kernel data
    .quad 0x0020fa0000000000        # 0x18 user code
    .quad 0x0000f20000000000        # 0x20 user data
    .word 103                       # 0x28 TSS: limit, base (16 bytes)
    .word (base + (tss - start)) & 0xffff
    .byte (base >> 16), 0x89, 0, 0
    .quad 0
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long base + (gdt - start)
    .long 0
idt_pointer:
    .word 0x81 * 16 - 1
    .quad base + 0x4000
    .balign 8
tss:
    .long 0
    .quad base + 0x7000             # RSP0
    .fill 92, 1, 0
bridgehead_kvm_payload_end:

    .section .note.GNU-stack, "", @progbits
