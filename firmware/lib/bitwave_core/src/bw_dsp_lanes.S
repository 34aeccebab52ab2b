@ As bw_dsp_product.S, for two lanes that share the matrix: a weight is loaded and unpacked once for both.
@
@ void bw_dsp_product_lanes(const bw_matrix *matrix, const int32_t bias[], const int8_t even[], const int8_t odd[],
@                           int16_t parts[])
@
@ Four rows times two lanes at a time, 32 cycles for 32 products. A group has eight rows: one pass over a gate does rows
@ 0..3 of every group, a second pass rows 4..7. There is no pair of columns: hidden states come in quads.
@
@ r0 weights   r1..r8 sums: row 0 even, row 0 odd, row 1 even, ...   r9, r10 z, y of the even lane   r11, r12 of the odd

#include "bw_dsp.h"

#if BW_DSP_LANES > 1
#include "bw_dsp_macros.h"

@ The frame: sp + ...
        .equ    F_ROUNDING, 0           @ where this gate's rounding is
        .equ    F_OUT, 4                @ where the next parts go
        .equ    F_END, 8                @ where this pass over a gate ends
        .equ    F_BIAS, 12              @ the next rows' biases
        .equ    F_QUADS, 16             @ where the quads start
        .equ    F_LAST, 20              @ the last gate's rounding
        .equ    F_SPAN, 24              @ bytes of all units' records
        .equ    F_BYTES, 28             @ of a gate's weights
        .equ    F_BIASES, 32            @ bytes of a gate's biases
        .equ    F_COUNT, 36             @ number of quads, and in the sign which pass it is
        .equ    F_INPUT, 44             @ z, y of both lanes of every quad, last columns first

        .macro  ROW  even, odd
        smlad   \even, lr, r9, \even
        smlad   \odd, lr, r11, \odd
        sxtb16  lr, lr
        smlad   \even, lr, r10, \even
        smlad   \odd, lr, r12, \odd
        .endm

        .macro  QUAD  at                @ y, z of the even lane, then of the odd lane
        ldr     r9, [sp, #\at + 4]
        ldr     r10, [sp, #\at]
        ldr     r11, [sp, #\at + 12]
        ldr     r12, [sp, #\at + 8]
        ldr     lr, [r0], #4 * BW_GROUP
        ROW     r1, r2
        ldr     lr, [r0, #4 - 4 * BW_GROUP]
        ROW     r3, r4
        ldr     lr, [r0, #8 - 4 * BW_GROUP]
        ROW     r5, r6
        ldr     lr, [r0, #12 - 4 * BW_GROUP]
        ROW     r7, r8
        .endm

        .macro  START                   @ sums of four rows from their biases, then to the quads
        ldm     r10, {r1, r3, r5, r7}
        add     r10, #4 * BW_GROUP
        str     r10, [sp, #F_BIAS]
        mov     r2, r1
        mov     r4, r3
        mov     r6, r5
        mov     r8, r7
        bx      r11
        .endm

        .equ    ODD, 2 * (BW_RECORD_ODD - BW_RECORD_EVEN)

        .macro  STORE                   @ sums of units u .. u + 3 to their records; on to the next group
        ldr     r9, [sp, #F_END]
        ldr     r10, [sp, #F_BIAS]
        ldr     r11, [sp, #F_QUADS]
        ldr     r12, [sp, #F_OUT]
        strh    r1, [r12], #8 * RECORD
        strh    r2, [r12, #0 * RECORD + ODD - 8 * RECORD]
        strh    r3, [r12, #1 * RECORD - 8 * RECORD]
        strh    r4, [r12, #1 * RECORD + ODD - 8 * RECORD]
        strh    r5, [r12, #2 * RECORD - 8 * RECORD]
        strh    r6, [r12, #2 * RECORD + ODD - 8 * RECORD]
        strh    r7, [r12, #3 * RECORD - 8 * RECORD]
        strh    r8, [r12, #3 * RECORD + ODD - 8 * RECORD]
        cmp     r12, r9
        beq.w   .Lend
        str     r12, [sp, #F_OUT]
        START
        .endm

        FUNCTION bw_dsp_product_lanes
        push    {r4-r11, lr}
        ldr     r12, [sp, #36]          @ parts
        ldr     r5, [r0, #4]            @ quads
        lsls    r4, r5, #4              @ the frame ends with 16 bytes per quad
        sub     sp, #F_INPUT
        sub     sp, sp, r4
        str     r5, [sp, #F_COUNT]
        str     r1, [sp, #F_BIAS]
        ldm     r0!, {r1, r5, r6, r7}   @ weights, quads, no pairs, groups
        ldr     r11, =.Lquads_end + 1
        mov     r4, #QUAD_BYTES
        mls     r11, r5, r4, r11
        str     r11, [sp, #F_QUADS]
        mul     r6, r7, r5
        lsls    r6, r6, #5              @ 32 bytes per group and quad
        str     r6, [sp, #F_BYTES]
        lsls    r4, r7, #5              @ 32 bytes per group
        str     r4, [sp, #F_BIASES]
        mov     r4, #8 * RECORD
        mul     r7, r7, r4
        str     r7, [sp, #F_SPAN]
        str     r0, [sp, #F_ROUNDING]
        add     r4, r0, #3 * ROUNDING
        str     r4, [sp, #F_LAST]

        add     r11, sp, #F_INPUT - 16
        add     r11, r11, r5, lsl #4
        mov     r9, #0x007F007F
        mov     r10, #0
.Lexpand:
        ldr     r4, [r2], #4
        ldr     r6, [r3], #4
        EXPAND  r4, r8, r9, r10
        EXPAND  r6, lr, r9, r10
        str     r8, [r11, #4]
        str     r6, [r11, #8]
        str     lr, [r11, #12]
        str     r4, [r11], #-16
        subs    r5, #1
        bne     .Lexpand

        mov     r0, r1
        ldr     r10, [sp, #F_BIAS]
        ldr     r11, [sp, #F_QUADS]
        add     r9, r12, r7
        b       .Lgate

.Lend:                                  @ of a pass; r9 = r12 = F_END; r10 is as many biases ahead
        ldr     r1, [sp, #F_SPAN]
        ldr     r2, [sp, #F_ROUNDING]
        ldr     r3, [sp, #F_LAST]
        ldr     r4, [sp, #F_BYTES]
        ldr     r5, [sp, #F_COUNT]
        sub     r12, r12, r1            @ back to the first group ...
        eors    r5, #HALF               @ the sign tells the pass
        str     r5, [sp, #F_COUNT]
        bpl     .Lsecond_done
        sub     r0, r0, r4              @ ... rows 4 .. 7
        adds    r0, #4 * 4
        add     r12, #4 * RECORD
        add     r9, #4 * RECORD
        ldr     r1, [sp, #F_BIASES]
        sub     r10, r10, r1
        adds    r10, #4 * 4
        str     r12, [sp, #F_OUT]
        str     r9, [sp, #F_END]
        START
.Lsecond_done:
        subs    r0, #4 * 4
        subs    r10, #4 * 4
        sub     r12, #4 * RECORD - 2
        sub     r9, #4 * RECORD - 2
        cmp     r2, r3
        beq     .Ldone
        adds    r2, #ROUNDING
        str     r2, [sp, #F_ROUNDING]
.Lgate:
        str     r12, [sp, #F_OUT]
        str     r9, [sp, #F_END]
        START
.Ldone:
        lsls    r5, r5, #4
        add     sp, sp, r5
        add     sp, #F_INPUT
        pop     {r4-r11, pc}

        .equ    HALF, 0x80000000
        .ltorg

        .balign 4
        .set    at, F_INPUT + 16 * BW_DSP_QUADS
        .rept   BW_DSP_QUADS
        .set    at, at - 16
        QUAD    at
        .endr
.Lquads_end:
        .equ    QUAD_BYTES, 28 * 4
        ldr     r12, [sp, #F_ROUNDING]
        ldm     r12, {r9-r12}
        cmp     r12, #0
        beq     .Lleft
        ROUND_RIGHT
        STORE
.Lleft:
        ROUND_LEFT
        STORE
        .size   bw_dsp_product_lanes, . - bw_dsp_product_lanes
#endif
