@ From the parts of the gates to the new cell and hidden state of one lane: the Cortex-M4 kernel.
@
@ void bw_dsp_activate(const int16_t parts[], int16_t cell[], int8_t hidden[], const bw_cell_constants *constants)
@
@ What it computes is stated readably by activate() in bw_lstm.c.
@
@ 1. Sigmoid and tanh by a signed table of slopes. Entry j, for j = -256 .. 255, is a word: upper halfword
@    32768 - V(j), lower halfword V(j + 1) - V(j), where V is the reference's table continued by V(-j) = 65536 - V(j)
@    and V(j) = V(255) behind its end. With u = 512 j + f the interpolated value is 2^-9 (512 V(j) + slope f). The
@    register `fraction` holds -32768 above and 64 f below (BFI puts f there), so one SMLAD gives
@    -32768 (32768 - V(j)) + 64 slope f + c. Its upper halfword is the sigmoid, rounded as the reference rounds:
@    c = 64 (2^24 + 512 - [u < 0]). For tanh u is doubled and c = 2^14 - [u < 0]: shifted right by 15 it is tanh.
@    Only the sign of u matters in c where the reference adds 511 instead of 512, or 127 instead of 128: the sum is a
@    multiple of 64 otherwise, so -1 has the effect of -64.
@ 2. SMULxy triples a gate and unpacks it in one; 6 times for tanh, whose u is doubled.
@ 3. forget * cell / 2^15 and input * gate / 2^s have the mantissa 2^30, so their first rounding is floor((p + 1) / 2)
@    and both together floor((p + 1 + 2^(s - 1) - 2 [p < 0]) / 2^s). The sign of the product is that of its signed
@    factor.
@ 4. The cell's tanh position round(3 c 2^shift) is SMMULR(2^16 c, 3 2^(16 + shift)); SSAT keeps it inside the table.
@ 5. Output: first rounding SMMLAR, which also adds half, sign and the zero point 2^n zh; then the shift and the clamp.
@
@ r0 parts   r1 cell   r2 hidden   r3 constants   r12 middle of the table   lr fraction

#include "bw_dsp.h"

#if BW_DSP
#include "bw_dsp_macros.h"

@ bw_cell_constants
        .equ    K_TABLE, 0              @ entry 0
        .equ    K_UNITS, 4              @ a multiple of 2
        .equ    K_SIGMOID, 8            @ 64 (2^24 + 512)
        .equ    K_FACTORS, 12           @ 6 for tanh below, 3 for sigmoid above
        .equ    K_KEPT, 16              @ 1 + 2^14
        .equ    K_ADDED, 20             @ 1 + 2^(s - 1)
        .equ    K_ADDED_SHIFT, 24       @ s
        .equ    K_POSITION, 28          @ 3 2^(16 + shift)
        .equ    K_OUTPUT, 32            @ 2^(n - 1) + 2^n zh
        .equ    K_OUTPUT_MULTIPLIER, 36
        .equ    K_OUTPUT_SHIFT, 40      @ n

        .macro  UNIT
        ldr     r5, [r0, #4]
        ldr     r6, [r0, #8]
        ldr     r7, [r0, #12]
        ldr     r8, [r3, #K_SIGMOID]
        ldr     r11, [r3, #K_FACTORS]
        ldr     r4, [r0], #RECORD
        qadd16  r5, r5, r7              @ cell gate g below, output gate o above
        qadd16  r4, r4, r6              @ input gate i below, forget gate f above
        smulbb  r9, r5, r11             @ doubled u of g
        smulbt  r7, r4, r11             @ u of i
        ssat    r9, #18, r9             @ keeps it inside the table, whose ends are flat
        smultt  r4, r4, r11             @ u of f
        smultt  r5, r5, r11             @ u of o
        asr     r10, r9, #9
        asr     r11, r7, #9
        bfi     lr, r9, #6, #9
        asr     r6, r9, #31             @ sign of g
        ldr     r10, [r12, r10, lsl #2]
        ldr     r11, [r12, r11, lsl #2]
        add     r9, r6, #0x4000
        smlad   r10, r10, lr, r9
        asr     r9, r4, #9
        bfi     lr, r7, #6, #9
        add     r7, r8, r7, asr #31
        smlad   r7, r11, lr, r7         @ sigmoid(i) above
        asr     r10, r10, #15           @ tanh(g)
        ldr     r9, [r12, r9, lsl #2]
        ldr     r11, [r3, #K_ADDED]
        add     r6, r11, r6, lsl #1
        smlatb  r6, r7, r10, r6         @ what is added, times 2^s
        asr     r7, r5, #9
        bfi     lr, r4, #6, #9
        add     r4, r8, r4, asr #31
        smlad   r4, r9, lr, r4          @ sigmoid(f) above
        bfi     lr, r5, #6, #9
        add     r5, r8, r5, asr #31
        ldr     r7, [r12, r7, lsl #2]
        ldrsh   r8, [r1]
        ldr     r9, [r3, #K_KEPT]
        ldr     r10, [r3, #K_ADDED_SHIFT]
        ldr     r11, [r3, #K_POSITION]
        smlad   r5, r7, lr, r5          @ sigmoid(o) above
        asr     r7, r8, #31
        add     r9, r9, r7, lsl #1
        smlatb  r9, r4, r8, r9          @ what is kept, times 2^15
        asr     r6, r6, r10
        add     r6, r6, r9, asr #15     @ both fit int16 before the add: no clamp is needed there
        ssat    r6, #16, r6
        strh    r6, [r1], #2
        lsls    r6, r6, #16
        smmulr  r6, r6, r11
        ssat    r6, #18, r6, lsl #1     @ doubled u of the cell
        asr     r7, r6, #9
        bfi     lr, r6, #6, #9
        asr     r6, r6, #31
        ldr     r7, [r12, r7, lsl #2]
        ldr     r8, [r3, #K_OUTPUT]
        ldr     r9, [r3, #K_OUTPUT_MULTIPLIER]
        ldr     r10, [r3, #K_OUTPUT_SHIFT]
        add     r6, r6, #0x4000
        smlad   r7, r7, lr, r6
        asr     r7, r7, #15             @ tanh(cell)
        smultb  r7, r5, r7
        add     r8, r8, r7, asr #31
        lsl     r7, r7, #1
        smmlar  r7, r7, r9, r8
        asr     r7, r7, r10
        ssat    r7, #8, r7
        strb    r7, [r2], #1
        .endm

        FUNCTION bw_dsp_activate
        push    {r3-r11, lr}
        ldr     r12, [r3, #K_TABLE]
        ldr     r4, [r3, #K_UNITS]
        add     r4, r4, r2
        str     r4, [sp]
        mov     lr, #0x80000000
.Lunits:
        UNIT
        UNIT
        ldr     r4, [sp]
        cmp     r2, r4
        bne.w   .Lunits
        pop     {r3-r11, pc}
        .size   bw_dsp_activate, . - bw_dsp_activate
#endif
