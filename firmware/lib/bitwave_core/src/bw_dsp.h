/* Whether this build has the Cortex-M4 kernels (bw_dsp_*.S): Armv7E-M with the DSP extension, unless BW_PORTABLE asks
 * for the portable kernels alone. Read by C and by the assembler: macros only. */
#ifndef BW_DSP_H
#define BW_DSP_H

#if defined(__ARM_ARCH_7EM__) && defined(__ARM_FEATURE_DSP) && !defined(BW_PORTABLE)
#define BW_DSP 1
#else
#define BW_DSP 0
#endif

/* BW_ONE_LANE leaves out the kernel that runs two lanes at once: 2.5 KB of flash less, every lane on its own. */
#if BW_DSP && !defined(BW_ONE_LANE)
#define BW_DSP_LANES 2
#else
#define BW_DSP_LANES 1
#endif

/* A record holds one unit's parts of the gates between product and activation, int16 Q3.12 each, in gate order:
 * recurrent part of an even lane [4], input part [4], recurrent part of an odd lane [4]. Either lane finds its two
 * parts side by side, and which of them comes first does not matter to a sum. */
#define BW_RECORD 12
#define BW_RECORD_EVEN 0
#define BW_RECORD_INPUT 4
#define BW_RECORD_ODD 8

/* Packed weights (bw_packed.h): rows per group, and quads of columns that the kernels take. */
#define BW_GROUP 8
#define BW_DSP_QUADS 16

#endif
