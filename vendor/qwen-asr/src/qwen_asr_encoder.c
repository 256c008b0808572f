/*
 * qwen_asr_encoder.c - conv stem, transformer layers and projector, one attention window at a time.
 *
 * Math: MODEL.md, "Audio encoder" (the audio tower of Qwen3-ASR with its attention windows applied). A chunk is padded with zeros to the longest
 * chunk of its clip: to 100 frames, or to nothing if the clip is shorter than that.
 */
#include "qwen_asr_encoder.h"

#include <math.h>
#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define LAYER_NORM_EPS 1e-5f

/* One 3x3 convolution of stride 2 with padding 1: half, rounded up. */
static size_t halve(size_t n) { return n ? (n - 1) / 2 + 1 : 0; }

/* Rows kept from a chunk of L frames. */
static size_t chunk_rows(size_t L) { return halve(halve(halve(L))); }

static size_t window_rows(const qwen_encoder *e) { return e->config->window_chunks * QWEN_CHUNK_ROWS; }

size_t qwen_encoder_windows(const qwen_encoder *e, size_t n_frames) {
    return qwen_ceil_div(n_frames, e->config->window_chunks * QWEN_CHUNK_FRAMES);
}

/* pe[p] = concat(sin(p * inv), cos(p * inv)), inv[i] = 10000^(-i / (h - 1)), h = d / 2. */
static void fill_positions(float *pe, size_t d) {
    const size_t h = d / 2;
    for (size_t i = 0; i < h; i++) {
        const float inv = (float)exp(-log(10000.0) / (double)(h - 1) * (double)i);
        for (size_t p = 0; p < QWEN_CHUNK_ROWS; p++) {
            const float angle = (float)p * inv;
            pe[p * d + i] = (float)sin((double)angle);
            pe[p * d + h + i] = (float)cos((double)angle);
        }
    }
}

qwen_status qwen_encoder_open(qwen_encoder *out, const qwen_audio_config *config, const qwen_encoder_weights *weights, const qwen_ops *ops,
                              qwen_error *err) {
    memset(out, 0, sizeof *out);
    out->config = config;
    out->weights = weights;
    out->ops = ops;
    /* The config's bounds keep these products far from overflow. */
    const size_t C = config->conv_channels, d = config->width, rows = window_rows(out);
    const size_t f1 = halve(config->n_mels), f2 = halve(f1), t1 = halve(QWEN_CHUNK_FRAMES), t2 = halve(t1);
    out->position = qwen_alloc(QWEN_CHUNK_ROWS * d, sizeof(float));
    out->map_a = qwen_alloc(f1 * t1 * C, sizeof(float));
    out->map_b = qwen_alloc(qwen_max_size(f2 * t2 * C, config->n_mels * QWEN_CHUNK_FRAMES), sizeof(float));
    out->rows = qwen_alloc(QWEN_CHUNK_ROWS * config->conv_bins * C, sizeof(float));
    out->x = qwen_alloc(rows * d, sizeof(float));
    out->y = qwen_alloc(rows * d, sizeof(float));
    out->qkv = qwen_alloc(rows * d, 3 * sizeof(float));
    out->ffn = qwen_alloc(rows * config->ffn, sizeof(float));
    if (!out->position || !out->map_a || !out->map_b || !out->rows || !out->x || !out->y || !out->qkv || !out->ffn) {
        qwen_encoder_close(out);
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the encoder's working space (%zu rows of width %zu)", rows, d);
    }
    fill_positions(out->position, d);
    return QWEN_OK;
}

void qwen_encoder_close(qwen_encoder *e) {
    qwen_free(e->position);
    qwen_free(e->map_a);
    qwen_free(e->map_b);
    qwen_free(e->rows);
    qwen_free(e->x);
    qwen_free(e->y);
    qwen_free(e->qkv);
    qwen_free(e->ffn);
    memset(e, 0, sizeof *e);
}

static void linear(const qwen_encoder *e, float *y, size_t ldy, const float *x, size_t M, const qwen_linear_weights *w) {
    qwen_linear(e->ops, y, ldy, x, w->w.cols, M, &w->w, w->bias);
}

/*
 * Conv stem of one chunk: mel [L, n_mels] -> out [chunk_rows(L), d]. width: frames the chunk is padded to with 0.0 (which is not silence).
 * Rows past chunk_rows(L) are computed from the padding too and dropped.
 */
static void stem_chunk(qwen_encoder *e, const float *mel, size_t L, size_t width, float *out) {
    const size_t n_mels = e->config->n_mels, C = e->config->conv_channels, d = e->config->width, keep = chunk_rows(L);
    float *image = e->map_b; /* [n_mels, width, 1]: frequency down, time across */
    for (size_t f = 0; f < n_mels; f++) {
        for (size_t t = 0; t < L; t++) image[f * width + t] = mel[t * n_mels + f];
        memset(image + f * width + L, 0, (width - L) * sizeof *image);
    }
    const qwen_linear_weights *conv = e->weights->conv;
    const size_t f1 = halve(n_mels), f2 = halve(f1), f3 = halve(f2), t1 = halve(width), t2 = halve(t1), t3 = halve(t2);
    qwen_conv3x3_s2_gelu(e->ops, e->map_a, image, n_mels, width, 1, &conv[0].w, conv[0].bias);
    qwen_conv3x3_s2_gelu(e->ops, e->map_b, e->map_a, f1, t1, C, &conv[1].w, conv[1].bias);
    qwen_conv3x3_s2_gelu(e->ops, e->map_a, e->map_b, f2, t2, C, &conv[2].w, conv[2].bias);
    for (size_t t = 0; t < keep; t++) /* [f3, t3, C] -> row t: index c * f3 + f, as conv_out's columns are stored */
        for (size_t f = 0; f < f3; f++)
            for (size_t c = 0; c < C; c++) e->rows[(t * C + c) * f3 + f] = e->map_a[(f * t3 + t) * C + c];
    linear(e, out, d, e->rows, keep, &e->weights->conv_out);
    qwen_add(e->ops, out, e->position, keep * d);
}

/* One pre-norm transformer layer on x [N, d], in place. False if cancelled. */
static bool layer(qwen_encoder *e, const qwen_encoder_layer *w, float *x, size_t N) {
    const qwen_audio_config *c = e->config;
    const size_t d = c->width;
    qwen_layer_norm(e->ops, e->y, x, N, d, w->attn_norm.w, w->attn_norm.b, LAYER_NORM_EPS);
    linear(e, e->qkv, 3 * d, e->y, N, &w->q);
    linear(e, e->qkv + d, 3 * d, e->y, N, &w->k);
    linear(e, e->qkv + 2 * d, 3 * d, e->y, N, &w->v);
    if (qwen_cancelled(e->ops)) return false;
    qwen_attention_full(e->ops, e->y, e->qkv, N, c->n_heads, c->head_dim);
    linear(e, e->qkv, d, e->y, N, &w->out);
    qwen_add(e->ops, x, e->qkv, N * d);
    qwen_layer_norm(e->ops, e->y, x, N, d, w->ffn_norm.w, w->ffn_norm.b, LAYER_NORM_EPS);
    linear(e, e->ffn, c->ffn, e->y, N, &w->fc1);
    if (qwen_cancelled(e->ops)) return false;
    qwen_gelu(e->ops, e->ffn, N * c->ffn);
    linear(e, e->y, d, e->ffn, N, &w->fc2);
    qwen_add(e->ops, x, e->y, N * d);
    return !qwen_cancelled(e->ops);
}

static qwen_status cancelled(qwen_error *err) { return qwen_fail(err, QWEN_ERR_CANCELLED, "transcription was cancelled"); }

size_t qwen_encoder_chunks(size_t n_frames) { return qwen_ceil_div(n_frames, QWEN_CHUNK_FRAMES); }

qwen_status qwen_encoder_chunk(qwen_encoder *e, const float *mel, size_t T, size_t c, float *stem, qwen_error *err) {
    const size_t t = c * QWEN_CHUNK_FRAMES, L = qwen_min_size(QWEN_CHUNK_FRAMES, T - t);
    stem_chunk(e, mel + t * e->config->n_mels, L, qwen_min_size(T, QWEN_CHUNK_FRAMES), stem + c * QWEN_CHUNK_ROWS * e->config->width);
    return qwen_cancelled(e->ops) ? cancelled(err) : QWEN_OK;
}

qwen_status qwen_encoder_window(qwen_encoder *e, const float *stem, size_t T, size_t i, float *out, float *last_layer, qwen_error *err) {
    const qwen_audio_config *c = e->config;
    const size_t d = c->width, begin = i * window_rows(e), N = qwen_min_size(qwen_audio_rows(T) - begin, window_rows(e));
    memcpy(e->x, stem + begin * d, N * d * sizeof(float));
    for (size_t l = 0; l < c->n_layers; l++)
        if (!layer(e, &e->weights->layers[l], e->x, N)) return cancelled(err);
    if (last_layer) memcpy(last_layer + begin * d, e->x, N * d * sizeof(float));
    const qwen_encoder_weights *w = e->weights;
    qwen_layer_norm(e->ops, e->y, e->x, N, d, w->post_norm.w, w->post_norm.b, LAYER_NORM_EPS);
    linear(e, e->x, d, e->y, N, &w->proj1);
    qwen_gelu(e->ops, e->x, N * d);
    linear(e, out + begin * c->output_width, c->output_width, e->x, N, &w->proj2);
    return QWEN_OK;
}
