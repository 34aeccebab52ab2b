@ One gate matrix times one int8 vector, requantized to Q3.12: the Cortex-M4 kernel for one lane.
@
@ void bw_dsp_product(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int16_t parts[])
@ void bw_dsp_sums(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int32_t sums[])
@
@ What they compute is stated readably in bw_packed.c; the layout of the weights in bw_packed.h; the conditions in
@ bw_prepare.c, which checks them once, when a model is opened. How the time is spent, and what was tried besides, is in
@ README.md. bw_dsp_sums() stops before the requantization: what it leaves are the biases for further columns.
@
@ 1. Four weights in one word, one unpacking. The two halfwords of a word hold 256 w1 + w0 and 256 w3 + w2. With
@        z = x1 - 127          y = 256 x0 - z
@    (256 w1 + w0) z + w0 y  =  256 (w1 (x1 - 127) + w0 x0): one SMLAD of the raw word by the z's and one SMLAD of its
@    SXTB16 by the y's make 256 times the sum of four products. The 127 keeps y inside int16 (x0 = -128, x1 = 127 gives
@    exactly -32768); it and the zero point are folded into the bias, which is scaled by 256 as well.
@ 2. Eight rows at a time share the loads of y and z: 37 cycles for 32 products.
@ 3. A computed jump into the unrolled quads: the number of columns is a run-time value, yet no branch is in the loop.
@ 4. Exact double rounding in four instructions. With S = 256 a the sum, m the Q31 mantissa and t = a m / 2^31 the value
@    before a right shift by n, the reference is floor((floor(t + 1/2) + 2^(n-1) - [t < 0]) / 2^n): ties of the second
@    rounding go away from zero, and the sign of a serves for that of floor(t + 1/2), since 0 gives 0 either way. Times
@    128, and since floor(floor(x) / 2^k) = floor(x / 2^k), it is floor((v - 128 [a < 0]) / 2^(n + 7)) with
@    v = floor(S m / 2^32) + 64 + 2^(n+6): SMMLA. AND makes the sign's part, MLA scales both by 2^(5 - n) so that the
@    shift is 12 for every gate, and SSAT shifts and clamps. Left shifts by s: S / 2^(7 - s) is twice the sum shifted, and
@    SMMULR by m all the rounding there is.
@
@ r0 weights   r1..r8 sums of eight rows   r9..r11 weights, then scratch   r12, lr  y, z, then scratch

#include "bw_dsp.h"

#if BW_DSP
#include "bw_dsp_macros.h"

        .macro  LOAD3
        ldr     r9, [r0], #4
        ldr     r10, [r0], #4
        ldr     r11, [r0], #4
        .endm

        .macro  UNPACK3
        sxtb16  r9, r9
        sxtb16  r10, r10
        sxtb16  r11, r11
        .endm

        .macro  ADD3  a, b, c, x        @ sums a, b, c += r9, r10, r11 * x
        smlad   \a, r9, \x, \a
        smlad   \b, r10, \x, \b
        smlad   \c, r11, \x, \c
        .endm

        .macro  QUAD  at                @ sums += words of eight rows * (y, z) of four columns
        ldr     r12, [sp, #\at]
        ldr     lr, [sp, #\at + 4]
        LOAD3
        ADD3    r1, r2, r3, lr
        UNPACK3
        ADD3    r1, r2, r3, r12
        LOAD3
        ADD3    r4, r5, r6, lr
        UNPACK3
        ADD3    r4, r5, r6, r12
        ldr     r9, [r0], #4
        ldr     r10, [r0], #4
        smlad   r7, r9, lr, r7
        smlad   r8, r10, lr, r8
        sxtb16  r9, r9
        sxtb16  r10, r10
        smlad   r7, r9, r12, r7
        smlad   r8, r10, r12, r8
        .endm
        .equ    QUAD_BYTES, 34 * 4

        .macro  NEXT_GROUP              @ r9 F_END, r10 F_BIAS, r11 F_ENTRY, r12 F_OUT of the next group
        cmp     r12, r9
        beq.w   .Lnext_gate
        str     r12, [sp, #F_OUT]
        ldm     r10!, {r1-r8}
        str     r10, [sp, #F_BIAS]
        bx      r11
        .endm

        .macro  STORE                   @ parts of eight units to their records
        ldr     r9, [sp, #F_END]
        ldr     r10, [sp, #F_BIAS]
        ldr     r11, [sp, #F_ENTRY]
        ldr     r12, [sp, #F_OUT]
        strh    r1, [r12], #8 * RECORD
        strh    r2, [r12, #1 * RECORD - 8 * RECORD]
        strh    r3, [r12, #2 * RECORD - 8 * RECORD]
        strh    r4, [r12, #3 * RECORD - 8 * RECORD]
        strh    r5, [r12, #4 * RECORD - 8 * RECORD]
        strh    r6, [r12, #5 * RECORD - 8 * RECORD]
        strh    r7, [r12, #6 * RECORD - 8 * RECORD]
        strh    r8, [r12, #7 * RECORD - 8 * RECORD]
        NEXT_GROUP
        .endm

        FUNCTION bw_dsp_sums            @ one gate as long as four, and the rounding that keeps sums
        push    {r4-r11, lr}
        subs    r3, r3, r1
        adr     r12, .Lkeep_sums
        mov     r9, #4
        mov     r10, r12
        b       .Lstart
        .balign 4
.Lkeep_sums:
        .word   0, 0, 1, 0
        .size   bw_dsp_sums, . - bw_dsp_sums

        .balign 4
        .global bw_dsp_product
        .type   bw_dsp_product, %function
        .thumb_func
bw_dsp_product:
        push    {r4-r11, lr}
        add     r12, r0, #M_GATES
        mov     r9, #1
        add     r10, r12, #3 * ROUNDING
.Lstart:                                @ r12 first gate's rounding, r10 the last gate's, r9 gates in one
        ldm     r0!, {r4-r7}            @ weights, quads, pairs, groups
        sub     sp, #F_INPUT            @ keeps the stack aligned to eight bytes
        sub     sp, sp, r5, lsl #3
        str     r5, [sp, #F_COUNT]
        str     r12, [sp, #F_ROUNDING]
        str     r10, [sp, #F_LAST]
        str     r3, [sp, #F_BIASES]
        str     r1, [sp, #F_BIAS]
        mul     r7, r7, r9
        mov     r0, r4
        add     r12, sp, #F_INPUT - 8   @ the first columns meet the quad that stands first, which is the last in the frame
        add     r12, r12, r5, lsl #3
        ldr     r11, =.Lquads_end + 1   @ + 1: Thumb
        mov     r4, #QUAD_BYTES
        mls     r11, r5, r4, r11        @ where this many quads start
        cbz     r5, .Lexpanded
        mov     r9, #0x007F007F
        mov     r10, #0
.Lexpand:
        ldr     r4, [r2], #4
        EXPAND  r4, r8, r9, r10
        str     r8, [r12, #4]
        str     r4, [r12], #-8
        subs    r5, #1
        bne     .Lexpand
.Lexpanded:
        str     r11, [sp, #F_QUADS]
        cbz     r6, .Lno_pair
        ldrsb   r4, [r2]
        ldrsb   r5, [r2, #1]
        lsls    r4, r4, #8              @ int16 weights meet x scaled by 256
        lsls    r5, r5, #8
        pkhbt   r4, r4, r5, lsl #16
        str     r4, [sp, #F_PAIR]
        ldr     r11, =.Lpair + 1
.Lno_pair:
        str     r11, [sp, #F_ENTRY]
        ldr     r10, [sp, #F_BIAS]
        mov     r4, #8 * RECORD
        mul     r7, r7, r4              @ bytes of all units' records
        mov     r12, r3
        add     r9, r3, r7
        subs    r7, #2                  @ a gate's parts start two bytes behind those of the gate before
        str     r7, [sp, #F_SPAN]
        b       .Lgate

.Lnext_gate:                            @ r9 = r12 = F_END, r10 = F_BIAS, r11 = F_ENTRY
        ldr     r1, [sp, #F_SPAN]
        ldr     r2, [sp, #F_ROUNDING]
        ldr     r3, [sp, #F_LAST]
        sub     r12, r12, r1
        add     r9, #2
        cmp     r2, r3
        beq     .Ldone
        adds    r2, #ROUNDING
        str     r2, [sp, #F_ROUNDING]
.Lgate:
        str     r12, [sp, #F_OUT]
        str     r9, [sp, #F_END]
        ldm     r10!, {r1-r8}
        str     r10, [sp, #F_BIAS]
        bx      r11
.Ldone:
        ldr     r1, [sp, #F_COUNT]
        add     sp, sp, r1, lsl #3
        add     sp, #F_INPUT
        pop     {r4-r11, pc}
        .ltorg

.Lpair:                                 @ two more columns, whose weights are int16
        ldr     r12, [sp, #F_PAIR]
        LOAD3
        ADD3    r1, r2, r3, r12
        LOAD3
        ADD3    r4, r5, r6, r12
        ldr     r9, [r0], #4
        ldr     r10, [r0], #4
        ldr     r11, [sp, #F_QUADS]
        smlad   r7, r9, r12, r7
        smlad   r8, r10, r12, r8
        bx      r11

        .balign 4
        .set    at, F_INPUT + 8 * BW_DSP_QUADS
        .rept   BW_DSP_QUADS
        .set    at, at - 8
        QUAD    at
        .endr
.Lquads_end:
        ldr     r12, [sp, #F_ROUNDING]
        ldm     r12, {r9-r12}
        cmp     r12, #0
        beq     .Lleft
        ROUND_RIGHT
        STORE
.Lleft:
        cmp     r11, #0
        bne     .Lkeep
        ROUND_LEFT
        STORE
.Lkeep:                                 @ sums to where their biases are, F_BIASES further
        ldr     r10, [sp, #F_BIAS]
        ldr     r12, [sp, #F_BIASES]
        add     r12, r12, r10
        sub     r12, #4 * BW_GROUP
        stm     r12, {r1-r8}
        ldr     r9, [sp, #F_END]
        ldr     r11, [sp, #F_ENTRY]
        ldr     r12, [sp, #F_OUT]       @ only counts
        add     r12, #8 * RECORD
        NEXT_GROUP
        .size   bw_dsp_product, . - bw_dsp_product
#endif
