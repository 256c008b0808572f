/*
 * test_parity.c - the engine computes what the official implementation computes: log-mel, encoder, decoder and every greedy token of the
 * golden cases, with every kernel table this CPU can run.
 *
 * Reads parity/manifest.json below the test data, or below the directory that QWEN_PARITY_DIR names, so that models nobody tuned for can be tried.
 * The gates are those of float32 arithmetic on the stored weights (MODEL.md, "Tolerances"); the engine's default arithmetic is exactly that, so it has
 * no wider ones.
 */
#include <math.h>

#include "check.h"
#include "qwen_asr_generate.h"
#include "qwen_asr_json.h"
#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_model.h"
#include "qwen_asr_num.h"
#include "wav.h"

#define PATH_MAX_LEN 1024
enum { D_MEL, D_STEM, D_LAST_LAYER, D_ENCODER, D_HIDDEN, D_LOGITS, N_DIFFS };
static const char *const diff_names[N_DIFFS] = {"mel", "encoder_stem", "encoder_last_layer", "encoder_out", "dec_hidden_last", "logits"};
static const float gates[N_DIFFS] = {1e-4f, 3e-5f, 3e-5f, 3e-5f, 1.2e-4f, 1.2e-4f};

typedef struct test_case {
    char audio[64], file[256], context[1024], language[64], prefix[1024];
    bool has_language, has_prefix, has_context;
    int32_t tokens[256];
    size_t n_tokens;
} test_case;

static char parity_dir[PATH_MAX_LEN];
static float worst[N_DIFFS];

/* out [PATH_MAX_LEN] = parity_dir, a slash, then folder, name and suffix as they are. */
static void path_of(char *out, const char *folder, const char *name, const char *suffix) {
    if (snprintf(out, PATH_MAX_LEN, "%s/%s%s%s", parity_dir, folder, name, suffix) >= PATH_MAX_LEN) *out = '\0';
}

/* Largest difference; counts it against the gate of `kind`. */
static void compare(int kind, const char *where, const float *ours, const qwen_tensor *golden, size_t n) {
    CHECKF(golden && golden->type == QWEN_TENSOR_F32 && golden->bytes == n * sizeof(float), "%s: %s: %zu values expected, the golden has %zu bytes", where,
           diff_names[kind], n, golden ? golden->bytes : 0);
    if (!golden || golden->bytes != n * sizeof(float)) return;
    float max = 0;
    for (size_t i = 0; i < n; i++) {
        float g;
        memcpy(&g, golden->data + i * sizeof g, sizeof g);
        const float d = fabsf(ours[i] - g);
        if (!(d <= max)) max = d; /* a NaN is the worst */
    }
    if (!(max <= worst[kind])) worst[kind] = max;
    CHECKF(max <= gates[kind], "%s: %s differs by %.2e, gate %.2e", where, diff_names[kind], (double)max, (double)gates[kind]);
}

static float *compute_mel(const qwen_model *m, const float *pcm, size_t n, size_t T) {
    const size_t values = T * m->config.audio.n_mels;
    float *rows = qwen_alloc(values, sizeof *rows);
    qwen_mel_raw(m->mel, pcm, n, 0, T, rows);
    float max = rows[0];
    for (size_t i = 1; i < values; i++) max = fmaxf(max, rows[i]);
    qwen_mel_finish(rows, rows, values, max);
    return rows;
}

/* The golden holds [n_mels, T], ours is [T, n_mels]. */
static void compare_mel(const qwen_model *m, const test_case *c, const float *mel, size_t T) {
    char path[PATH_MAX_LEN];
    path_of(path, "mel/", c->audio, ".safetensors");
    qwen_tensors *t = NULL;
    qwen_error err = {0};
    CHECKF(qwen_tensors_open_file(&t, path, false, &err) == QWEN_OK, "%s", err.msg);
    if (!t) return;
    const size_t n_mels = m->config.audio.n_mels;
    float *turned = qwen_alloc(T * n_mels, sizeof *turned);
    for (size_t i = 0; i < n_mels; i++)
        for (size_t j = 0; j < T; j++) turned[i * T + j] = mel[j * n_mels + i];
    compare(D_MEL, c->audio, turned, qwen_tensors_find(t, "mel"), T * n_mels);
    qwen_free(turned);
    qwen_tensors_close(t);
}

/* Encodes the whole clip and compares the stages; returns [rows, output_width]. */
static float *run_encoder(qwen_encoder *e, const test_case *c, const float *mel, size_t T, const qwen_tensors *golden) {
    const size_t rows = qwen_audio_rows(T), d = e->config->width;
    float *out = qwen_alloc(rows * e->config->output_width, sizeof *out);
    float *stem = qwen_alloc(rows * d, sizeof *stem), *last = qwen_alloc(rows * d, sizeof *last);
    qwen_error err = {0};
    for (size_t i = 0; i < qwen_encoder_chunks(T); i++) CHECKF(qwen_encoder_chunk(e, mel, T, i, stem, &err) == QWEN_OK, "%s", err.msg);
    for (size_t i = 0; i < qwen_encoder_windows(e, T); i++) CHECKF(qwen_encoder_window(e, stem, T, i, out, last, &err) == QWEN_OK, "%s", err.msg);
    if (qwen_tensors_find(golden, "encoder_stem")) compare(D_STEM, c->file, stem, qwen_tensors_find(golden, "encoder_stem"), rows * d);
    if (qwen_tensors_find(golden, "encoder_last_layer")) compare(D_LAST_LAYER, c->file, last, qwen_tensors_find(golden, "encoder_last_layer"), rows * d);
    if (qwen_tensors_find(golden, "encoder_out"))
        compare(D_ENCODER, c->file, out, qwen_tensors_find(golden, "encoder_out"), rows * e->config->output_width);
    qwen_free(stem);
    qwen_free(last);
    return out;
}

/* The whole prompt, audio rows as negative ids; compared with the golden's prompt_ids. */
static size_t lay_out(const qwen_model *m, const test_case *c, size_t rows, const qwen_tensor *golden, int32_t *ids, size_t room) {
    qwen_prompt p = {0};
    qwen_error err = {0};
    CHECKF(qwen_prompt_open(&p, m->tokenizer, &m->special, c->has_context ? c->context : NULL, c->has_language ? c->language : NULL,
                            c->has_prefix ? c->prefix : NULL, &err) == QWEN_OK, "%s", err.msg);
    size_t n = 0;
    const size_t total = p.before.len + rows + p.after.len;
    CHECKF(golden && golden->bytes == total * sizeof(int32_t) && total <= room, "%s: prompt of %zu ids", c->file, total);
    if (golden && golden->bytes == total * sizeof(int32_t) && total <= room) {
        for (size_t i = 0; i < p.before.len; i++) ids[n++] = p.before.data[i];
        for (size_t i = 0; i < rows; i++) ids[n++] = -1 - (int32_t)i;
        for (size_t i = 0; i < p.after.len; i++) ids[n++] = p.after.data[i];
        for (size_t i = 0; i < n; i++) {
            int32_t want;
            memcpy(&want, golden->data + i * sizeof want, sizeof want);
            CHECKF((ids[i] < 0 ? m->special.audio_pad : ids[i]) == want, "%s: prompt id %zu is %d, golden %d", c->file, i, ids[i], want);
        }
    }
    qwen_prompt_close(&p);
    return n;
}

static void run_decoder(qwen_decoder *d, const qwen_model *m, const test_case *c, const float *embeddings, size_t rows, const qwen_tensors *golden) {
    enum { ROOM = 4096 };
    static int32_t ids[ROOM];
    qwen_error err = {0};
    const size_t n = lay_out(m, c, rows, qwen_tensors_find(golden, "prompt_ids"), ids, ROOM);
    const size_t V = d->config->vocab_size, H = d->config->width;
    if (n == 0) return;
    float *hidden = qwen_alloc(d->config->n_layers * H, sizeof *hidden), *logits = qwen_alloc(c->n_tokens * V, sizeof *logits);
    int32_t best = -1;
    for (size_t at = 0; at < n;) {
        const size_t M = n - at < QWEN_PREFILL_ROWS ? n - at : QWEN_PREFILL_ROWS;
        CHECKF(qwen_decoder_append(d, ids + at, M, embeddings, &best, NULL, at + M == n, at + M == n ? hidden : NULL, &err) == QWEN_OK, "%s", err.msg);
        at += M;
    }
    compare(D_HIDDEN, c->file, hidden, qwen_tensors_find(golden, "dec_hidden_last"), d->config->n_layers * H);
    compare(D_LOGITS, c->file, d->logits, qwen_tensors_find(golden, "logits0"), V);
    int wrong = 0;
    for (size_t i = 0; i < c->n_tokens; i++) { /* the goldens go on past the end token */
        memcpy(logits + i * V, d->logits, V * sizeof *logits);
        const int32_t id = best;
        wrong += id != c->tokens[i];
        if (i + 1 < c->n_tokens) CHECKF(qwen_decoder_append(d, &id, 1, NULL, &best, NULL, 1, NULL, &err) == QWEN_OK, "%s", err.msg);
    }
    CHECKF(wrong == 0, "%s: %d of %zu tokens differ", c->file, wrong, c->n_tokens);
    if (qwen_tensors_find(golden, "step_logits")) compare(D_LOGITS, c->file, logits, qwen_tensors_find(golden, "step_logits"), c->n_tokens * V);
    qwen_free(hidden);
    qwen_free(logits);
}

static void run_case(const qwen_model *m, const test_case *c, int threads) {
    char path[PATH_MAX_LEN];
    size_t n = 0;
    path_of(path, "audio/", c->audio, ".wav");
    float *pcm = wav_read(path, &n, NULL);
    qwen_tensors *golden = NULL;
    qwen_error err = {0};
    path_of(path, "", c->file, "");
    CHECKF(pcm && n > QWEN_MEL_MIN_SAMPLES && c->n_tokens > 0, "%s: no audio or no tokens", path);
    CHECKF(qwen_tensors_open_file(&golden, path, false, &err) == QWEN_OK, "%s", err.msg);
    if (!pcm || !golden || n <= QWEN_MEL_MIN_SAMPLES || c->n_tokens == 0) return;
    const size_t T = qwen_mel_frames(n), rows = qwen_audio_rows(T), positions = rows + 4096 + c->n_tokens;
    qwen_ops ops = {0};
    qwen_encoder e = {0};
    qwen_decoder d = {0};
    const qwen_config *cfg = &m->config;
    const size_t widest = qwen_max_size(cfg->audio.conv_bins * cfg->audio.conv_channels, qwen_max_size(cfg->audio.ffn, cfg->text.ffn));
    CHECK(qwen_ops_open(&ops, &m->kernels, threads, positions, 9 * cfg->audio.conv_channels, widest + cfg->text.n_heads * cfg->text.head_dim, NULL, &err) == QWEN_OK);
    CHECK(qwen_encoder_open(&e, &cfg->audio, &m->weights.encoder, &ops, &err) == QWEN_OK);
    CHECKF(qwen_decoder_open(&d, &cfg->text, &m->weights.decoder, &ops, positions, &err) == QWEN_OK, "%s", err.msg);
    float *mel = compute_mel(m, pcm, n, T);
    compare_mel(m, c, mel, T);
    float *embeddings = run_encoder(&e, c, mel, T, golden);
    run_decoder(&d, m, c, embeddings, rows, golden);
    qwen_free(embeddings);
    qwen_free(mel);
    qwen_decoder_close(&d);
    qwen_encoder_close(&e);
    qwen_ops_close(&ops);
    qwen_tensors_close(golden);
    free(pcm);
}

/* ---- the manifest ------------------------------------------------------------------------------------------------- */

static bool read_text(qwen_json *j, char *out, size_t room) {
    qwen_str s;
    if (qwen_json_peek(j) == QWEN_JSON_NULL) {
        qwen_json_skip(j);
        return false;
    }
    if (qwen_json_string(j, &s) != QWEN_OK || s.len >= room) return false;
    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
    return true;
}

static void read_case(qwen_json *j, test_case *c) {
    qwen_str key;
    memset(c, 0, sizeof *c);
    qwen_json_object(j);
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "audio")) read_text(j, c->audio, sizeof c->audio);
        else if (qwen_str_is(key, "file")) read_text(j, c->file, sizeof c->file);
        else if (qwen_str_is(key, "context")) c->has_context = read_text(j, c->context, sizeof c->context);
        else if (qwen_str_is(key, "language")) c->has_language = read_text(j, c->language, sizeof c->language);
        else if (qwen_str_is(key, "prefix")) c->has_prefix = read_text(j, c->prefix, sizeof c->prefix);
        else if (qwen_str_is(key, "tokens")) {
            qwen_json_array(j);
            while (qwen_json_element(j)) {
                size_t id = 0;
                qwen_json_size(j, &id, 0, INT32_MAX);
                if (c->n_tokens < sizeof c->tokens / sizeof *c->tokens) c->tokens[c->n_tokens++] = (int32_t)id;
            }
        } else qwen_json_skip(j);
    }
}

static size_t n_cases;

/* One entry of "models": its directory, then its cases, each with the given kernels. */
static void run_model(qwen_json *j, uint32_t cpu_disable, int threads) {
    char dir[256] = "", path[PATH_MAX_LEN];
    static test_case cases[256];
    size_t n = 0;
    qwen_str key;
    qwen_json_object(j);
    while (qwen_json_key(j, &key)) {
        if (qwen_str_is(key, "dir")) read_text(j, dir, sizeof dir);
        else if (qwen_str_is(key, "cases")) {
            qwen_json_array(j);
            while (qwen_json_element(j)) {
                if (n == sizeof cases / sizeof *cases) qwen_json_skip(j);
                else read_case(j, &cases[n++]);
            }
        } else qwen_json_skip(j);
    }
    const qwen_model_params params = {.cpu_disable = cpu_disable};
    qwen_model *m = NULL;
    qwen_error err = {0};
    path_of(path, "", dir, "");
    CHECKF(qwen_model_open(&m, path, &params, &err) == QWEN_OK, "%s: %s", path, err.msg);
    for (size_t i = 0; m && i < n; i++) run_case(m, &cases[i], threads);
    n_cases += n;
    qwen_model_close(m);
}

static void run_all(const char *name, uint32_t cpu_disable, int threads) {
    char path[PATH_MAX_LEN];
    qwen_map file = {0};
    qwen_error err = {0};
    path_of(path, "", "manifest.json", "");
    n_cases = 0;
    memset(worst, 0, sizeof worst);
    CHECKF(qwen_map_open(&file, path, false, 0, &err) == QWEN_OK, "%s", err.msg);
    qwen_json j;
    qwen_str key;
    qwen_json_open(&j, "manifest.json", (const char *)file.data, file.size, &err);
    qwen_json_object(&j);
    while (qwen_json_key(&j, &key)) {
        if (!qwen_str_is(key, "models")) {
            qwen_json_skip(&j);
            continue;
        }
        qwen_json_object(&j);
        while (qwen_json_key(&j, &key)) run_model(&j, cpu_disable, threads);
    }
    CHECKF(qwen_json_end(&j) == QWEN_OK, "%s", err.msg);
    CHECK(n_cases > 0);
    qwen_json_close(&j);
    qwen_map_close(&file);
    printf("  %-8s %d thread%s, %zu cases, largest differences:", name, threads, threads == 1 ? " " : "s", n_cases);
    for (int i = 0; i < N_DIFFS; i++) printf(" %s %.1e", diff_names[i], (double)worst[i]);
    printf("\n");
}

int main(void) {
    const char *dir = getenv("QWEN_PARITY_DIR");
    const bool own = !dir || !*dir;
    const int n = snprintf(parity_dir, sizeof parity_dir, "%s%s", own ? check_data() : dir, own ? "/parity" : "");
    CHECK(n > 0 && (size_t)n < sizeof parity_dir);
    const uint32_t cpu = qwen_cpu_detect();
    run_all("scalar", ~0u, 2);
    if (cpu & QWEN_CPU_AVX2) run_all("avx2", QWEN_CPU_AVX512, 1);
    else if (!(cpu & QWEN_CPU_NEON)) SKIP("no AVX2 here");
    if (cpu & QWEN_CPU_AVX512) run_all("avx512", 0, 2);
    else if (!(cpu & QWEN_CPU_NEON)) SKIP("no AVX-512 here");
    if (cpu & QWEN_CPU_NEON) run_all("neon", 0, 2);
    return check_done("parity");
}
