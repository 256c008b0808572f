/* Weights: every fixture opens with the shapes of its config, values arrive, and a model that disagrees with itself is
 * refused. */
#include <math.h>
#include <stdint.h>

#include "check.h"
#include "model_dir.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"
#include "qwen_asr_weights.h"

static qwen_error err;

static qwen_status open_model(qwen_config *c, qwen_weights *w, const char *dir, bool no_mmap) {
    err = (qwen_error){0};
    *w = (qwen_weights){0};
    qwen_status s = qwen_config_open(c, dir, &err);
    if (s == QWEN_OK) s = qwen_weights_open(w, dir, c, no_mmap, &err);
    return s;
}

static qwen_status open_and_close(const char *dir) {
    qwen_config c;
    qwen_weights w;
    const qwen_status s = open_model(&c, &w, dir, false);
    qwen_weights_close(&w);
    qwen_weights_close(&w);
    CHECK(err.status == s && qwen_test_live_allocs() == 0);
    return s;
}

static bool is_mat(const qwen_mat *m, size_t rows, size_t cols) {
    return m->data && m->rows == rows && m->cols == cols && (uintptr_t)m->data % qwen_dtype_size(m->dtype) == 0;
}

static bool is_vector(const float *v, size_t n) {
    if (!v || (uintptr_t)v % 64 != 0) return false;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

static bool is_linear(const qwen_linear_weights *l, size_t rows, size_t cols) {
    return is_mat(&l->w, rows, cols) && is_vector(l->bias, rows);
}
static bool is_norm(const qwen_norm_weights *n, size_t width) {
    return is_vector(n->w, width) && is_vector(n->b, width);
}

static float stored_value(const qwen_tensor *t, size_t i) {
    if (t->type == QWEN_TENSOR_F32) return ((const float *)(const void *)t->data)[i];
    const uint16_t h = ((const uint16_t *)(const void *)t->data)[i];
    return t->type == QWEN_TENSOR_BF16 ? qwen_bf16_to_float(h) : qwen_f16_to_float(h);
}

static float mat_value(const qwen_mat *m, size_t r, size_t k) {
    const void *row = qwen_mat_row(m, r);
    if (m->dtype == QWEN_F32) return ((const float *)row)[k];
    const uint16_t h = ((const uint16_t *)row)[k];
    return m->dtype == QWEN_BF16 ? qwen_bf16_to_float(h) : qwen_f16_to_float(h);
}

static void check_encoder(const qwen_config *c, const qwen_weights *w) {
    const qwen_audio_config *a = &c->audio;
    const qwen_encoder_weights *e = &w->encoder;
    const char *prefix = c->native ? "model.audio_tower." : "thinker.audio_tower.";
    for (size_t i = 0; i < 3; i++) {
        const size_t n_in = i ? a->conv_channels : 1;
        CHECK(is_linear(&e->conv[i], a->conv_channels, 9 * n_in));
        char name[128];
        snprintf(name, sizeof name, "%sconv2d%zu.weight", prefix, i + 1);
        const qwen_tensor *t = qwen_tensors_find(w->tensors, name);
        size_t wrong = 0;
        for (size_t o = 0; t && o < a->conv_channels; o++)
            for (size_t ch = 0; ch < n_in; ch++)
                for (size_t ky = 0; ky < 3; ky++)
                    for (size_t kx = 0; kx < 3; kx++)
                        if (mat_value(&e->conv[i].w, o, (ky * 3 + kx) * n_in + ch) !=
                            stored_value(t, ((o * n_in + ch) * 3 + ky) * 3 + kx))
                            wrong++;
        CHECKF(t && wrong == 0, "%s: %zu values", name, wrong);
        snprintf(name, sizeof name, "%sconv2d%zu.bias", prefix, i + 1);
        t = qwen_tensors_find(w->tensors, name);
        wrong = 0;
        for (size_t o = 0; t && o < a->conv_channels; o++) wrong += e->conv[i].bias[o] != stored_value(t, o);
        CHECKF(t && wrong == 0, "%s: %zu values", name, wrong);
    }
    CHECK(is_mat(&e->conv_out.w, a->width, a->conv_bins * a->conv_channels) && !e->conv_out.bias);
    for (size_t i = 0; i < a->n_layers; i++) {
        const qwen_encoder_layer *l = &e->layers[i];
        CHECK(is_norm(&l->attn_norm, a->width) && is_norm(&l->ffn_norm, a->width));
        CHECK(is_linear(&l->q, a->width, a->width) && is_linear(&l->k, a->width, a->width) &&
              is_linear(&l->v, a->width, a->width));
        CHECK(is_linear(&l->out, a->width, a->width) && is_linear(&l->fc1, a->ffn, a->width) &&
              is_linear(&l->fc2, a->width, a->ffn));
    }
    CHECK(is_norm(&e->post_norm, a->width) && is_linear(&e->proj1, a->width, a->width) &&
          is_linear(&e->proj2, a->output_width, a->width));
}

static void check_decoder(const qwen_config *c, const qwen_weights *w) {
    const qwen_text_config *t = &c->text;
    const qwen_decoder_weights *d = &w->decoder;
    const size_t h = t->width, nq = t->n_heads * t->head_dim, nk = t->n_kv_heads * t->head_dim;
    CHECK(is_mat(&d->embed, t->vocab_size, h) && is_mat(&d->head, t->vocab_size, h) && is_vector(d->norm.w, h) &&
          !d->norm.b);
    CHECK((d->head.data == d->embed.data) == (t->tie_head != 0));
    for (size_t i = 0; i < t->n_layers; i++) {
        const qwen_decoder_layer *l = &d->layers[i];
        CHECK(is_vector(l->attn_norm.w, h) && is_vector(l->ffn_norm.w, h) && is_vector(l->q_norm.w, t->head_dim) &&
              is_vector(l->k_norm.w, t->head_dim));
        CHECK(is_mat(&l->q, nq, h) && is_mat(&l->k, nk, h) && is_mat(&l->v, nk, h) && is_mat(&l->o, h, nq));
        CHECK(is_mat(&l->gate, t->ffn, h) && is_mat(&l->up, t->ffn, h) && is_mat(&l->down, h, t->ffn));
        CHECK(l->q.data != l->k.data && l->gate.data != l->up.data);
    }
}

/* What the walk counted, by formula. */
static uint64_t expected_parameters(const qwen_config *c) {
    const qwen_audio_config *a = &c->audio;
    const qwen_text_config *t = &c->text;
    const uint64_t ch = a->conv_channels, d = a->width, f = a->ffn, h = t->width, dh = t->head_dim,
                   nq = t->n_heads * dh, nk = t->n_kv_heads * dh;
    const uint64_t stem = 9 * ch + ch + 2 * (9 * ch * ch + ch) + d * ch * a->conv_bins;
    const uint64_t enc = a->n_layers * (4 * d + 4 * (d * d + d) + 2 * d * f + f + d) + 2 * d + d * d + d + h * d + h;
    const uint64_t dec = t->n_layers * (2 * h + 2 * dh + 2 * nq * h + 2 * nk * h + 3 * t->ffn * h) + h;
    return stem + enc + dec + t->vocab_size * h * (t->tie_head == 0 ? 2 : 1);
}

static void every_fixture_opens_mapped_and_copied(void) {
    static const char *const models[] = {"parity/tiny-a", "parity/tiny-b", "parity/tiny-c-hf", "tiny-qwen3-asr"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            char dir[MODEL_PATH_MAX];
            qwen_config c;
            qwen_weights w;
            const qwen_status s = open_model(&c, &w, model_dir_path(dir, check_data(), models[i]), no_mmap);
            CHECKF(s == QWEN_OK, "%s: %s", models[i], err.msg);
            if (s == QWEN_OK) {
                check_encoder(&c, &w);
                check_decoder(&c, &w);
                CHECK(w.n_parameters == expected_parameters(&c) && w.mapped_bytes >= 2 * w.n_parameters);
            }
            qwen_weights_close(&w);
            CHECK(qwen_test_live_allocs() == 0);
        }
    }
}

/* Renames tensors by bytes of equal length, so that the header keeps its length. */
static void change_header(const char *dir, const char *from, const char *to) {
    if (strlen(from) != strlen(to)) model_dir_die("keep the length of", from);
    model_dir_replace(dir, "model.safetensors", from, to);
}

static void the_config_decides_about_the_head(void) {
    static const char key[] = "\"tie_word_embeddings\": true,";
    char dir[MODEL_DIR_MAX];
    qwen_config c;
    qwen_weights w;
    model_dir_copy(dir, "tiny-qwen3-asr"); /* tied, and a head is stored all the same: it is not used */
    CHECK(open_model(&c, &w, dir, false) == QWEN_OK && qwen_tensors_find(w.tensors, "thinker.lm_head.weight"));
    CHECK(w.decoder.head.data == w.decoder.embed.data);
    const uint64_t tied = w.n_parameters;
    qwen_weights_close(&w);

    model_dir_replace(dir, "config.json", key, "\"tie_word_embeddings\": false,"); /* the stored one */
    CHECK(open_model(&c, &w, dir, false) == QWEN_OK &&
          w.decoder.head.data == qwen_tensors_find(w.tensors, "thinker.lm_head.weight")->data);
    CHECK(w.n_parameters == tied + c.text.vocab_size * c.text.width);
    qwen_weights_close(&w);

    model_dir_replace(dir, "config.json", "\"tie_word_embeddings\": false,",
                      ""); /* nothing is said, and a head is stored */
    CHECKF(open_and_close(dir) == QWEN_ERR_FORMAT &&
               strstr(err.msg, "tie_word_embeddings is missing, but model.safetensors holds thinker.lm_head.weight"),
           "%s", err.msg);

    change_header(dir, "thinker.lm_head.weight", "thinker.no_head.weight"); /* nothing is said, none is stored: tied */
    CHECK(open_model(&c, &w, dir, false) == QWEN_OK && w.decoder.head.data == w.decoder.embed.data &&
          w.n_parameters == tied);
    qwen_weights_close(&w);

    model_dir_replace(dir, "config.json", "\"vocab_size\"",
                      "\"tie_word_embeddings\": false, \"vocab_size\""); /* separate, but none is stored */
    CHECKF(open_and_close(dir) == QWEN_ERR_FORMAT &&
               strstr(err.msg, "model.safetensors: thinker.lm_head.weight is missing"),
           "%s", err.msg);
    model_dir_replace(dir, "config.json", "\"tie_word_embeddings\": false,", key); /* tied: nothing is missing */
    CHECK(open_and_close(dir) == QWEN_OK);
    model_dir_remove(dir);
}

static void a_model_that_disagrees_with_itself_is_refused(void) {
    static const struct {
        const char *file, *from, *to;
        qwen_status status;
        const char *message;
    } cases[] = {
        {"config.json", "\"encoder_ffn_dim\": 512", "\"encoder_ffn_dim\": 513", QWEN_ERR_FORMAT,
         "model.safetensors: thinker.audio_tower.layers.0.fc1.weight: shape [512,160], expected [513,160]"},
        {"config.json", "\"downsample_hidden_size\": 32", "\"downsample_hidden_size\": 31", QWEN_ERR_FORMAT,
         "thinker.audio_tower.conv2d1.weight: shape [32,1,3,3], expected [31,1,3,3]"},
        {"config.json", "\"vocab_size\": 1197", "\"vocab_size\": 1198", QWEN_ERR_FORMAT,
         "thinker.model.embed_tokens.weight: shape [1197,192], expected [1198,192]"},
        {"config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 2", QWEN_ERR_FORMAT,
         "thinker.model.layers.0.self_attn.q_proj.weight: shape [256,192], expected [128,192]"},
        {"config.json", "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5", QWEN_ERR_FORMAT,
         "thinker.model.layers.4.input_layernorm.weight is missing"},
        {"config.json", "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 3", QWEN_ERR_FORMAT,
         "holds thinker.model.layers.3.input_layernorm.weight, but num_hidden_layers in config.json is 3"},
        {"config.json", "\"encoder_layers\": 3", "\"encoder_layers\": 2", QWEN_ERR_FORMAT,
         "but encoder_layers in config.json is 2"},
        {"config.json", "\"encoder_layers\": 3", "\"encoder_layers\": 1024", QWEN_ERR_FORMAT,
         "thinker.audio_tower.layers.3.self_attn_layer_norm.weight is missing"},
        {"config.json", "\"head_dim\": 64", "\"head_dim\": 1024", QWEN_ERR_FORMAT,
         "self_attn.q_proj.weight: shape [256,192], expected [4096,192]"},
        {"model.safetensors", "thinker.audio_tower.proj1.weight", "thinker.audio_tower.projX.weight", QWEN_ERR_FORMAT,
         "model.safetensors: thinker.audio_tower.proj1.weight is missing"},
        {"model.safetensors", "thinker.audio_tower.ln_post.bias", "thinker.audio_tower.ln_post.bies", QWEN_ERR_FORMAT,
         "thinker.audio_tower.ln_post.bias is missing"},
        {"model.safetensors", "thinker.model.norm.weight", "thinker.model.norm.weigth", QWEN_ERR_FORMAT,
         "thinker.model.norm.weight is missing"},
        {"model.safetensors", "\"thinker.model.norm.weight\":{\"dtype\":\"BF16\"",
         "\"thinker.model.norm.weight\":{\"dtype\":\"I16\" ", QWEN_ERR_UNSUPPORTED,
         "model.safetensors: thinker.model.norm.weight: type I16, expected F32, BF16 or F16"},
        {"model.safetensors", "\"thinker.model.norm.weight\":{\"dtype\":\"BF16\"",
         "\"thinker.model.norm.weight\":{\"dtype\":\"F32\" ", QWEN_ERR_FORMAT,
         "thinker.model.norm.weight: has 384 bytes, but type and shape need 768"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[MODEL_DIR_MAX];
        model_dir_copy(dir, "tiny-qwen3-asr");
        model_dir_replace(dir, cases[i].file, cases[i].from, cases[i].to);
        const qwen_status s = open_and_close(dir);
        CHECKF(s == cases[i].status && strstr(err.msg, cases[i].message), "%s gave %d, \"%s\"", cases[i].to, (int)s,
               err.msg);
        model_dir_remove(dir);
    }
}

/* Writes model's tensors again, each matrix and vector as float32 or float16 of the same values (float16 rounds: bf16
 * values of ordinary size fit, small ones become subnormal and lose bits). */
static void rewrite_tensors(const char *dir, bool half) {
    char path[MODEL_PATH_MAX];
    qwen_tensors *t = NULL;
    qwen_config c;
    qwen_weights w;
    CHECK(open_model(&c, &w, dir, true) == QWEN_OK);
    CHECK(qwen_tensors_open_file(&t, model_dir_path(path, dir, "model.safetensors"), true, &err) == QWEN_OK);
    size_t n_header = 0;
    char *old = model_dir_read(dir, "model.safetensors", &n_header), *header = malloc(n_header + 64),
         *data = malloc(2 * n_header);
    if (!t || !old || !header || !data) model_dir_die("rewrite", dir);
    size_t at = 0, n_data = 0;
    const size_t old_header =
        (size_t)((unsigned char)old[0] | (unsigned char)old[1] << 8 | (unsigned char)old[2] << 16);
    header[at++] = '{';
    /* The names, in the order of the old header, are the strings followed by an object. */
    for (char *p = old + 8; (p = memmem(p, (size_t)(old + 8 + old_header - p), "\":{\"dtype\"", 10)); p += 10) {
        char *start = p;
        while (start[-1] != '"') start--;
        *p = '\0';
        const qwen_tensor *x = qwen_tensors_find(t, start);
        CHECK(x && x->type == QWEN_TENSOR_BF16);
        size_t n = 1;
        at += (size_t)sprintf(header + at, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", at > 1 ? "," : "", start,
                              half ? "F16" : "F32");
        for (int i = 0; i < x->n_dims; i++, n *= x->shape[i - 1])
            at += (size_t)sprintf(header + at, "%s%zu", i ? "," : "", x->shape[i]);
        at += (size_t)sprintf(header + at, "],\"data_offsets\":[%zu,%zu]}", n_data, n_data + n * (half ? 2 : 4));
        for (size_t i = 0; i < n; i++) {
            const float v = stored_value(x, i);
            const uint32_t u = qwen_float_to_bits(v);
            const int e = (int)(u >> 23 & 255) - 112;
            const uint16_t h =
                (uint16_t)((u >> 16 & 0x8000) | (e > 0 && e < 31 ? (uint32_t)e << 10 | (u >> 13 & 0x3FF) : 0));
            if (half) memcpy(data + n_data, &h, 2);
            else memcpy(data + n_data, &v, 4);
            n_data += half ? 2 : 4;
        }
    }
    header[at++] = '}';
    char *file = malloc(8 + at + n_data);
    if (!file) model_dir_die("rewrite", dir);
    for (int i = 0; i < 8; i++) file[i] = (char)(at >> (8 * i));
    memcpy(file + 8, header, at);
    memcpy(file + 8 + at, data, n_data);
    model_dir_write(dir, "model.safetensors", file, 8 + at + n_data);
    qwen_tensors_close(t);
    qwen_weights_close(&w);
    free(file);
    free(data);
    free(header);
    free(old);
}

static void float32_and_float16_files_hold_the_same_model(void) {
    for (int half = 0; half < 2; half++) {
        char dir[MODEL_DIR_MAX], path[MODEL_PATH_MAX];
        qwen_config c;
        qwen_weights a, b;
        model_dir_copy(dir, "parity/tiny-c-hf");
        rewrite_tensors(dir, half);
        const qwen_status s = open_model(&c, &b, dir, false);
        CHECKF(s == QWEN_OK, "%s", err.msg);
        CHECK(open_model(&c, &a, model_dir_path(path, check_data(), "parity/tiny-c-hf"), false) == QWEN_OK);
        if (s == QWEN_OK && a.pool) {
            check_encoder(&c, &b);
            check_decoder(&c, &b);
            CHECK(b.decoder.embed.dtype == (half ? QWEN_F16 : QWEN_F32) && a.decoder.embed.dtype == QWEN_BF16);
            double worst = 0;
            for (size_t r = 0; r < c.text.vocab_size; r++)
                for (size_t k = 0; k < c.text.width; k++)
                    worst = fmax(worst, fabs((double)mat_value(&a.decoder.embed, r, k) -
                                             (double)mat_value(&b.decoder.embed, r, k)));
            for (size_t k = 0; k < c.audio.width; k++)
                worst = fmax(worst,
                             fabs((double)a.encoder.layers[1].fc2.bias[k] - (double)b.encoder.layers[1].fc2.bias[k]));
            CHECKF(worst <= (half ? 0x1p-14 : 0), "largest difference %g", worst);
        }
        qwen_weights_close(&a);
        qwen_weights_close(&b);
        model_dir_remove(dir);
    }
    CHECK(qwen_test_live_allocs() == 0);
}

static void short_memory_leaves_nothing_behind(void) {
    static const char *const models[] = {"parity/tiny-b", "parity/tiny-c-hf"};
    for (size_t m = 0; m < 2; m++) {
        char dir[MODEL_PATH_MAX];
        qwen_config c;
        qwen_weights w;
        CHECK(qwen_config_open(&c, model_dir_path(dir, check_data(), models[m]), &err) == QWEN_OK);
        for (long n = 1;; n++) {
            err = (qwen_error){0};
            qwen_test_fail_alloc(n);
            const qwen_status s = qwen_weights_open(&w, dir, &c, m == 1, &err);
            const int failed = qwen_test_alloc_failed();
            qwen_test_fail_alloc(0);
            if (s != QWEN_OK) CHECK(!w.pool && !w.tensors && !w.encoder.layers);
            qwen_weights_close(&w);
            CHECK(qwen_test_live_allocs() == 0);
            if (!failed) {
                CHECKF(s == QWEN_OK && n > 15, "%s", err.msg);
                break;
            }
            CHECKF(s == QWEN_ERR_NOMEM && strstr(err.msg, "out of memory"), "allocation %ld: %d, \"%s\"", n, (int)s,
                   err.msg);
        }
    }
}

int main(void) {
    every_fixture_opens_mapped_and_copied();
    the_config_decides_about_the_head();
    a_model_that_disagrees_with_itself_is_refused();
    float32_and_float16_files_hold_the_same_model();
    short_memory_leaves_nothing_behind();
    return check_done("test_weights");
}
