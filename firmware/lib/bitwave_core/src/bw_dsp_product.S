@ One gate matrix times one int8 vector, requantized to Q3.12: the Cortex-M4 kernel for one lane.
@
@ void bw_dsp_product(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int16_t parts[])
@
@ What it computes is stated readably in bw_packed.c; the layout of the weights in bw_packed.h; the conditions in
@ bw_prepare.c, which checks them once, when a model is opened. How the time is spent, and what was tried besides, is in
@ README.md.
@
@ 1. Four weights in one word, one unpacking. The two halfwords of a word hold 256 w1 + w0 and 256 w3 + w2. With
@        z = x1 - 127          y = 256 x0 - z
@    (256 w1 + w0) z + w0 y  =  256 (w1 (x1 - 127) + w0 x0): one SMLAD of the raw word by the z's and one SMLAD of its
@    SXTB16 by the y's make 256 times the sum of four products. The 127 keeps y inside int16 (x0 = -128, x1 = 127 gives
@    exactly -32768); it and the zero point are folded into the bias, which is scaled by 256 as well.
@ 2. Eight rows at a time share the loads of y and z: 38 cycles for 32 products.
@ 3. The loop over quads is unrolled by UNROLLED and entered where the remainder starts. No register is left for a
@    count: y and z stand at the bottom of the frame, and when their pointer meets the stack pointer, all columns are
@    done.
@ 4. Exact double rounding in four instructions. With S = 256 a the sum, m the Q31 mantissa and t = a m / 2^31 the value
@    before a right shift by n, the reference is floor((floor(t + 1/2) + 2^(n-1) - [t < 0]) / 2^n): ties of the second
@    rounding go away from zero, and the sign of a serves for that of floor(t + 1/2), since 0 gives 0 either way. Times
@    128, and since floor(floor(x) / 2^k) = floor(x / 2^k), it is floor((v - 128 [a < 0]) / 2^(n + 7)) with
@    v = floor(S m / 2^32) + 64 + 2^(n+6): SMMLA. AND makes the sign's part, MLA scales both by 2^(5 - n) so that the
@    shift is 12 for every gate, and SSAT shifts and clamps. Left shifts by s: S / 2^(7 - s) is twice the sum shifted,
@    and SMMULR by m all the rounding there is.
@
@ r0 weights   r1..r8 sums of eight rows   r9, r10 weights   lr, r11 z, y   r12 the next z, downward
@ Between the quads and the next group of rows r9..r12, lr are scratch.

#include "bw_dsp.h"

#if BW_DSP
#include "bw_dsp_macros.h"

@ The frame: sp + ...
        .equ    F_INPUT, 0              @ y, z of every quad, the first columns last
        .equ    F_ROUNDING, 8 * BW_DSP_QUADS @ where this gate's rounding is
        .equ    F_OUT, F_ROUNDING + 4   @ where the next parts go
        .equ    F_END, F_ROUNDING + 8   @ where this gate's parts end
        .equ    F_BIAS, F_ROUNDING + 12 @ the next rows' biases
        .equ    F_ENTRY, F_ROUNDING + 16 @ where a group of rows starts
        .equ    F_FIRST, F_ROUNDING + 20 @ behind the first quad's y, z
        .equ    F_QUADS, F_ROUNDING + 24 @ where its quads start
        .equ    F_LAST, F_ROUNDING + 28 @ the last gate's rounding
        .equ    F_SPAN, F_ROUNDING + 32 @ from a gate's end down to the next gate's start
        .equ    F_PAIR, F_ROUNDING + 36 @ the pair of columns
        .equ    FRAME, F_ROUNDING + 44  @ keeps the stack aligned to eight bytes

        .equ    UNROLLED, 2             @ a power of 2

        .macro  TWO_ROWS  a, b          @ sums a, b += words in r9, r10 * (y, z) of four columns
        smlad   \a, r9, lr, \a
        smlad   \b, r10, lr, \b
        sxtb16  r9, r9
        sxtb16  r10, r10
        smlad   \a, r9, r11, \a
        smlad   \b, r10, r11, \b
        .endm

        .macro  LOAD2
        ldr     r9, [r0], #4
        ldr     r10, [r0], #4
        .endm

        .macro  QUAD                    @ sums += words of eight rows * (y, z) of four columns
        ldr     lr, [r12, #-4]!
        ldr     r11, [r12, #-4]!
        LOAD2
        TWO_ROWS  r1, r2
        LOAD2
        TWO_ROWS  r3, r4
        LOAD2
        TWO_ROWS  r5, r6
        LOAD2
        TWO_ROWS  r7, r8
        .endm
        .equ    QUAD_BYTES, 34 * 4

        .macro  PAIR2  a, b
        smlad   \a, r9, lr, \a
        smlad   \b, r10, lr, \b
        .endm

        .macro  NEXT_GROUP              @ r1..r8 sums from their biases at r10; then to F_ENTRY in lr
        ldm     r10!, {r1-r8}
        str     r10, [sp, #F_BIAS]
        bx      lr
        .endm

        .macro  STORE                   @ parts of eight units to their records
        ldr     r9, [sp, #F_END]
        ldr     r10, [sp, #F_BIAS]
        ldr     r11, [sp, #F_OUT]
        ldr     r12, [sp, #F_FIRST]
        ldr     lr, [sp, #F_ENTRY]
        strh    r1, [r11], #8 * RECORD
        strh    r2, [r11, #1 * RECORD - 8 * RECORD]
        strh    r3, [r11, #2 * RECORD - 8 * RECORD]
        strh    r4, [r11, #3 * RECORD - 8 * RECORD]
        strh    r5, [r11, #4 * RECORD - 8 * RECORD]
        strh    r6, [r11, #5 * RECORD - 8 * RECORD]
        strh    r7, [r11, #6 * RECORD - 8 * RECORD]
        strh    r8, [r11, #7 * RECORD - 8 * RECORD]
        cmp     r11, r9
        beq     .Lnext_gate
        str     r11, [sp, #F_OUT]
        NEXT_GROUP
        .endm

        FUNCTION bw_dsp_product
        push    {r4-r11, lr}
        sub     sp, #FRAME
        add     r12, r0, #M_GATES
        str     r12, [sp, #F_ROUNDING]
        add     r12, #3 * ROUNDING
        str     r12, [sp, #F_LAST]
        ldm     r0, {r0, r5, r6, r7}    @ weights, quads, pairs, groups
        mov     r10, r1

        add     r12, sp, r5, lsl #3
        str     r12, [sp, #F_FIRST]
        ldr     r11, =.Ltest + 1        @ + 1: Thumb
        cbz     r5, .Lexpanded
        subs    r4, r5, #1              @ 1 .. UNROLLED quads before the first test
        and     r4, #UNROLLED - 1
        adds    r4, #1
        mov     r9, #QUAD_BYTES
        mls     r11, r4, r9, r11
        mov     r9, #0x007F007F
        movs    r1, #0
.Lexpand:
        ldr     r4, [r2], #4
        EXPAND  r4, r8, r9, r1
        str     r8, [r12, #-4]!
        str     r4, [r12, #-4]!
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
        mov     r4, #8 * RECORD
        mul     r7, r7, r4              @ bytes of all units' records
        mov     r11, r3
        add     r9, r3, r7
        subs    r7, #2                  @ a gate's parts start two bytes behind those of the gate before
        str     r7, [sp, #F_SPAN]
        ldr     r12, [sp, #F_FIRST]
        ldr     lr, [sp, #F_ENTRY]
        b       .Lgate

.Lnext_gate:                            @ r9 = r11 = F_END, r10 = F_BIAS, r12 = F_FIRST, lr = F_ENTRY
        ldr     r1, [sp, #F_SPAN]
        ldr     r2, [sp, #F_ROUNDING]
        ldr     r3, [sp, #F_LAST]
        sub     r11, r11, r1
        adds    r9, #2
        cmp     r2, r3
        beq     .Ldone
        adds    r2, #ROUNDING
        str     r2, [sp, #F_ROUNDING]
.Lgate:
        str     r11, [sp, #F_OUT]
        str     r9, [sp, #F_END]
        NEXT_GROUP
.Ldone:
        add     sp, #FRAME
        pop     {r4-r11, pc}
        .ltorg

.Lpair:                                 @ two more columns, whose weights are int16
        ldr     lr, [sp, #F_PAIR]
        LOAD2
        PAIR2   r1, r2
        LOAD2
        PAIR2   r3, r4
        LOAD2
        PAIR2   r5, r6
        LOAD2
        ldr     r11, [sp, #F_QUADS]
        PAIR2   r7, r8
        bx      r11

        .balign 4
.Lquads:
        .rept   UNROLLED
        QUAD
        .endr
.Ltest:
        cmp     sp, r12
        bne     .Lquads
        ldr     r12, [sp, #F_ROUNDING]
        ldm     r12, {r9-r12}
        cmp     r12, #0
        beq     .Lleft
        ROUND_RIGHT
        STORE
.Lleft:
        ROUND_LEFT
        STORE
        .size   bw_dsp_product, . - bw_dsp_product
#endif
