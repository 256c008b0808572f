/*
 * qwen_asr_generate.c - features, encoder, prompt, then one token at a time; greedy, lowest id among equals.
 *
 * Math: MODEL.md, "Generation". What is kept from one decode of a growing clip to the next is only what the next one would compute to the
 * same bits, because every kernel computes a row from that row alone.
 */
#include "qwen_asr_generate.h"

#include <string.h>
#include <time.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

/* Shorter clips hold no word; the reference answers them at random (MODEL.md, "Audio input"). */
#define MIN_SAMPLES 1600
#define MEL_FRAMES_PER_ITEM 50
/* qwen_mel_finish clamps at the clip's maximum less this. */
#define MEL_RANGE 8.0f

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t n_mels(const qwen_generate *g) { return g->r.encoder->config->n_mels; }
static size_t window_chunks(const qwen_generate *g) { return g->r.encoder->config->window_chunks; }

qwen_status qwen_generate_open(qwen_generate *out, const qwen_recognizer *r, size_t max_samples, size_t max_tokens, qwen_error *err) {
    memset(out, 0, sizeof *out);
    out->r = *r;
    out->max_samples = max_samples;
    out->max_tokens_room = max_tokens;
    const qwen_audio_config *c = r->encoder->config;
    const size_t frames = qwen_mel_frames(max_samples), rows = qwen_audio_rows(frames), chunks = qwen_encoder_chunks(frames);
    const size_t prompt = r->prompt->before.len + rows + r->prompt->after.len + QWEN_PREFILL_ROWS;
    out->raw = qwen_alloc(frames, c->n_mels * sizeof(float));
    out->features = qwen_alloc(frames, c->n_mels * sizeof(float));
    out->stem = qwen_alloc(rows, c->width * sizeof(float));
    out->embeddings = qwen_alloc(rows, c->output_width * sizeof(float));
    out->chunk_cache = qwen_alloc_zero(chunks, sizeof *out->chunk_cache);
    out->window_cache = qwen_alloc_zero(chunks, sizeof *out->window_cache);
    out->prompt_ids = qwen_alloc(prompt, sizeof *out->prompt_ids);
    out->draft = qwen_alloc(QWEN_PREFILL_ROWS, sizeof *out->draft);
    out->tokens = qwen_alloc(max_tokens, sizeof *out->tokens);
    out->margins = qwen_alloc(max_tokens, sizeof *out->margins);
    /* Text rarely needs more than 16 bytes a token; where it does, the buffer grows. */
    if (out->raw && out->features && out->stem && out->embeddings && out->chunk_cache && out->window_cache && out->prompt_ids && out->draft && out->tokens && out->margins &&
        qwen_buf_reserve(&out->raw_text, 16 * max_tokens)) {
        qwen_generate_forget(out);
        return QWEN_OK;
    }
    qwen_generate_close(out);
    return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for a segment of %zu samples and %zu tokens", max_samples, max_tokens);
}

void qwen_generate_close(qwen_generate *g) {
    qwen_free(g->raw);
    qwen_free(g->features);
    qwen_free(g->stem);
    qwen_free(g->embeddings);
    qwen_free(g->chunk_cache);
    qwen_free(g->window_cache);
    qwen_free(g->prompt_ids);
    qwen_free(g->draft);
    qwen_free(g->tokens);
    qwen_free(g->margins);
    qwen_buf_free(&g->raw_text);
    memset(g, 0, sizeof *g);
}

void qwen_generate_forget(qwen_generate *g) {
    const size_t chunks = qwen_encoder_chunks(qwen_mel_frames(g->max_samples));
    g->start = UINT64_MAX;
    g->final_frames = 0;
    g->kv_windows = 0;
    g->n_draft = 0;
    g->n_tokens = 0;
    g->n_samples = 0;
    g->phase = QWEN_GENERATE_IDLE;
    memset(g->chunk_cache, 0, chunks * sizeof *g->chunk_cache);
    memset(g->window_cache, 0, chunks * sizeof *g->window_cache);
}

/* What the last decode of this clip said is the best guess of what this one will say. */
static void keep_draft(qwen_generate *g) {
    if (g->phase != QWEN_GENERATE_DONE && g->phase != QWEN_GENERATE_DECODE) return;
    g->n_draft = qwen_min_size(g->n_tokens, QWEN_PREFILL_ROWS - 1); /* with the last prompt row it must fit one block */
    memcpy(g->draft, g->tokens, g->n_draft * sizeof *g->draft);
}

void qwen_generate_begin(qwen_generate *g, uint64_t start, const float *pcm, size_t n, size_t max_tokens) {
    n = qwen_min_size(n, g->max_samples);
    max_tokens = qwen_min_size(max_tokens, g->max_tokens_room);
    if (start != g->start) qwen_generate_forget(g);
    else if (g->phase == QWEN_GENERATE_DONE && n == g->n_samples && max_tokens == g->max_tokens) return; /* the very same audio */
    keep_draft(g);
    g->start = start;
    g->pcm = pcm;
    g->n_samples = n;
    g->n_frames = qwen_mel_frames(n);
    g->n_rows = 0;
    g->chunk = g->window = 0;
    g->n_tokens = 0;
    g->max_tokens = max_tokens;
    g->stop = QWEN_STOP_EOS;
    qwen_buf_clear(&g->raw_text);
    g->phase = n < MIN_SAMPLES || g->max_tokens == 0 ? QWEN_GENERATE_DONE : QWEN_GENERATE_MEL;
}

/* ---- features --------------------------------------------------------------------------------------------------- */

typedef struct mel_job {
    const qwen_generate *g;
    size_t begin; /* first frame to compute */
} mel_job;

static void mel_item(void *arg, size_t item, size_t worker) {
    (void)worker;
    const mel_job *j = arg;
    const qwen_generate *g = j->g;
    const size_t t0 = j->begin + item * MEL_FRAMES_PER_ITEM, t1 = qwen_min_size(g->n_frames, t0 + MEL_FRAMES_PER_ITEM);
    qwen_mel_raw(g->r.mel, g->pcm, g->n_samples, t0, t1, g->raw + t0 * n_mels(g));
}

static float lowest_of(const float *x, size_t n) {
    float low = x[0];
    for (size_t i = 1; i < n; i++) low = x[i] < low ? x[i] : low;
    return low;
}

static void compute_features(qwen_generate *g) {
    const size_t final_frames = qwen_min_size(qwen_mel_stable_frames(g->n_samples), g->n_frames);
    mel_job job = {g, qwen_min_size(g->final_frames, final_frames)};
    qwen_pool_run(g->r.ops->pool, qwen_ceil_div(g->n_frames - job.begin, MEL_FRAMES_PER_ITEM), mel_item, &job);
    g->work.frames += g->n_frames - job.begin;
    g->final_frames = final_frames;
    const size_t n = g->n_frames * n_mels(g), chunk_values = QWEN_CHUNK_FRAMES * n_mels(g), complete = final_frames / QWEN_CHUNK_FRAMES;
    float max = g->raw[0];
    for (size_t i = 1; i < n; i++) max = g->raw[i] > max ? g->raw[i] : max;
    g->maximum = max;
    qwen_mel_finish(g->features, g->raw, n, max);
    /* Only chunks that are complete now can have been computed from these very rows. */
    const size_t all = qwen_encoder_chunks(qwen_mel_frames(g->max_samples));
    for (size_t c = complete; c < all; c++) g->chunk_cache[c].valid = false;
    for (size_t w = complete / window_chunks(g); w < all; w++) g->window_cache[w].valid = false;
    for (size_t c = 0; c < complete; c++)
        if (!g->chunk_cache[c].valid) g->chunk_cache[c].lowest = lowest_of(g->raw + c * chunk_values, chunk_values);
    g->kv_windows = qwen_min_size(g->kv_windows, complete / window_chunks(g));
}

/* Would computing it again give the same bits? */
static bool still_valid(const qwen_generate *g, const qwen_cached *c) {
    if (!c->valid) return false;
    const float higher = c->maximum > g->maximum ? c->maximum : g->maximum;
    return c->maximum == g->maximum || c->lowest >= higher - MEL_RANGE;
}

/* ---- encoder ---------------------------------------------------------------------------------------------------- */

/* The prompt as ids, with audio rows as -1 - row, and the draft. Keeps the decoder's cache of what is in front of the audio and of unchanged windows. */
static void lay_out_prompt(qwen_generate *g) {
    const qwen_prompt *p = g->r.prompt;
    size_t n = 0;
    for (size_t i = 0; i < p->before.len; i++) g->prompt_ids[n++] = p->before.data[i];
    for (size_t i = 0; i < g->n_rows; i++) g->prompt_ids[n++] = -1 - (int32_t)i;
    for (size_t i = 0; i < p->after.len; i++) g->prompt_ids[n++] = p->after.data[i];
    g->n_prompt = n;
    g->n_draft = qwen_min_size(g->n_draft, g->max_tokens);
    memcpy(g->prompt_ids + n, g->draft, g->n_draft * sizeof *g->draft);
    qwen_decoder_truncate(g->r.decoder, p->before.len + g->kv_windows * window_chunks(g) * QWEN_CHUNK_ROWS);
    g->fed = g->r.decoder->n_positions;
}

/* Moves g->chunk to the next chunk of window g->window that must be computed, or to the window's end, which it returns. */
static size_t next_chunk(qwen_generate *g) {
    const size_t end = qwen_min_size((g->window + 1) * window_chunks(g), qwen_encoder_chunks(g->n_frames));
    while (g->chunk < end && still_valid(g, &g->chunk_cache[g->chunk])) g->chunk++;
    return end;
}

static qwen_status encode_window(qwen_generate *g, qwen_error *err) {
    const size_t w = g->window, first = w * window_chunks(g);
    QWEN_TRY(qwen_encoder_window(g->r.encoder, g->stem, g->n_frames, w, g->embeddings, NULL, err));
    g->work.windows++;
    g->kv_windows = qwen_min_size(g->kv_windows, w);
    if (first + window_chunks(g) > g->final_frames / QWEN_CHUNK_FRAMES) return QWEN_OK; /* not complete: it will change */
    float low = g->chunk_cache[first].lowest;
    for (size_t c = first; c < first + window_chunks(g); c++) low = g->chunk_cache[c].lowest < low ? g->chunk_cache[c].lowest : low;
    g->window_cache[w] = (qwen_cached){.valid = true, .maximum = g->maximum, .lowest = low};
    return QWEN_OK;
}

static qwen_status encode(qwen_generate *g, qwen_error *err) {
    const size_t windows = qwen_encoder_windows(g->r.encoder, g->n_frames);
    g->n_rows = qwen_audio_rows(g->n_frames);
    while (g->window < windows && still_valid(g, &g->window_cache[g->window])) g->chunk = ++g->window * window_chunks(g);
    if (g->window == windows) {
        lay_out_prompt(g);
        g->phase = QWEN_GENERATE_PREFILL;
        return QWEN_OK;
    }
    const size_t end = next_chunk(g);
    if (g->chunk == end) {
        QWEN_TRY(encode_window(g, err));
        g->window++;
        return QWEN_OK;
    }
    const size_t c = g->chunk;
    QWEN_TRY(qwen_encoder_chunk(g->r.encoder, g->features, g->n_frames, c, g->stem, err));
    g->work.chunks++;
    g->chunk++;
    if (c < g->final_frames / QWEN_CHUNK_FRAMES) {
        g->chunk_cache[c].valid = true;
        g->chunk_cache[c].maximum = g->maximum;
    }
    return QWEN_OK;
}

/* ---- decoder ---------------------------------------------------------------------------------------------------- */

static qwen_status push_token(qwen_generate *g, int32_t id, float margin, qwen_error *err) {
    g->margins[g->n_tokens] = margin;
    g->tokens[g->n_tokens++] = id;
    if (!qwen_tokenizer_decode_bytes(g->r.tokenizer, &id, 1, true, &g->raw_text))
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the text of a segment");
    if (g->n_tokens == g->max_tokens) {
        g->stop = QWEN_STOP_MAX_TOKENS;
        g->phase = QWEN_GENERATE_DONE;
    }
    return QWEN_OK;
}

/* Takes the draft as far as the model would have said the same, and puts the cache back to there. */
static qwen_status verify_draft(qwen_generate *g, qwen_error *err) {
    size_t k = 0;
    g->phase = QWEN_GENERATE_DECODE;
    for (; k < g->n_draft && g->best[k] == g->draft[k] && g->phase == QWEN_GENERATE_DECODE; k++)
        QWEN_TRY(push_token(g, g->draft[k], g->best_margin[k], err));
    g->work.draft_offered += g->n_draft;
    g->work.draft_accepted += k;
    qwen_decoder_truncate(g->r.decoder, g->n_prompt + k);
    g->next = g->best[k];
    g->next_margin = g->best_margin[k];
    for (g->kv_windows = 0; g->kv_windows < g->window && g->window_cache[g->kv_windows].valid; g->kv_windows++) {}
    return QWEN_OK;
}

/* The next block of the prompt; the last one holds the last prompt row and the whole draft. */
static qwen_status prefill(qwen_generate *g, qwen_error *err) {
    const size_t left = g->n_prompt + g->n_draft - g->fed, want = 1 + g->n_draft;
    const bool last = left <= QWEN_PREFILL_ROWS;
    const size_t rows = last ? left : qwen_min_size(QWEN_PREFILL_ROWS, left - want);
    QWEN_TRY(qwen_decoder_append(g->r.decoder, g->prompt_ids + g->fed, rows, g->embeddings, g->best, g->best_margin, last ? want : 0, NULL, err));
    g->fed += rows;
    g->work.prompt_rows += rows;
    return last ? verify_draft(g, err) : QWEN_OK;
}

/* Takes the best next token and, unless it ends the text, computes the one after it. */
static qwen_status decode(qwen_generate *g, qwen_error *err) {
    const int32_t id = g->next;
    if (id < 0)
        return qwen_fail(err, QWEN_ERR_INTERNAL, "the model computed a logit that is not a number after %zu tokens: its weights are damaged", g->n_tokens);
    for (size_t i = 0; i < QWEN_N_EOS; i++) {
        if (id == g->r.special->eos[i]) {
            g->phase = QWEN_GENERATE_DONE;
            return QWEN_OK;
        }
    }
    QWEN_TRY(push_token(g, id, g->next_margin, err));
    if (g->phase == QWEN_GENERATE_DONE) return QWEN_OK;
    return qwen_decoder_append(g->r.decoder, &id, 1, NULL, &g->next, &g->next_margin, 1, NULL, err);
}

qwen_status qwen_generate_step(qwen_generate *g, qwen_error *err) {
    const double t0 = now_s();
    qwen_status status = QWEN_OK;
    switch (g->phase) {
    case QWEN_GENERATE_MEL:
        compute_features(g);
        g->phase = QWEN_GENERATE_ENCODE;
        g->work.mel_s += now_s() - t0;
        break;
    case QWEN_GENERATE_ENCODE:
        status = encode(g, err);
        g->work.encode_s += now_s() - t0;
        break;
    case QWEN_GENERATE_PREFILL:
        status = prefill(g, err);
        g->work.prefill_s += now_s() - t0;
        break;
    case QWEN_GENERATE_DECODE:
        status = decode(g, err);
        g->work.decode_s += now_s() - t0;
        break;
    case QWEN_GENERATE_IDLE:
    case QWEN_GENERATE_DONE: return QWEN_AGAIN;
    }
    return status;
}
