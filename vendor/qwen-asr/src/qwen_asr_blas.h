/*
 * qwen_asr_blas.h - products of many rows by a BLAS library, where one was chosen at build time. Rank 3.
 *
 * Without QWEN_BLAS nothing of it is compiled. With it the sums are the library's: fast, but row i of an M-row product need not equal the
 * 1-row product in the last bits, and results may change with the library's number of threads.
 */
#ifndef QWEN_ASR_BLAS_H
#define QWEN_ASR_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "qwen_asr_kernels.h"

#ifndef QWEN_BLAS_NAME
#define QWEN_BLAS_NAME "native"
#endif

#ifdef QWEN_BLAS
/* From this many rows on the library is asked. Below, a product is bound by reading the weights, and they are 16-bit here but would
 * have to be widened for the library. */
static inline bool qwen_blas_takes(size_t M) { return M >= 16; }

/* y [M, ldy] = x [M, ldx] W^T. scratch [scratch_floats] holds widened rows of W, as many at a time as fit. */
void qwen_blas_linear(const qwen_kernels *k, float *y, size_t ldy, const float *x, size_t ldx, size_t M, const qwen_mat *w, float *scratch,
                      size_t scratch_floats);
#else
static inline bool qwen_blas_takes(size_t M) {
    (void)M;
    return false;
}
static inline void qwen_blas_linear(const qwen_kernels *k, float *y, size_t ldy, const float *x, size_t ldx, size_t M, const qwen_mat *w,
                                    float *scratch, size_t scratch_floats) {
    (void)k, (void)y, (void)ldy, (void)x, (void)ldx, (void)M, (void)w, (void)scratch, (void)scratch_floats;
}
#endif

#endif
