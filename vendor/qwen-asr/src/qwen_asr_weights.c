/*
 * qwen_asr_weights.c - tensor names -> weight structs; the only file that knows tensor names (MODEL.md, "Files").
 *
 * One walk over the model serves twice. The first time nothing is copied: every tensor is looked up, its type and shape
 * are compared with config.json, and the floats of all vectors are counted. The second time the copies are filled. So
 * no size that only config.json claims is ever allocated.
 */
#include "qwen_asr_weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define NAME_MAX_BYTES 192
#define POOL_STEP 16u /* floats in 64 bytes: every vector starts on a cache line */

typedef struct builder {
    qwen_weights *w;
    const qwen_config *c;
    const char *audio, *text, *proj1, *proj2, *head; /* names, or beginnings of names */
    bool fill;                                       /* second walk */
    size_t pool_used;                                /* floats */
    uint64_t n_parameters;
    qwen_error *err;
    qwen_status status; /* the first error; later lookups do nothing */
} builder;

/* ---- one tensor ---------------------------------------------------------------------------------------------- */

static void shape_text(char *out, size_t cap, const size_t *shape, int n_dims) {
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < n_dims && at + 24 < cap; i++) {
        const int n = snprintf(out + at, cap - at, i ? ",%zu" : "%zu", shape[i]);
        if (n > 0) at += (size_t)n;
    }
    out[at++] = ']';
    out[at] = '\0';
}

/* The tensor of that name, with that shape, of a type that can be computed with; else NULL and the status is set. */
static const qwen_tensor *take(builder *b, const char *name, int n_dims, const size_t *shape) {
    if (b->status != QWEN_OK) return NULL;
    const qwen_tensor *t = qwen_tensors_find(b->w->tensors, name);
    if (!t) {
        b->status = qwen_fail(b->err, QWEN_ERR_FORMAT, "%s: %s is missing", qwen_tensors_source(b->w->tensors), name);
        return NULL;
    }
    if (t->n_dims != n_dims || memcmp(t->shape, shape, (size_t)n_dims * sizeof *shape) != 0) {
        char got[200], want[128];
        shape_text(got, sizeof got, t->shape, t->n_dims);
        shape_text(want, sizeof want, shape, n_dims);
        b->status = qwen_fail(b->err, QWEN_ERR_FORMAT, "%s: %s: shape %s, expected %s", t->file, name, got, want);
        return NULL;
    }
    if (t->type != QWEN_TENSOR_F32 && t->type != QWEN_TENSOR_BF16 && t->type != QWEN_TENSOR_F16) {
        b->status = qwen_fail(b->err, QWEN_ERR_UNSUPPORTED, "%s: %s: type %s, expected F32, BF16 or F16", t->file, name,
                              t->type_name);
        return NULL;
    }
    uint64_t n = 1;
    for (int i = 0; i < n_dims; i++) n *= shape[i];
    b->n_parameters += n;
    return t;
}

static qwen_dtype dtype_of(const qwen_tensor *t) {
    return t->type == QWEN_TENSOR_F32 ? QWEN_F32 : t->type == QWEN_TENSOR_BF16 ? QWEN_BF16 : QWEN_F16;
}

static qwen_mat take_mat(builder *b, const char *name, size_t rows, size_t cols) {
    const qwen_tensor *t = take(b, name, 2, (const size_t[]){rows, cols});
    return t ? (qwen_mat){t->data, dtype_of(t), rows, cols} : (qwen_mat){0};
}

static void widen(float *out, const qwen_tensor *t, size_t n) {
    if (t->type == QWEN_TENSOR_F32) {
        memcpy(out, t->data, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, t->data + 2 * i, sizeof h);
        out[i] = t->type == QWEN_TENSOR_BF16 ? qwen_bf16_to_float(h) : qwen_f16_to_float(h);
    }
}

static const float *take_vector(builder *b, const char *name, size_t n) {
    const qwen_tensor *t = take(b, name, 1, &n);
    if (!t) return NULL;
    const size_t at = b->pool_used;
    b->pool_used += qwen_ceil_div(n, POOL_STEP) * POOL_STEP; /* the file holds n elements, so this cannot overflow */
    if (!b->fill) return NULL;
    widen(b->w->pool + at, t, n);
    return b->w->pool + at;
}

/* ---- groups of tensors --------------------------------------------------------------------------------------- */

typedef char name_buf[NAME_MAX_BYTES];

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static const char *
name_of(char *out, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(out, NAME_MAX_BYTES, fmt, ap) < 0) out[0] = '\0';
    va_end(ap);
    return out;
}

/* prefix: the name up to ".weight". */
static qwen_linear_weights take_linear(builder *b, const char *prefix, size_t rows, size_t cols) {
    name_buf name;
    qwen_linear_weights l = {0};
    l.w = take_mat(b, name_of(name, "%s.weight", prefix), rows, cols);
    l.bias = take_vector(b, name_of(name, "%s.bias", prefix), rows);
    return l;
}

static qwen_norm_weights take_norm(builder *b, const char *prefix, size_t width, bool bias) {
    name_buf name;
    qwen_norm_weights n = {0};
    n.w = take_vector(b, name_of(name, "%s.weight", prefix), width);
    if (bias) n.b = take_vector(b, name_of(name, "%s.bias", prefix), width);
    return n;
}

/* [O, C, 3, 3] in the file; [O, (ky * 3 + kx) * C + c] for a convolution that gathers channels-last pixels. */
static void reorder_conv(unsigned char *out, const unsigned char *in, size_t n_out, size_t n_in, size_t elem) {
    for (size_t o = 0; o < n_out; o++)
        for (size_t k = 0; k < 9; k++)
            for (size_t c = 0; c < n_in; c++, out += elem) memcpy(out, in + ((o * n_in + c) * 9 + k) * elem, elem);
}

static qwen_linear_weights take_conv(builder *b, int i, size_t n_out, size_t n_in) {
    name_buf name;
    qwen_linear_weights l = {0};
    const qwen_tensor *t =
        take(b, name_of(name, "%sconv2d%d.weight", b->audio, i + 1), 4, (const size_t[]){n_out, n_in, 3, 3});
    l.bias = take_vector(b, name_of(name, "%sconv2d%d.bias", b->audio, i + 1), n_out);
    if (!t || !b->fill || b->status != QWEN_OK) return l;
    l.w = (qwen_mat){NULL, dtype_of(t), n_out, 9 * n_in};
    b->w->conv_copy[i] = qwen_alloc(t->bytes, 1);
    if (!b->w->conv_copy[i]) {
        b->status =
            qwen_fail(b->err, QWEN_ERR_NOMEM, "%s: out of memory for %zu bytes of %s", t->file, t->bytes, t->name);
        return l;
    }
    reorder_conv(b->w->conv_copy[i], t->data, n_out, n_in, qwen_dtype_size(l.w.dtype));
    l.w.data = b->w->conv_copy[i];
    return l;
}

static qwen_encoder_layer take_encoder_layer(builder *b, size_t i) {
    const size_t d = b->c->audio.width, ffn = b->c->audio.ffn;
    name_buf base, name;
    name_of(base, "%slayers.%zu.", b->audio, i);
    qwen_encoder_layer l = {0};
    l.attn_norm = take_norm(b, name_of(name, "%sself_attn_layer_norm", base), d, true);
    l.q = take_linear(b, name_of(name, "%sself_attn.q_proj", base), d, d);
    l.k = take_linear(b, name_of(name, "%sself_attn.k_proj", base), d, d);
    l.v = take_linear(b, name_of(name, "%sself_attn.v_proj", base), d, d);
    l.out = take_linear(b, name_of(name, "%sself_attn.out_proj", base), d, d);
    l.ffn_norm = take_norm(b, name_of(name, "%sfinal_layer_norm", base), d, true);
    l.fc1 = take_linear(b, name_of(name, "%sfc1", base), ffn, d);
    l.fc2 = take_linear(b, name_of(name, "%sfc2", base), d, ffn);
    return l;
}

static qwen_decoder_layer take_decoder_layer(builder *b, size_t i) {
    const qwen_text_config *t = &b->c->text;
    const size_t h = t->width, dh = t->head_dim, nq = t->n_heads * dh, nk = t->n_kv_heads * dh;
    name_buf base, name;
    name_of(base, "%slayers.%zu.", b->text, i);
    qwen_decoder_layer l = {0};
    l.attn_norm = take_norm(b, name_of(name, "%sinput_layernorm", base), h, false);
    l.q = take_mat(b, name_of(name, "%sself_attn.q_proj.weight", base), nq, h);
    l.k = take_mat(b, name_of(name, "%sself_attn.k_proj.weight", base), nk, h);
    l.v = take_mat(b, name_of(name, "%sself_attn.v_proj.weight", base), nk, h);
    l.o = take_mat(b, name_of(name, "%sself_attn.o_proj.weight", base), h, nq);
    l.q_norm = take_norm(b, name_of(name, "%sself_attn.q_norm", base), dh, false);
    l.k_norm = take_norm(b, name_of(name, "%sself_attn.k_norm", base), dh, false);
    l.ffn_norm = take_norm(b, name_of(name, "%spost_attention_layernorm", base), h, false);
    l.gate = take_mat(b, name_of(name, "%smlp.gate_proj.weight", base), t->ffn, h);
    l.up = take_mat(b, name_of(name, "%smlp.up_proj.weight", base), t->ffn, h);
    l.down = take_mat(b, name_of(name, "%smlp.down_proj.weight", base), h, t->ffn);
    return l;
}

/* A layer more in the files than config.json counts: the model would compute, and be wrong. */
static void no_layer_beyond(builder *b, const char *name, const char *key, size_t n_layers) {
    if (b->status != QWEN_OK) return;
    const qwen_tensor *t = qwen_tensors_find(b->w->tensors, name);
    if (t)
        b->status = qwen_fail(b->err, QWEN_ERR_FORMAT, "%s: holds %s, but %s in config.json is %zu", t->file, name, key,
                              n_layers);
}

static void take_encoder(builder *b) {
    qwen_encoder_weights *e = &b->w->encoder;
    const qwen_audio_config *a = &b->c->audio;
    name_buf name;
    for (int i = 0; i < 3; i++) e->conv[i] = take_conv(b, i, a->conv_channels, i ? a->conv_channels : 1);
    e->conv_out.w =
        take_mat(b, name_of(name, "%sconv_out.weight", b->audio), a->width, a->conv_bins * a->conv_channels);
    for (size_t i = 0; i < a->n_layers && b->status == QWEN_OK; i++) e->layers[i] = take_encoder_layer(b, i);
    no_layer_beyond(b, name_of(name, "%slayers.%zu.fc1.weight", b->audio, a->n_layers), "encoder_layers", a->n_layers);
    e->post_norm = take_norm(b, name_of(name, "%sln_post", b->audio), a->width, true);
    e->proj1 = take_linear(b, b->proj1, a->width, a->width);
    e->proj2 = take_linear(b, b->proj2, a->output_width, a->width);
}

/* text_config.tie_word_embeddings decides; a stored head of a tied model is not read. */
static void take_head(builder *b) {
    qwen_decoder_weights *d = &b->w->decoder;
    const qwen_text_config *t = &b->c->text;
    if (b->status != QWEN_OK) return;
    const qwen_tensor *stored = qwen_tensors_find(b->w->tensors, b->head);
    if (t->tie_head == 0) {
        d->head = take_mat(b, b->head, t->vocab_size, t->width);
    } else if (t->tie_head < 0 && stored) {
        b->status = qwen_fail(
            b->err, QWEN_ERR_FORMAT,
            "config.json: text_config.tie_word_embeddings is missing, but %s holds %s: which output head is meant?",
            stored->file, b->head);
    } else {
        d->head = d->embed;
    }
}

static void take_decoder(builder *b) {
    qwen_decoder_weights *d = &b->w->decoder;
    const qwen_text_config *t = &b->c->text;
    name_buf name;
    d->embed = take_mat(b, name_of(name, "%sembed_tokens.weight", b->text), t->vocab_size, t->width);
    for (size_t i = 0; i < t->n_layers && b->status == QWEN_OK; i++) d->layers[i] = take_decoder_layer(b, i);
    no_layer_beyond(b, name_of(name, "%slayers.%zu.input_layernorm.weight", b->text, t->n_layers), "num_hidden_layers",
                    t->n_layers);
    d->norm = take_norm(b, name_of(name, "%snorm", b->text), t->width, false);
    take_head(b);
}

static qwen_status walk(builder *b, bool fill) {
    b->fill = fill;
    b->pool_used = 0;
    b->n_parameters = 0;
    take_encoder(b);
    take_decoder(b);
    return b->status;
}

static qwen_status build(qwen_weights *w, const char *dir, const qwen_config *c, bool no_mmap, qwen_error *err) {
    builder b = {.w = w,
                 .c = c,
                 .audio = c->native ? "model.audio_tower." : "thinker.audio_tower.",
                 .text = c->native ? "model.language_model." : "thinker.model.",
                 .proj1 = c->native ? "model.multi_modal_projector.linear_1" : "thinker.audio_tower.proj1",
                 .proj2 = c->native ? "model.multi_modal_projector.linear_2" : "thinker.audio_tower.proj2",
                 .head = c->native ? "lm_head.weight" : "thinker.lm_head.weight",
                 .err = err};
    QWEN_TRY(qwen_tensors_open(&w->tensors, dir, no_mmap, err));
    w->encoder.layers = qwen_alloc_zero(c->audio.n_layers, sizeof *w->encoder.layers);
    w->decoder.layers = qwen_alloc_zero(c->text.n_layers, sizeof *w->decoder.layers);
    if (!w->encoder.layers || !w->decoder.layers)
        return qwen_fail(err, QWEN_ERR_NOMEM, "%s: out of memory for the list of layers", dir);
    QWEN_TRY(walk(&b, false));
    w->pool = qwen_alloc_zero(b.pool_used, sizeof *w->pool);
    if (!w->pool) return qwen_fail(err, QWEN_ERR_NOMEM, "%s: out of memory for %zu biases and norms", dir, b.pool_used);
    QWEN_TRY(walk(&b, true));
    w->n_parameters = b.n_parameters;
    w->mapped_bytes = qwen_tensors_bytes(w->tensors);
    return QWEN_OK;
}

qwen_status qwen_weights_open(qwen_weights *out, const char *dir, const qwen_config *config, bool no_mmap,
                              qwen_error *err) {
    *out = (qwen_weights){0};
    const qwen_status s = build(out, dir, config, no_mmap, err);
    if (s != QWEN_OK) qwen_weights_close(out);
    return s;
}

void qwen_weights_close(qwen_weights *w) {
    for (int i = 0; i < 3; i++) qwen_free(w->conv_copy[i]);
    qwen_free(w->pool);
    qwen_free(w->encoder.layers);
    qwen_free(w->decoder.layers);
    qwen_tensors_close(w->tensors);
    *w = (qwen_weights){0};
}
