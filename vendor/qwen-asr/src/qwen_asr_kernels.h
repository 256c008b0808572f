/*
 * qwen_asr_kernels.h - the innermost loops, one table per instruction set. Rank 2.
 *
 * Kernels know plain pointers and sizes: no tensors, no models, no threads, no allocation. The scalar table (qwen_asr_kernels_scalar.c)
 * is the specification; the others are one shared body (qwen_asr_kernels_simd.h) over a dozen vector primitives, one
 * translation unit per instruction set; tests/checkkern.c compares them at every length.
 *
 * Order of sums. Every function computes a row from that row alone, in an order that depends on the row length only:
 * never on how many rows there are, on alignment or on threads. So row i of an M-row call equals the 1-row call bit for bit.
 * For gemm, with L = lanes of the table: K is cut into chunks of QWEN_GEMM_KC; in a chunk, lane l accumulates x[k]*w[k] for
 * k = l, l+L, l+2L, ... (the missing lanes of the last vector count as 0); the lanes are added in one fixed tree; the chunk sums are
 * added in increasing k. Vector tables multiply and add fused; the scalar one has 16 lanes too, but rounds each product, since a fused
 * multiply-add without the instruction is a slow library call. So different instruction sets differ in the last bits.
 *
 * Pointers need the alignment of their element only. No buffer overlaps another unless a comment says "in place". Any size may be 0.
 */
#ifndef QWEN_ASR_KERNELS_H
#define QWEN_ASR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_mat.h"

#define QWEN_GEMM_KC 512

/* What the scratch of a gemm call must hold: eight rows of w, one chunk long, widened. */
#define QWEN_GEMM_SCRATCH (8 * QWEN_GEMM_KC) /* floats */

/*
 * y[m*ldy + n] = sum_k x[m*ldx + k] * w[n*ldw + k]   for m < M, n < N, k < K (K = 0 gives 0).
 * x [M, ldx] f32; w [N, ldw] in the type of the table slot, strides in elements; y [M, ldy] f32; scratch [QWEN_GEMM_SCRATCH] f32, 64-byte aligned.
 */
typedef void qwen_gemm_fn(float *y, size_t ldy, const float *x, size_t ldx, size_t M, const void *w, size_t ldw, size_t N,
                          size_t K, float *scratch);

typedef struct qwen_kernels {
    const char *name; /* "scalar", "avx2", "avx512", "neon" */

    qwen_gemm_fn *gemm[QWEN_N_DTYPES];

    /* dst[i] = (float)src[i], i < n; src in the type of the slot. Exact. */
    void (*widen[QWEN_N_DTYPES])(float *dst, const void *src, size_t n);

    /* y[i] += x[i] */
    void (*add)(float *y, const float *x, size_t n);

    /* y = (x - mean) / sqrt(var + eps) * w + b over one row [n]; var is the mean of squared differences. y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, float eps, size_t n);

    /* y = w * (x / sqrt(mean(x^2) + eps)) over one row [n]. y may be x. */
    void (*rms_norm)(float *y, const float *x, const float *w, float eps, size_t n);

    /* x[i] = 0.5 x (1 + erf(x / sqrt 2)), the exact GELU, in place; |error| <= 2.5e-7 * max(1, |x|). NaN stays NaN. */
    void (*gelu)(float *x, size_t n);

    /* gate[i] = gate / (1 + exp(-gate)) * up[i], in place in gate. */
    void (*silu_mul)(float *gate, const float *up, size_t n);

    /* Rotates one head [2*half] in place: (a, b) = (x[i], x[i+half]) -> (a cos - b sin, b cos + a sin); cos, sin [half]. */
    void (*rope)(float *x, const float *cos_row, const float *sin_row, size_t half);

    /*
     * One query against n_keys keys: s_j = scale * q . k_j; out = sum_j softmax(s)_j v_j. q, out [dh]; k, v: row j at k + j*stride,
     * v + j*stride; scores [n_keys] scratch. n_keys >= 1. Sums over j run in increasing j per output lane, so that the
     * result depends on nothing but the keys 0..n_keys-1.
     */
    void (*attend)(float *out, const float *q, const float *k, const float *v, size_t stride, size_t n_keys, size_t dh,
                   float scale, float *scores);

    /* Index of the largest x[i], the lowest among equals; n >= 1. A NaN anywhere gives SIZE_MAX. */
    size_t (*argmax)(const float *x, size_t n);
} qwen_kernels;

/* What this CPU and operating system can run: QWEN_CPU_* bits of qwen_asr.h. No caching: callers keep the answer. */
uint32_t qwen_cpu_detect(void);

/* Physical cores this process may use (affinity respected), at least 1. */
int qwen_cpu_cores(void);

/* Fills *k with the best table for the given bits (unknown bits are ignored); 0 gives the scalar one. */
void qwen_kernels_init(qwen_kernels *k, uint32_t cpu);

/* The tables; each init overwrites the slots it implements. Which exist depends on the target the library is built for. */
void qwen_kernels_init_scalar(qwen_kernels *k);
void qwen_kernels_init_avx2(qwen_kernels *k);
void qwen_kernels_init_avx512(qwen_kernels *k);
void qwen_kernels_init_neon(qwen_kernels *k);

#endif
