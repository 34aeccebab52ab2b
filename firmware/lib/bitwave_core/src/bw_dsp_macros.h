@ What the two product kernels share; bw_dsp_product.S says how it works.

        .syntax unified
        .thumb

        .equ    RECORD, 2 * BW_RECORD   @ bytes

        .equ    M_QUADS, 4              @ bw_matrix.quads
        .equ    M_GATES, 16             @ bw_matrix.gates: four times bw_rounding
        .equ    ROUNDING, 16            @ bytes of one

        .macro  FUNCTION  name
        .section .text.\name, "ax", %progbits
        .balign 4
        .global \name
        .type   \name, %function
        .thumb_func
\name:
        .endm

@ x: int8 [4] -> the y's; z: the z's. Bytes swapped in pairs and x1 complemented, a halfword is 256 x0 + (127 - x1).
        .macro  EXPAND  x, z, mask, zero
        rev16   \x, \x
        eor     \x, \x, \mask           @ mask: 0x007F007F
        uxtb16  \z, \x
        ssub16  \z, \zero, \z
        .endm

@ r1..r8: sums to parts. r9 multiplier m, r10 constant, r11 factor, r12 sign.
@ Right shift n: constant 64 + 2^(n + 6), factor 2^(5 - n), sign -128 factor.
        .macro  ROUND_RIGHT
        .irp    sum, r1, r2, r3, r4, r5, r6, r7, r8
        and     lr, r12, \sum, asr #31
        smmla   \sum, \sum, r9, r10
        mla     \sum, \sum, r11, lr
        ssat    \sum, #16, \sum, asr #12
        .endr
        .endm

@ Left shift s or none: constant 7 - s.
        .macro  ROUND_LEFT
        .irp    sum, r1, r2, r3, r4, r5, r6, r7, r8
        asr     \sum, \sum, r10
        smmulr  \sum, \sum, r9
        ssat    \sum, #16, \sum
        .endr
        .endm
