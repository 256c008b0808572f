/*
 * qwen_asr_config.c - config.json -> validated sizes.
 *
 * Two layouts (MODEL.md, "Files"): the released one keeps everything below thinker_config, the transformers-native one
 * is flat and writes the RoPE settings into rope_parameters. Each object is described by one table of its sizes: key,
 * bounds, where the value goes; whatever the engine can compute in one way only (activation, RoPE type, window length)
 * is compared with that way, so that a model of another kind is refused here and not recognised by its wrong text.
 */
#include "qwen_asr_config.h"

#include <string.h>

#include "qwen_asr_json.h"
#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"

/* Far above every released model, far below what could overflow a product of three of them. */
#define MAX_WIDTH 65536u
#define MAX_FFN 262144u
#define MAX_LAYERS 1024u
#define MAX_HEADS 1024u
#define MAX_HEAD_DIM 1024u
#define MAX_VOCAB (1u << 24)
#define MAX_POSITIONS (1u << 24)

#define CHUNK_FRAMES 100u /* one second; n_window 50 counts half chunks */
#define CHUNK_ROWS 13u

typedef struct size_field {
    const char *key;
    size_t *out;
    size_t min, max;
    bool seen;
} size_field;

/* What a pass over config.json collects besides the sizes. */
typedef struct reader {
    qwen_config *c;
    bool has_thinker, has_audio, has_text;
    bool has_eps, has_theta;
    size_t window_frames, audio_token_id;
    int tie_top; /* native: tie_word_embeddings of the top level, -1 none */
} reader;

/* ---- values that must be as they are ------------------------------------------------------------------------- */

static qwen_status want_string(qwen_json *j, const char *want) {
    qwen_str s;
    QWEN_TRY(qwen_json_string(j, &s));
    if (qwen_str_is(s, want)) return QWEN_OK;
    char shown[48];
    qwen_str_show(shown, sizeof shown, s);
    return qwen_json_refuse(j, "is \"%s\"; this engine computes only \"%s\"", shown, want);
}

static qwen_status want_false(qwen_json *j) {
    bool on = false;
    QWEN_TRY(qwen_json_bool(j, &on));
    return on ? qwen_json_refuse(j, "is true; this engine computes only false") : QWEN_OK;
}

static qwen_status want_size(qwen_json *j, size_t want) {
    size_t v = 0;
    QWEN_TRY(qwen_json_size(j, &v, 0, SIZE_MAX));
    return v == want ? QWEN_OK : qwen_json_refuse(j, "is %zu; this engine computes only %zu", v, want);
}

static qwen_status read_positive(qwen_json *j, double *out, double min, double max, bool *seen) {
    double v = 0;
    QWEN_TRY(qwen_json_number(j, &v));
    if (!(v >= min && v <= max)) return qwen_json_fail(j, "is %g, expected %g to %g", v, min, max);
    if (*seen && v != *out) return qwen_json_fail(j, "is %g, but elsewhere the file says %g", v, *out);
    *out = v;
    *seen = true;
    return QWEN_OK;
}

/* null is what a file writes that leaves the choice to the reader: as if the key were missing. */
static qwen_status read_tie(qwen_json *j, int *out) {
    if (qwen_json_peek(j) == QWEN_JSON_NULL) return qwen_json_skip(j);
    bool on = false;
    QWEN_TRY(qwen_json_bool(j, &on));
    *out = on;
    return QWEN_OK;
}

static qwen_status missing(qwen_json *j, const char *key) {
    if (j->status == QWEN_OK)
        j->status =
            qwen_fail(j->err, QWEN_ERR_FORMAT, "%s: %s%s%s is missing", j->name, j->path, j->path[0] ? "." : "", key);
    return j->status;
}

/* ---- tables -------------------------------------------------------------------------------------------------- */

static size_field *find_field(size_field *fields, size_t n, qwen_str key) {
    for (size_t i = 0; i < n; i++)
        if (qwen_str_is(key, fields[i].key)) return &fields[i];
    return NULL;
}

static qwen_status read_field(qwen_json *j, size_field *f) {
    if (f->seen) return qwen_json_fail(j, "appears twice");
    f->seen = true;
    return qwen_json_size(j, f->out, f->min, f->max);
}

static qwen_status all_seen(qwen_json *j, const size_field *fields, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!fields[i].seen) return missing(j, fields[i].key);
    return QWEN_OK;
}

static qwen_status read_audio(qwen_json *j, reader *r) {
    qwen_audio_config *a = &r->c->audio;
    size_field fields[] = {
        {"num_mel_bins", &a->n_mels, 8, 512, false},
        {"downsample_hidden_size", &a->conv_channels, 1, MAX_WIDTH, false},
        {"d_model", &a->width, 4, MAX_WIDTH, false},
        {"encoder_layers", &a->n_layers, 1, MAX_LAYERS, false},
        {"encoder_attention_heads", &a->n_heads, 1, MAX_HEADS, false},
        {"encoder_ffn_dim", &a->ffn, 1, MAX_FFN, false},
        {"output_dim", &a->output_width, 1, MAX_WIDTH, false},
        {"n_window_infer", &r->window_frames, 1, 100 * CHUNK_FRAMES, false},
    };
    const size_t n = sizeof fields / sizeof *fields;
    qwen_str key;
    if (r->has_audio) return qwen_json_fail(j, "appears twice");
    r->has_audio = true;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        size_field *f = find_field(fields, n, key);
        if (f) QWEN_TRY(read_field(j, f));
        else if (qwen_str_is(key, "n_window")) QWEN_TRY(want_size(j, CHUNK_FRAMES / 2));
        else if (qwen_str_is(key, "activation_function")) QWEN_TRY(want_string(j, "gelu"));
        else if (qwen_str_is(key, "scale_embedding")) QWEN_TRY(want_false(j));
        else QWEN_TRY(qwen_json_skip(j));
    }
    QWEN_TRY(j->status);
    QWEN_TRY(all_seen(j, fields, n));
    if (r->window_frames % CHUNK_FRAMES != 0)
        return qwen_json_refuse(j, "n_window_infer is %zu, expected a multiple of %u", r->window_frames, CHUNK_FRAMES);
    if (a->width % a->n_heads != 0)
        return qwen_json_fail(j, "d_model %zu is not divisible by encoder_attention_heads %zu", a->width, a->n_heads);
    if (a->width % 2 != 0) return qwen_json_refuse(j, "d_model is %zu, expected an even number", a->width);
    a->head_dim = a->width / a->n_heads;
    a->window_chunks = r->window_frames / CHUNK_FRAMES;
    a->conv_bins = a->n_mels;
    for (int i = 0; i < 3; i++) a->conv_bins = (a->conv_bins - 1) / 2 + 1; /* 3 x 3, stride 2, padding 1 */
    return QWEN_OK;
}

/* rope_scaling (released) or rope_parameters (native); both may be null or repeat rope_theta. */
static qwen_status read_rope(qwen_json *j, reader *r) {
    qwen_str key;
    if (qwen_json_peek(j) == QWEN_JSON_NULL) return qwen_json_skip(j);
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "rope_type") || qwen_str_is(key, "type")) {
            QWEN_TRY(want_string(j, "default"));
        } else if (qwen_str_is(key, "rope_theta")) {
            QWEN_TRY(read_positive(j, &r->c->text.rope_theta, 1.0, 1e12, &r->has_theta));
        } else if (qwen_str_is(key, "partial_rotary_factor")) {
            double v = 0;
            QWEN_TRY(qwen_json_number(j, &v));
            if (v != 1) return qwen_json_refuse(j, "is %g; this engine computes only 1", v);
        } else {
            QWEN_TRY(qwen_json_skip(j));
        }
    }
    return j->status;
}

static qwen_status read_layer_types(qwen_json *j) {
    if (qwen_json_peek(j) == QWEN_JSON_NULL) return qwen_json_skip(j);
    QWEN_TRY(qwen_json_array(j));
    while (qwen_json_element(j)) QWEN_TRY(want_string(j, "full_attention"));
    return j->status;
}

static qwen_status check_text(qwen_json *j, const reader *r) {
    const qwen_text_config *t = &r->c->text;
    if (!r->has_eps) return missing(j, "rms_norm_eps");
    if (!r->has_theta) return missing(j, r->c->native ? "rope_parameters.rope_theta" : "rope_theta");
    if (t->n_heads % t->n_kv_heads != 0)
        return qwen_json_fail(j, "num_attention_heads %zu is not divisible by num_key_value_heads %zu", t->n_heads,
                              t->n_kv_heads);
    if (t->head_dim % 2 != 0) return qwen_json_fail(j, "head_dim is %zu, expected an even number", t->head_dim);
    return QWEN_OK;
}

static qwen_status read_text(qwen_json *j, reader *r) {
    qwen_text_config *t = &r->c->text;
    size_field fields[] = {
        {"hidden_size", &t->width, 1, MAX_WIDTH, false},
        {"intermediate_size", &t->ffn, 1, MAX_FFN, false},
        {"num_hidden_layers", &t->n_layers, 1, MAX_LAYERS, false},
        {"num_attention_heads", &t->n_heads, 1, MAX_HEADS, false},
        {"num_key_value_heads", &t->n_kv_heads, 1, MAX_HEADS, false},
        {"head_dim", &t->head_dim, 2, MAX_HEAD_DIM, false},
        {"vocab_size", &t->vocab_size, 1, MAX_VOCAB, false},
        {"max_position_embeddings", &t->max_positions, 1, MAX_POSITIONS, false},
    };
    const size_t n = sizeof fields / sizeof *fields;
    double eps = 0;
    qwen_str key;
    if (r->has_text) return qwen_json_fail(j, "appears twice");
    r->has_text = true;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        size_field *f = find_field(fields, n, key);
        if (f) QWEN_TRY(read_field(j, f));
        else if (qwen_str_is(key, "rms_norm_eps")) QWEN_TRY(read_positive(j, &eps, 1e-12, 0.1, &r->has_eps));
        else if (qwen_str_is(key, "rope_theta")) QWEN_TRY(read_positive(j, &t->rope_theta, 1.0, 1e12, &r->has_theta));
        else if (qwen_str_is(key, "rope_scaling") || qwen_str_is(key, "rope_parameters")) QWEN_TRY(read_rope(j, r));
        else if (qwen_str_is(key, "hidden_act")) QWEN_TRY(want_string(j, "silu"));
        else if (qwen_str_is(key, "attention_bias") || qwen_str_is(key, "use_sliding_window")) QWEN_TRY(want_false(j));
        else if (qwen_str_is(key, "layer_types")) QWEN_TRY(read_layer_types(j));
        else if (qwen_str_is(key, "tie_word_embeddings")) QWEN_TRY(read_tie(j, &t->tie_head));
        else QWEN_TRY(qwen_json_skip(j));
    }
    QWEN_TRY(j->status);
    t->rms_eps = (float)eps;
    QWEN_TRY(all_seen(j, fields, n));
    return check_text(j, r);
}

/* ---- the whole file ------------------------------------------------------------------------------------------ */

/* The object that holds audio_config and text_config: thinker_config, or the top level of the native layout. */
static qwen_status read_model(qwen_json *j, reader *r) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "audio_config")) QWEN_TRY(read_audio(j, r));
        else if (qwen_str_is(key, "text_config")) QWEN_TRY(read_text(j, r));
        else if (qwen_str_is(key, "tie_word_embeddings")) QWEN_TRY(read_tie(j, &r->tie_top));
        else if (qwen_str_is(key, "audio_token_id")) QWEN_TRY(qwen_json_size(j, &r->audio_token_id, 0, MAX_VOCAB - 1));
        else if (qwen_str_is(key, "model_type")) {
            qwen_str s;
            QWEN_TRY(qwen_json_string(j, &s));
            if (s.len >= 9 && memcmp(s.data, "qwen3_asr", 9) == 0) continue;
            char shown[48];
            qwen_str_show(shown, sizeof shown, s);
            return qwen_json_refuse(j, "is \"%s\"; this engine computes only \"qwen3_asr\"", shown);
        } else QWEN_TRY(qwen_json_skip(j));
    }
    QWEN_TRY(j->status);
    if (!r->has_audio) return missing(j, "audio_config");
    if (!r->has_text) return missing(j, "text_config");
    if (r->c->audio.output_width != r->c->text.width)
        return qwen_json_fail(j, "audio_config.output_dim is %zu, but text_config.hidden_size is %zu",
                              r->c->audio.output_width, r->c->text.width);
    return QWEN_OK;
}

static qwen_status read_released(qwen_json *j, reader *r) {
    qwen_str key;
    bool done = false;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (!qwen_str_is(key, "thinker_config")) {
            QWEN_TRY(qwen_json_skip(j));
            continue;
        }
        if (done) return qwen_json_fail(j, "appears twice");
        done = true;
        QWEN_TRY(read_model(j, r));
    }
    return j->status;
}

static qwen_status find_thinker(qwen_json *j, reader *r) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "thinker_config")) r->has_thinker = true;
        QWEN_TRY(qwen_json_skip(j));
    }
    return j->status;
}

typedef qwen_status pass_fn(qwen_json *j, reader *r);

/* One pass over the whole text. */
static qwen_status run_pass(const char *name, const qwen_map *m, pass_fn *pass, reader *r, qwen_error *err) {
    qwen_json j;
    qwen_json_open(&j, name, (const char *)m->data, m->size, err);
    qwen_status s = pass(&j, r);
    if (s == QWEN_OK) s = qwen_json_end(&j);
    qwen_json_close(&j);
    return s;
}

static qwen_status map_named(qwen_map *m, const char *dir, const char *name, qwen_error *err) {
    char *path = qwen_path_join(dir, name);
    if (!path) return qwen_fail(err, QWEN_ERR_NOMEM, "%s: out of memory", name);
    const qwen_status s = qwen_map_open(m, path, true, 0, err); /* small files: a copy cannot change under the parser */
    qwen_free(path);
    return s;
}

static qwen_status read_config(reader *r, const char *dir, qwen_error *err) {
    qwen_map m = {0};
    QWEN_TRY(map_named(&m, dir, "config.json", err));
    qwen_status s = run_pass("config.json", &m, find_thinker, r, err);
    if (s == QWEN_OK) {
        r->c->native = !r->has_thinker;
        s = run_pass("config.json", &m, r->has_thinker ? read_released : read_model, r, err);
    }
    qwen_map_close(&m);
    QWEN_TRY(s);
    if (r->c->native && r->c->text.tie_head < 0) r->c->text.tie_head = r->tie_top;
    r->c->audio_token_id = r->audio_token_id == SIZE_MAX ? -1 : (int32_t)r->audio_token_id;
    return QWEN_OK;
}

/* ---- the feature extractor's settings ------------------------------------------------------------------------ */

static qwen_status read_extractor(qwen_json *j, reader *r) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        size_t v = 0;
        if (qwen_str_is(key, "feature_size")) {
            QWEN_TRY(qwen_json_size(j, &v, 0, SIZE_MAX));
            if (v != r->c->audio.n_mels)
                return qwen_json_fail(j, "is %zu, but num_mel_bins in config.json is %zu", v, r->c->audio.n_mels);
        } else if (qwen_str_is(key, "hop_length")) QWEN_TRY(want_size(j, 160));
        else if (qwen_str_is(key, "n_fft")) QWEN_TRY(want_size(j, 400));
        else if (qwen_str_is(key, "sampling_rate")) QWEN_TRY(want_size(j, QWEN_SAMPLE_RATE));
        else QWEN_TRY(qwen_json_skip(j));
    }
    return j->status;
}

static qwen_status read_processor(qwen_json *j, reader *r) {
    qwen_str key;
    QWEN_TRY(qwen_json_object(j));
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "feature_extractor")) QWEN_TRY(read_extractor(j, r));
        else QWEN_TRY(qwen_json_skip(j));
    }
    return j->status;
}

/* These files may be missing; what they say must agree with what the engine does. */
static qwen_status check_extractor(reader *r, const char *dir, const char *name, pass_fn *pass, qwen_error *err) {
    char *path = qwen_path_join(dir, name);
    if (!path) return qwen_fail(err, QWEN_ERR_NOMEM, "%s: out of memory", name);
    const bool there = qwen_path_exists(path);
    qwen_free(path);
    if (!there) return QWEN_OK;
    qwen_map m = {0};
    QWEN_TRY(map_named(&m, dir, name, err));
    const qwen_status s = run_pass(name, &m, pass, r, err);
    qwen_map_close(&m);
    return s;
}

qwen_status qwen_config_open(qwen_config *out, const char *dir, qwen_error *err) {
    *out = (qwen_config){.text.tie_head = -1, .audio_token_id = -1};
    reader r = {.c = out, .audio_token_id = SIZE_MAX, .tie_top = -1};
    QWEN_TRY(qwen_dir_check(dir, err));
    QWEN_TRY(read_config(&r, dir, err));
    QWEN_TRY(check_extractor(&r, dir, "preprocessor_config.json", read_extractor, err));
    return check_extractor(&r, dir, "processor_config.json", read_processor, err);
}

static size_t rows_of_chunk(size_t n) {
    for (int i = 0; i < 3 && n > 0; i++) n = (n - 1) / 2 + 1;
    return n;
}

size_t qwen_audio_rows(size_t n_frames) {
    return CHUNK_ROWS * (n_frames / CHUNK_FRAMES) + rows_of_chunk(n_frames % CHUNK_FRAMES);
}
