/*
 * qwen_asr_kernels.c - picks the kernel table: scalar first, then every instruction set the given bits allow, best last.
 *
 * Built for the baseline. Which tables exist follows from the target; the Makefile and build.rs compile the same units.
 */
#include "qwen_asr_kernels.h"

#include <string.h>

#include "qwen_asr.h"

void qwen_kernels_init(qwen_kernels *k, uint32_t cpu) {
    memset(k, 0, sizeof *k);
    qwen_kernels_init_scalar(k);
#if defined(__x86_64__)
    if (cpu & QWEN_CPU_AVX2) qwen_kernels_init_avx2(k);
    if ((cpu & QWEN_CPU_AVX2) && (cpu & QWEN_CPU_AVX512)) qwen_kernels_init_avx512(k);
#elif defined(__aarch64__)
    if (cpu & QWEN_CPU_NEON) qwen_kernels_init_neon(k);
#else
    (void)cpu;
#endif
}
