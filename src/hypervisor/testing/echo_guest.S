# A guest of one sector (BIOS boot sector) for tests: says "echo guest ready" on its serial port, then answers each byte:
# '?' with the byte before it that it remembers (in memory: it tells whether a snapshot's memory came back), 'H' by halting
# for good, anything else with itself. It knows no ACPI, so it never shuts down when asked.

    .set origin, 0x7c00
    .set port, 0x3f8                # COM1

    .section .rodata
    .globl bridgehead_echo_guest_start
    .globl bridgehead_echo_guest_end
    .code16
bridgehead_echo_guest_start:
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $origin, %sp
    cld
    movw $(origin + (hello - start)), %si
1:  lodsb
    testb %al, %al
    jz serve
    call send
    jmp 1b
serve:
    movb $'-', %bl                  # nothing remembered yet
2:  movw $(port + 5), %dx           # line status: a byte has come
3:  inb %dx, %al
    testb $1, %al
    jz 3b
    movw $port, %dx
    inb %dx, %al
    cmpb $'H', %al
    je stop
    cmpb $'?', %al
    jne 4f
    movb %bl, %al
    call send
    jmp 2b
4:  movb %al, %bl
    call send
    jmp 2b
stop:
    hlt
    jmp stop
send:
    movb %al, %ah
    movw $(port + 5), %dx           # line status: room for a byte
5:  inb %dx, %al
    testb $0x20, %al
    jz 5b
    movw $port, %dx
    movb %ah, %al
    outb %al, %dx
    ret
hello:
    .asciz "echo guest ready\r\n"
    .fill 510 - (. - start), 1, 0
    .word 0xaa55
bridgehead_echo_guest_end:

    .section .note.GNU-stack, "", @progbits
