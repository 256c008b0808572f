/*
 * qwen_asr_decoder.h - the Qwen3 decoder with its KV cache. Rank 5. Math: SPEC section 6.
 */
#ifndef QWEN_ASR_DECODER_H
#define QWEN_ASR_DECODER_H

#include "qwen_asr_config.h"
#include "qwen_asr_ops.h"
#include "qwen_asr_status.h"
#include "qwen_asr_weights.h"

#define QWEN_PREFILL_ROWS 256 /* rows computed at a time; bounds memory, changes no bit */

typedef struct qwen_decoder {
    const qwen_text_config *config;
    const qwen_decoder_weights *weights;
    const qwen_ops *ops;
    size_t max_positions;   /* room of the cache */
    size_t n_positions;     /* filled */
    float *k_cache, *v_cache; /* [layers][kv_heads][max_positions][dh] */
    float *rope_cos, *rope_sin; /* [max_positions][dh/2] */
    float *x, *y;           /* [QWEN_PREFILL_ROWS, H] */
    float *q, *attn;        /* [QWEN_PREFILL_ROWS, heads*dh] */
    float *kv;              /* [QWEN_PREFILL_ROWS, kv_heads*dh] */
    float *gate, *up;       /* [QWEN_PREFILL_ROWS, ffn] */
    float *logits;          /* [V] of the last row computed */
} qwen_decoder;

qwen_status qwen_decoder_open(qwen_decoder *out, const qwen_text_config *config, const qwen_decoder_weights *weights, const qwen_ops *ops,
                              size_t max_positions, qwen_error *err);
void qwen_decoder_close(qwen_decoder *d); /* safe on a zeroed one */

/* Forgets every position from n on (n <= n_positions). */
void qwen_decoder_truncate(qwen_decoder *d, size_t n);

/* Appends M rows (M <= QWEN_PREFILL_ROWS) at the next positions. Row m is the embedding of ids[m], or, where ids[m] < 0, row -1 - ids[m] of
 * embeddings [*, H]. want_logits: fills d->logits for the last row. hidden_taps: NULL, or [layers, H]: the residual stream of the last row after every layer. */
qwen_status qwen_decoder_append(qwen_decoder *d, const int32_t *ids, size_t M, const float *embeddings, bool want_logits, float *hidden_taps,
                                qwen_error *err);

#endif
