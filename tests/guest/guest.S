# SPDX-License-Identifier: MIT OR Apache-2.0
#
# A guest that is nothing but a power button: one boot sector for `-M pc`.
# It arms the button, says so with an 'A' on the first serial port, waits for
# the PRESSES-th press, lets DELAY seconds pass, and then does ACTION:
#   0 nothing, 1 power off, 2 reset, 3 panic (-device pvpanic), 4 suspend to RAM.

    .set PM1_STATUS, 0x600          # ACPI registers, where SeaBIOS maps them
    .set PM1_ENABLE, 0x602
    .set PM1_CONTROL, 0x604
    .set PM_TIMER, 0x608            # 24 bits at PM_TIMER_HZ
    .set PM_TIMER_HZ, 3579545
    .set POWER_BUTTON, 0x0100
    .set SERIAL, 0x3f8

    .code16
    .globl _start
_start:
    xorw %ax, %ax
    movw %ax, %ss
    movw $0x7c00, %sp

    # Only the clock interrupts: 18 times a second it ends a hlt, which spares
    # the host a busy loop; the ACPI interrupt would have no handler here.
    movb $0xfe, %al
    outb %al, $0x21
    movb $0xff, %al
    outb %al, $0xa1
    sti

    movw $PM1_ENABLE, %dx
    movw $POWER_BUTTON, %ax
    outw %ax, %dx
    movw $SERIAL, %dx
    movb $'A', %al
    outb %al, %dx

    movw $PRESSES, %bx
press:
    hlt
    movw $PM1_STATUS, %dx
    inw %dx, %ax
    andw $POWER_BUTTON, %ax
    jz press
    outw %ax, %dx                   # writing the bit clears it
    decw %bx
    jnz press

    movw $PM_TIMER, %dx
    inl %dx, %eax
    movl %eax, %ecx
delay:
    inl %dx, %eax
    subl %ecx, %eax
    andl $0xffffff, %eax
    cmpl $(DELAY * PM_TIMER_HZ), %eax
    jae act
    hlt
    jmp delay

act:
.if ACTION == 1
    movw $PM1_CONTROL, %dx
    movw $0x2000, %ax
    outw %ax, %dx
.elseif ACTION == 2
    movb $0xfe, %al
    outb %al, $0x64
.elseif ACTION == 3
    movw $0x505, %dx
    movb $1, %al
    outb %al, %dx
.elseif ACTION == 4
    movw $PM1_CONTROL, %dx
    movw $0x2400, %ax
    outw %ax, %dx
.endif
halt:
    hlt
    jmp halt

    .org 510
    .word 0xaa55
