/*
 * qwen_asr_decoder.c - the Qwen3 transformer: prefill and single steps are the same code with more or fewer rows.
 *
 * Math: MODEL.md, "Decoder". The three position streams of its M-RoPE are equal for audio and text, so it is plain RoPE. The cache holds keys after
 * norm and rotation, and values, in float32, per layer and kv head contiguous over positions.
 */
#include "qwen_asr_decoder.h"

#include <math.h>
#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

static bool alloc_floats(float **out, size_t a, size_t b) {
    size_t n = 0;
    *out = qwen_mul_ok(a, b, &n) ? qwen_alloc(n, sizeof(float)) : NULL;
    return *out != NULL;
}

/* inv[i] = theta^(-2i / dh); angle = position * inv in float32, as the reference computes it. */
static void fill_rope(qwen_decoder *d) {
    const size_t half = d->config->head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        const float inv = (float)(1.0 / pow(d->config->rope_theta, (double)(2 * i) / (double)(2 * half)));
        for (size_t p = 0; p < d->max_positions; p++) {
            const float angle = (float)p * inv;
            d->rope_cos[p * half + i] = (float)cos((double)angle);
            d->rope_sin[p * half + i] = (float)sin((double)angle);
        }
    }
}

qwen_status qwen_decoder_fits(const qwen_text_config *config, size_t positions, qwen_error *err) {
    if (positions <= config->max_positions) return QWEN_OK;
    return qwen_fail(err, QWEN_ERR_ARG, "%zu positions are needed (prompt, audio and text) and the model has %zu: use shorter segments or a shorter context", positions,
                     config->max_positions);
}

qwen_status qwen_decoder_open(qwen_decoder *out, const qwen_text_config *config, const qwen_decoder_weights *weights, const qwen_ops *ops,
                              size_t max_positions, qwen_error *err) {
    memset(out, 0, sizeof *out);
    QWEN_TRY(qwen_decoder_fits(config, max_positions, err));
    out->config = config;
    out->weights = weights;
    out->ops = ops;
    out->max_positions = max_positions;
    const size_t rows = QWEN_PREFILL_ROWS, kv = config->n_kv_heads * config->head_dim, q = config->n_heads * config->head_dim;
    size_t cache = 0;
    const bool ok = qwen_mul_ok(config->n_layers * kv, max_positions, &cache) && alloc_floats(&out->k_cache, cache, 1) &&
                    alloc_floats(&out->v_cache, cache, 1) && alloc_floats(&out->rope_cos, max_positions, config->head_dim / 2) &&
                    alloc_floats(&out->rope_sin, max_positions, config->head_dim / 2) && alloc_floats(&out->x, rows, config->width) &&
                    alloc_floats(&out->y, rows, config->width) && alloc_floats(&out->q, rows, q) && alloc_floats(&out->attn, rows, q) &&
                    alloc_floats(&out->kv, rows, kv) && alloc_floats(&out->gate, rows, config->ffn) && alloc_floats(&out->up, rows, config->ffn) &&
                    alloc_floats(&out->logit_rows, QWEN_LOGIT_ROWS, config->vocab_size);
    if (!ok) {
        qwen_decoder_close(out);
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the decoder's cache of %zu positions (%zu bytes)", max_positions, 2 * cache * sizeof(float));
    }
    fill_rope(out);
    return QWEN_OK;
}

void qwen_decoder_close(qwen_decoder *d) {
    float *const owned[] = {d->k_cache, d->v_cache, d->rope_cos, d->rope_sin, d->x, d->y, d->q, d->attn, d->kv, d->gate, d->up, d->logit_rows};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) qwen_free(owned[i]);
    memset(d, 0, sizeof *d);
}

void qwen_decoder_truncate(qwen_decoder *d, size_t n) {
    if (n < d->n_positions) d->n_positions = n;
}

/* y [M, N] = x [M, K] W^T for contiguous rows. */
static void product(const qwen_decoder *d, float *y, const float *x, size_t M, const qwen_mat *w) {
    qwen_linear(d->ops, y, w->rows, x, w->cols, M, w, NULL);
}

/* Rotates every head of x [M, heads*dh]; row m stands at position pos0 + m. */
static void rotate(const qwen_decoder *d, float *x, size_t M, size_t pos0, size_t heads) {
    const size_t dh = d->config->head_dim;
    for (size_t m = 0; m < M; m++) {
        const size_t at = (pos0 + m) * (dh / 2);
        for (size_t h = 0; h < heads; h++)
            d->ops->kernels->rope(x + (m * heads + h) * dh, d->rope_cos + at, d->rope_sin + at, dh / 2);
    }
}

/* Copies kv [M, kv_heads*dh] to its positions in one layer's cache. */
static void store(const qwen_decoder *d, float *cache, const float *kv, size_t M) {
    const size_t dh = d->config->head_dim, heads = d->config->n_kv_heads;
    for (size_t m = 0; m < M; m++)
        for (size_t h = 0; h < heads; h++)
            memcpy(cache + (h * d->max_positions + d->n_positions + m) * dh, kv + (m * heads + h) * dh, dh * sizeof *cache);
}

static void embed(const qwen_decoder *d, const int32_t *ids, size_t M, const float *embeddings) {
    const size_t H = d->config->width;
    const qwen_mat *table = &d->weights->embed;
    for (size_t m = 0; m < M; m++) {
        if (ids[m] < 0) memcpy(d->x + m * H, embeddings + (size_t)(-1 - (int64_t)ids[m]) * H, H * sizeof(float));
        else d->ops->kernels->widen[table->dtype](d->x + m * H, qwen_mat_row(table, (size_t)ids[m]), H);
    }
}

/*
 * One layer over rows 0..M-1. Only the last `keep` rows go on past the keys and values: in the last layer nothing reads the others.
 * False if cancelled.
 */
static bool layer(qwen_decoder *d, size_t l, size_t M, size_t keep) {
    const qwen_text_config *c = d->config;
    const qwen_decoder_layer *w = &d->weights->layers[l];
    const qwen_ops *ops = d->ops;
    const size_t H = c->width, dh = c->head_dim, skip = M - keep;
    const size_t layer_floats = c->n_kv_heads * d->max_positions * dh;
    float *k_cache = d->k_cache + l * layer_floats, *v_cache = d->v_cache + l * layer_floats;

    qwen_rms_norm(ops, d->y, d->x, M, H, w->attn_norm.w, c->rms_eps);
    product(d, d->kv, d->y, M, &w->k);
    qwen_rms_norm(ops, d->kv, d->kv, M * c->n_kv_heads, dh, w->k_norm.w, c->rms_eps);
    rotate(d, d->kv, M, d->n_positions, c->n_kv_heads);
    store(d, k_cache, d->kv, M);
    product(d, d->kv, d->y, M, &w->v);
    store(d, v_cache, d->kv, M);
    if (qwen_cancelled(ops)) return false;
    if (keep == 0) return true;

    product(d, d->q, d->y + skip * H, keep, &w->q);
    qwen_rms_norm(ops, d->q, d->q, keep * c->n_heads, dh, w->q_norm.w, c->rms_eps);
    rotate(d, d->q, keep, d->n_positions + skip, c->n_heads);
    qwen_attention_causal(ops, d->attn, d->q, keep, d->n_positions + skip, c->n_heads, c->n_kv_heads, dh, k_cache, v_cache, d->max_positions);
    float *x = d->x + skip * H;
    product(d, d->y, d->attn, keep, &w->o);
    qwen_add(ops, x, d->y, keep * H);
    qwen_rms_norm(ops, d->y, x, keep, H, w->ffn_norm.w, c->rms_eps);
    if (qwen_cancelled(ops)) return false;
    product(d, d->gate, d->y, keep, &w->gate);
    if (qwen_cancelled(ops)) return false;
    product(d, d->up, d->y, keep, &w->up);
    qwen_silu_mul(ops, d->gate, d->up, keep * c->ffn);
    if (qwen_cancelled(ops)) return false;
    product(d, d->y, d->gate, keep, &w->down);
    qwen_add(ops, x, d->y, keep * H);
    return !qwen_cancelled(ops);
}

/* How far logit `best` is above all others. */
static float margin_of(const float *logits, size_t n, size_t best) {
    float second = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (i != best && logits[i] > second) second = logits[i];
    return logits[best] - second;
}

/* The likeliest token after each of the rows x [n, H], and its margin if margins is not NULL. */
static void output_head(qwen_decoder *d, const float *x, size_t n, int32_t *best, float *margins) {
    const size_t V = d->config->vocab_size, H = d->config->width;
    for (size_t m = 0; m < n; m += QWEN_LOGIT_ROWS) {
        const size_t rows = qwen_min_size(QWEN_LOGIT_ROWS, n - m);
        qwen_rms_norm(d->ops, d->y, x + m * H, rows, H, d->weights->norm.w, d->config->rms_eps);
        product(d, d->logit_rows, d->y, rows, &d->weights->head);
        for (size_t i = 0; i < rows; i++) {
            const size_t id = d->ops->kernels->argmax(d->logit_rows + i * V, V);
            best[m + i] = id == SIZE_MAX ? -1 : (int32_t)id;
            if (margins) margins[m + i] = id == SIZE_MAX ? 0 : margin_of(d->logit_rows + i * V, V, id);
        }
        d->logits = d->logit_rows + (rows - 1) * V;
    }
}

qwen_status qwen_decoder_append(qwen_decoder *d, const int32_t *ids, size_t M, const float *embeddings, int32_t *best, float *margins,
                                size_t n_best, float *hidden_taps, qwen_error *err) {
    if (M == 0) return QWEN_OK;
    const qwen_text_config *c = d->config;
    if (M > QWEN_PREFILL_ROWS || n_best > M || M > d->max_positions - d->n_positions)
        return qwen_fail(err, QWEN_ERR_INTERNAL, "%zu rows at position %zu do not fit the decoder's %zu positions", M, d->n_positions, d->max_positions);
    for (size_t m = 0; m < M; m++)
        if (ids[m] >= 0 && (size_t)ids[m] >= c->vocab_size)
            return qwen_fail(err, QWEN_ERR_INTERNAL, "token id %d is outside the vocabulary of %zu", ids[m], c->vocab_size);
    embed(d, ids, M, embeddings);
    for (size_t l = 0; l < c->n_layers; l++) {
        const bool last = l + 1 == c->n_layers;
        const size_t keep = !last ? M : qwen_max_size(n_best, hidden_taps ? 1 : 0);
        if (!layer(d, l, M, keep)) return qwen_fail(err, QWEN_ERR_CANCELLED, "transcription was cancelled");
        if (hidden_taps) memcpy(hidden_taps + l * c->width, d->x + (M - 1) * c->width, c->width * sizeof(float));
    }
    d->n_positions += M;
    if (n_best) output_head(d, d->x + (M - n_best) * c->width, n_best, best, margins);
    return qwen_cancelled(d->ops) && n_best ? qwen_fail(err, QWEN_ERR_CANCELLED, "transcription was cancelled") : QWEN_OK;
}
