@ What the two product kernels share; bw_dsp_product.S says how it works.

        .syntax unified
        .thumb

        .equ    RECORD, 2 * BW_RECORD   @ bytes

        .equ    M_QUADS, 4              @ bw_matrix.quads
        .equ    M_GATES, 16             @ bw_matrix.gates: four times bw_rounding
        .equ    ROUNDING, 16            @ bytes of one

@ The frame: sp + ...
        .equ    F_ROUNDING, 0           @ where this gate's rounding is
        .equ    F_OUT, 4                @ where the next parts go
        .equ    F_END, 8                @ where this gate's parts end
        .equ    F_BIAS, 12              @ the next rows' biases
        .equ    F_ENTRY, 16             @ where a group of rows starts
        .equ    F_QUADS, 20             @ where its quads start
        .equ    F_LAST, 24              @ the last gate's rounding
        .equ    F_SPAN, 28              @ one lane: from a gate's end down to the next gate's start;  two: bytes of parts
        .equ    F_PAIR, 32              @ one lane: the pair of columns;  two lanes: bytes of a gate's weights
        .equ    F_BIASES, 36            @ one lane: from a bias to its sum;  two lanes: bytes of a gate's biases
        .equ    F_COUNT, 40             @ number of quads;  two lanes: and in the sign which pass it is
        .equ    F_INPUT, 44             @ y, z of every four columns, last columns first

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
