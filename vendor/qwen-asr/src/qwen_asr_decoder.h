/*
 * qwen_asr_decoder.h - the Qwen3 decoder with its KV cache. Rank 5. Math: MODEL.md, Decoder.
 */
#ifndef QWEN_ASR_DECODER_H
#define QWEN_ASR_DECODER_H

#include "qwen_asr_config.h"
#include "qwen_asr_ops.h"
#include "qwen_asr_status.h"
#include "qwen_asr_weights.h"

#define QWEN_PREFILL_ROWS 256 /* rows computed at a time; bounds memory, changes no bit */
#define QWEN_LOGIT_ROWS 16    /* the same for the output head: 10 MB of logits for a vocabulary of 152,000 */

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
    float *logit_rows;      /* [QWEN_LOGIT_ROWS, V] */
    const float *logits;    /* [V] of the last row that was asked for; inside logit_rows */
} qwen_decoder;

/* QWEN_ERR_ARG if the model has fewer positions than that. */
qwen_status qwen_decoder_fits(const qwen_text_config *config, size_t positions, qwen_error *err);

qwen_status qwen_decoder_open(qwen_decoder *out, const qwen_text_config *config, const qwen_decoder_weights *weights, const qwen_ops *ops,
                              size_t max_positions, qwen_error *err);
void qwen_decoder_close(qwen_decoder *d); /* safe on a zeroed one */

/* Forgets every position from n on (n <= n_positions). */
void qwen_decoder_truncate(qwen_decoder *d, size_t n);

/* Appends M rows (M <= QWEN_PREFILL_ROWS) at the next positions. Row m is the embedding of ids[m], or, where ids[m] < 0, row -1 - ids[m] of
 * embeddings [*, H]. best [n_best], n_best <= M: the likeliest next token after each of the last n_best rows, the lowest id among equals, -1 where a logit is
 * not a number; d->logits is then the last row's. margins: NULL, or [n_best]: by how much the best logit exceeds the second. hidden_taps: NULL, or [layers, H]: the residual stream of the last row after every layer. */
qwen_status qwen_decoder_append(qwen_decoder *d, const int32_t *ids, size_t M, const float *embeddings, int32_t *best, float *margins,
                                size_t n_best, float *hidden_taps, qwen_error *err);

#endif
