/*
 * qwen_asr_ops.h - matrix products, convolution and attention = kernels x pool. Rank 4.
 *
 * Knows shapes only. Outputs are split over the workers, sums never: the same bits for any number of threads and rows.
 * With a BLAS backend compiled in (QWEN_BLAS), qwen_linear hands products of many rows to it, and this promise ends there.
 */
#ifndef QWEN_ASR_OPS_H
#define QWEN_ASR_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_kernels.h"
#include "qwen_asr_mat.h"
#include "qwen_asr_pool.h"

typedef struct qwen_ops {
    const qwen_kernels *kernels; /* of the model */
    qwen_pool *pool;             /* of the stream */
    const int32_t *cancel;       /* NULL or the caller's flag */
    float *scratch;              /* [n_threads][scratch_floats], 64-byte aligned rows */
    size_t scratch_floats;
} qwen_ops;

/* Opens a pool of n_threads and, per thread, scratch for attention over max_keys keys, convolutions of max_conv_k = 9*C columns and products
 * over max_k columns. */
qwen_status qwen_ops_open(qwen_ops *out, const qwen_kernels *kernels, int n_threads, size_t max_keys, size_t max_conv_k,
                          size_t max_k, const int32_t *cancel, qwen_error *err);
void qwen_ops_close(qwen_ops *ops); /* safe on a zeroed one */

/* Has the caller asked to stop? Looked at between ops. */
bool qwen_cancelled(const qwen_ops *ops);

/* y [M, ldy] = x [M, ldx] W^T + bias, W [N, K]; bias [N] or NULL. y must not overlap x. */
void qwen_linear(const qwen_ops *ops, float *y, size_t ldy, const float *x, size_t ldx, size_t M, const qwen_mat *w, const float *bias);

/* Row-wise maps over M rows. */
void qwen_layer_norm(const qwen_ops *ops, float *y, const float *x, size_t M, size_t width, const float *w, const float *b, float eps);
void qwen_rms_norm(const qwen_ops *ops, float *y, const float *x, size_t M, size_t width, const float *w, float eps);
void qwen_gelu(const qwen_ops *ops, float *x, size_t n);                          /* in place */
void qwen_silu_mul(const qwen_ops *ops, float *gate, const float *up, size_t n);  /* in place in gate */
void qwen_add(const qwen_ops *ops, float *y, const float *x, size_t n);           /* y += x */

/* 3x3 convolution, stride 2, zero padding 1, bias, then GELU, channels last.
 * x [H, W, C]; w [C_out, 9*C] with k = (ky*3 + kx)*C + c; y [(H-1)/2+1, (W-1)/2+1, C_out]. */
void qwen_conv3x3_s2_gelu(const qwen_ops *ops, float *y, const float *x, size_t H, size_t W, size_t C, const qwen_mat *w, const float *bias);

/* Bidirectional attention of N rows among themselves. qkv [N, 3*heads*dh] holds q, k, v side by side; out [N, heads*dh]. Scale dh^-0.5. */
void qwen_attention_full(const qwen_ops *ops, float *out, const float *qkv, size_t N, size_t heads, size_t dh);

/* Causal grouped-query attention. Rows m = 0..M-1 stand at positions pos0 + m and see keys 0..pos0+m. q, out [M, heads*dh]; k_cache, v_cache
 * [kv_heads][max_pos][dh] already hold the keys and values of those rows. Query head j uses kv head j / (heads / kv_heads). */
void qwen_attention_causal(const qwen_ops *ops, float *out, const float *q, size_t M, size_t pos0, size_t heads, size_t kv_heads, size_t dh,
                           const float *k_cache, const float *v_cache, size_t max_pos);

/* What computes products of many rows: "native", "openblas", "accelerate". */
const char *qwen_gemm_backend(void);

#endif
