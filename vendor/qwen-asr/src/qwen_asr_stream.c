/*
 * qwen_asr_stream.c - one recording: samples in, segments out. Rank 8.
 *
 * The segmenter decides from the samples alone what is decoded, and a decode is a function of its samples alone, whatever was decoded before (the
 * caches of qwen_asr_generate.h change no bit). So the final text depends neither on the sizes in which audio was fed, nor on when, nor on how often the
 * open segment was decoded for the eye. Samples leave the buffer as soon as no segment can need them: memory does not grow with the recording.
 *
 * The open segment is decoded as if nothing more would be said. So once a pause has begun, that decode is the final one, made before the segment is closed.
 */
#include <math.h>
#include <string.h>

#include "qwen_asr_generate.h"
#include "qwen_asr_hypothesis.h"
#include "qwen_asr_join.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_model.h"
#include "qwen_asr_num.h"
#include "qwen_asr_segment.h"
#include "qwen_asr_text.h"

/* Tokens a segment may have when the caller sets no limit. Fast speech has 5-6 tokens a second in English and up to 12 in scripts the
 * vocabulary splits finely; 20 leaves room, 64 serves the shortest segments. */
#define TOKENS_BASE 64
#define TOKENS_PER_SECOND 20
#define MAX_AUDIO_S 36000.0f
#define FIRST_PARTIAL_MS 1100 /* of open segment, its lead of 300 ms included: 0.8 s of speech */
#define EAGER_PAUSE_MS 250    /* after this much silence the open segment is decoded at once */
#define PARTIAL_REST 1.2      /* next partial not before this many times what the last one took, measured in audio that came meanwhile */
#define SPLIT_MIN_S 4         /* a segment is split only if both halves are about two seconds or more */
#define SPLIT_MAX 8           /* parts that can wait; with SPLIT_MIN_S it bounds the work on one segment */
#define SPLIT_WINDOW 3200     /* 200 ms: as long as a short pause */
#define CYCLE_MAX 8           /* longest cycle of tokens looked for ... */
#define CYCLE_TIMES 4         /* ... and how often it must have come */
#define FEED_SLACK (QWEN_SAMPLE_RATE) /* room beyond the segmenter's span, so that feeding is not sample by sample */

struct qwen_stream {
    const qwen_model *model;
    const char *forced; /* canonical language name (static), or NULL */
    bool token_events;
    int32_t max_tokens;
    qwen_ops ops;
    qwen_prompt prompt;
    qwen_encoder encoder;
    qwen_decoder decoder;
    qwen_generate generate;
    qwen_segmenter *segmenter; /* NULL: the whole audio is one segment */

    float *pcm;                /* [capacity]; the first len hold samples base .. base + len - 1 of the stream */
    size_t capacity, len;
    uint64_t base;
    bool finished, all_done;   /* all_done: finished, and nothing is left to do */
    bool whole_done;           /* the one segment without a segmenter was begun */

    enum { IDLE, PARTIAL, FINAL } work; /* what `current` is being decoded for */
    qwen_segment current;

    float *segment_pcm;        /* [generate.max_samples] of the finished segment being decoded, should it have to be split */
    uint64_t segment_start;    /* first sample in there */
    qwen_segment parts[SPLIT_MAX]; /* of it, still to be decoded, the next one last */
    size_t n_parts;

    uint64_t partial_samples;  /* 0: no partials */
    qwen_hypothesis hypothesis; /* of the open segment that begins at heard.start */
    qwen_segment heard;        /* what the last partial decoded; end 0: nothing yet */
    uint64_t not_before;       /* fed samples before which no partial begins */
    double partial_began_s;    /* work_seconds when the running partial began */
    uint64_t partial_began_at; /* samples fed then */
    size_t stable_bytes;       /* as last offered */
    qwen_event event;          /* the waiting one, without its text */
    bool on_show;              /* text of the open segment was offered, and no segment has replaced it */
    qwen_event_kind pending;   /* 0: no event waits */
    qwen_buf text, language;   /* of the event */
    qwen_buf shown;            /* settled text of the open segment, as it was shown */
    qwen_buf next_text, stable, raw; /* scratch */
    const char *separator;
    uint32_t last_char;        /* of the text so far, for the separator */
    qwen_status failed;        /* sticky */
    qwen_stream_stats stats;
};

qwen_stream_params qwen_stream_params_default(void) {
    const qwen_stream_params p = {.max_audio_s = 60.0f};
    return p;
}

/* ---- open and close --------------------------------------------------------------------------------------------- */

static size_t token_limit(int32_t max_tokens, size_t n_samples) {
    if (max_tokens > 0) return (size_t)max_tokens;
    return TOKENS_BASE + TOKENS_PER_SECOND * qwen_ceil_div(n_samples, QWEN_SAMPLE_RATE);
}

static qwen_status check_params(const qwen_stream_params *p, qwen_error *err) {
    if (p->max_tokens < 0) return qwen_fail(err, QWEN_ERR_ARG, "max_tokens is %d; 0 (automatic) or a positive number is needed", p->max_tokens);
    if (p->partial_ms < 0) return qwen_fail(err, QWEN_ERR_ARG, "partial_ms is %d; 0 (none) or a number of milliseconds is needed", p->partial_ms);
    if (p->no_segmenter && !(p->max_audio_s > 0.0f && p->max_audio_s <= MAX_AUDIO_S))
        return qwen_fail(err, QWEN_ERR_ARG, "max_audio_s is %g; a number of seconds above 0 and up to %g is needed", (double)p->max_audio_s, (double)MAX_AUDIO_S);
    return QWEN_OK;
}

/* Everything that computes, sized for segments of up to max_samples. */
static qwen_status open_engine(qwen_stream *s, const qwen_stream_params *p, size_t max_samples, qwen_error *err) {
    const qwen_config *c = &s->model->config;
    const size_t max_tokens = token_limit(p->max_tokens, max_samples);
    const size_t positions = s->prompt.before.len + qwen_audio_rows(qwen_mel_frames(max_samples)) + s->prompt.after.len + max_tokens;
    const size_t window = c->audio.window_chunks * QWEN_CHUNK_ROWS;
    QWEN_TRY(qwen_decoder_fits(&c->text, positions, err));
    const size_t widest = qwen_max_size(c->audio.conv_bins * c->audio.conv_channels, qwen_max_size(c->audio.ffn, c->text.ffn));
    const size_t heads = qwen_max_size(c->text.n_heads * c->text.head_dim, qwen_max_size(c->audio.width, c->text.width));
    QWEN_TRY(qwen_ops_open(&s->ops, &s->model->kernels, p->n_threads, qwen_max_size(positions, window), 9 * c->audio.conv_channels,
                           qwen_max_size(widest, heads), p->cancel, err));
    QWEN_TRY(qwen_encoder_open(&s->encoder, &c->audio, &s->model->weights.encoder, &s->ops, err));
    QWEN_TRY(qwen_decoder_open(&s->decoder, &c->text, &s->model->weights.decoder, &s->ops, positions, err));
    const qwen_recognizer r = {.mel = s->model->mel, .tokenizer = s->model->tokenizer, .special = &s->model->special, .prompt = &s->prompt,
                               .ops = &s->ops, .encoder = &s->encoder, .decoder = &s->decoder};
    return qwen_generate_open(&s->generate, &r, max_samples, max_tokens, err);
}

static qwen_status open_parts(qwen_stream *s, const qwen_stream_params *p, qwen_error *err) {
    QWEN_TRY(check_params(p, err));
    QWEN_TRY(qwen_language_find(&s->forced, p->language, err));
    QWEN_TRY(qwen_prompt_open(&s->prompt, s->model->tokenizer, &s->model->special, p->context, s->forced, NULL, err));
    size_t max_samples = p->no_segmenter ? (size_t)ceilf(p->max_audio_s * QWEN_SAMPLE_RATE) : 0;
    s->capacity = max_samples;
    if (!p->no_segmenter) {
        const qwen_segment_params sp = qwen_segment_params_default();
        QWEN_TRY(qwen_segmenter_open(&s->segmenter, &sp, err));
        max_samples = (size_t)(sp.max_ms + sp.lead_ms + sp.tail_ms) * (QWEN_SAMPLE_RATE / 1000);
        s->capacity = qwen_segmenter_span(s->segmenter) + FEED_SLACK;
    }
    QWEN_TRY(open_engine(s, p, max_samples, err));
    s->pcm = qwen_alloc(s->capacity, sizeof *s->pcm);
    if (s->segmenter) s->segment_pcm = qwen_alloc(max_samples, sizeof *s->segment_pcm);
    const size_t tokens = s->generate.max_tokens_room, text = 16 * tokens;
    if (!s->pcm || (s->segmenter && !s->segment_pcm) || !qwen_buf_reserve(&s->text, text) || !qwen_buf_reserve(&s->next_text, text) || !qwen_buf_reserve(&s->language, 64) ||
        (s->partial_samples && (!qwen_hypothesis_open(&s->hypothesis, tokens) || !qwen_buf_reserve(&s->stable, text) || !qwen_buf_reserve(&s->shown, text) || !qwen_buf_reserve(&s->raw, text))))
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for %zu samples of audio", s->capacity);
    return QWEN_OK;
}

qwen_status qwen_stream_open(qwen_stream **out, const qwen_model *model, const qwen_stream_params *params, qwen_error *err) {
    if (!out) return qwen_fail(err, QWEN_ERR_ARG, "qwen_stream_open: out is NULL");
    *out = NULL;
    if (!model) return qwen_fail(err, QWEN_ERR_ARG, "qwen_stream_open: model is NULL");
    const qwen_stream_params defaults = qwen_stream_params_default();
    const qwen_stream_params *p = params ? params : &defaults;
    qwen_stream *s = qwen_alloc_zero(1, sizeof *s);
    if (!s) return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for a stream");
    s->model = model;
    s->token_events = p->token_events != 0;
    s->max_tokens = p->max_tokens;
    s->partial_samples = p->partial_ms > 0 ? (uint64_t)p->partial_ms * (QWEN_SAMPLE_RATE / 1000) : 0;
    s->separator = "";
    const qwen_status status = open_parts(s, p, err);
    if (status == QWEN_OK) *out = s;
    else qwen_stream_close(s);
    return status;
}

void qwen_stream_close(qwen_stream *s) {
    if (!s) return;
    qwen_generate_close(&s->generate);
    qwen_decoder_close(&s->decoder);
    qwen_encoder_close(&s->encoder);
    qwen_ops_close(&s->ops);
    qwen_prompt_close(&s->prompt);
    qwen_segmenter_close(s->segmenter);
    qwen_buf_free(&s->text);
    qwen_buf_free(&s->next_text);
    qwen_buf_free(&s->language);
    qwen_buf_free(&s->stable);
    qwen_buf_free(&s->shown);
    qwen_buf_free(&s->raw);
    qwen_hypothesis_close(&s->hypothesis);
    qwen_free(s->pcm);
    qwen_free(s->segment_pcm);
    qwen_free(s);
}

/* ---- samples in ------------------------------------------------------------------------------------------------- */

/* Moves what may still be needed to the front of the buffer. */
static void drop_consumed(qwen_stream *s) {
    if (!s->segmenter) return;
    const uint64_t keep = qwen_segmenter_floor(s->segmenter);
    if (keep <= s->base) return;
    const size_t n = qwen_min_size((size_t)(keep - s->base), s->len);
    memmove(s->pcm, s->pcm + n, (s->len - n) * sizeof *s->pcm);
    s->base += n;
    s->len -= n;
}

static float accept_sample(qwen_stream *s, float x) {
    if (!isfinite(x)) {
        s->stats.samples_repaired++;
        return 0.0f;
    }
    if (x >= -1.0f && x <= 1.0f) return x;
    s->stats.samples_clipped++;
    return x > 0.0f ? 1.0f : -1.0f;
}

static qwen_status too_long(const qwen_stream *s, qwen_error *err) {
    return qwen_fail(err, QWEN_ERR_ARG, "the audio is longer than the %g s that one segment may have here: allow more, or leave the segmenter on",
                     (double)s->capacity / QWEN_SAMPLE_RATE);
}

qwen_status qwen_stream_feed(qwen_stream *s, const float *pcm, size_t n, size_t *n_taken, qwen_error *err) {
    if (n_taken) *n_taken = 0;
    if (!s || !n_taken || (!pcm && n)) return qwen_fail(err, QWEN_ERR_ARG, "qwen_stream_feed: an argument is NULL");
    if (s->failed) return qwen_fail(err, QWEN_ERR_STATE, "the stream failed before; it can only be closed");
    if (s->finished) return qwen_fail(err, QWEN_ERR_STATE, "the stream was finished; it takes no more audio");
    if (!s->segmenter && n > s->capacity - s->len) return too_long(s, err);
    if (n > s->capacity - s->len) drop_consumed(s);
    size_t take = qwen_min_size(n, s->capacity - s->len);
    if (s->segmenter) take = qwen_min_size(take, qwen_segmenter_room(s->segmenter));
    float *at = s->pcm + s->len;
    for (size_t i = 0; i < take; i++) at[i] = accept_sample(s, pcm[i]);
    if (s->segmenter) qwen_segmenter_feed(s->segmenter, at, take);
    s->len += take;
    s->stats.samples_fed += take;
    *n_taken = take;
    return take == n ? QWEN_OK : QWEN_AGAIN;
}

qwen_status qwen_stream_finish(qwen_stream *s, qwen_error *err) {
    if (!s) return qwen_fail(err, QWEN_ERR_ARG, "qwen_stream_finish: stream is NULL");
    if (s->failed) return qwen_fail(err, QWEN_ERR_STATE, "the stream failed before; it can only be closed");
    if (!s->finished && s->segmenter) qwen_segmenter_finish(s->segmenter);
    s->finished = true;
    return QWEN_OK;
}

/* ---- text out --------------------------------------------------------------------------------------------------- */

static bool next_segment(qwen_stream *s) {
    if (s->segmenter) return qwen_segmenter_next(s->segmenter, &s->current);
    if (!s->finished || s->whole_done || s->len == 0) return false;
    s->whole_done = true;
    s->current = (qwen_segment){0, s->len, QWEN_CUT_END};
    return true;
}

/* Starts decoding s->current, whose samples are at pcm; they are used up when this returns. */
static qwen_status begin_decode(qwen_stream *s, const float *pcm, qwen_error *err) {
    const size_t n = (size_t)(s->current.end - s->current.start);
    qwen_generate_begin(&s->generate, s->current.start, pcm, n, token_limit(s->max_tokens, n));
    const qwen_status status = qwen_generate_step(&s->generate, err);
    return status < 0 ? status : QWEN_OK;
}

/* The same, with the samples in the buffer. */
static qwen_status begin_from_buffer(qwen_stream *s, bool keep, qwen_error *err) {
    const qwen_segment c = s->current;
    if (c.start < s->base || c.end > s->base + s->len || c.end - c.start > s->generate.max_samples)
        return qwen_fail(err, QWEN_ERR_INTERNAL, "segment [%llu, %llu) is outside the buffered samples [%llu, %llu)", (unsigned long long)c.start,
                         (unsigned long long)c.end, (unsigned long long)s->base, (unsigned long long)(s->base + s->len));
    const float *pcm = s->pcm + (c.start - s->base);
    if (keep) {
        memcpy(s->segment_pcm, pcm, (size_t)(c.end - c.start) * sizeof *pcm);
        s->segment_start = c.start;
    }
    return begin_decode(s, pcm, err);
}

/* ---- guard: a decode that ran in circles, or said nothing ----------------------------------------------------------- */

/* Do the last tokens repeat a cycle of up to CYCLE_MAX tokens CYCLE_TIMES times? */
static bool ends_in_a_cycle(const int32_t *tokens, size_t n) {
    for (size_t p = 1; p <= CYCLE_MAX && p * CYCLE_TIMES <= n; p++) {
        size_t i = n - p * (CYCLE_TIMES - 1);
        while (i < n && tokens[i] == tokens[i - p]) i++;
        if (i == n) return true;
    }
    return false;
}

/* Where [0, n) is quietest, over SPLIT_WINDOW samples in its middle half. */
static size_t quietest(const float *pcm, size_t n) {
    double sum = 0, least = 0;
    size_t best = n / 4;
    for (size_t i = n / 4; i < n / 4 + SPLIT_WINDOW; i++) sum += (double)pcm[i] * (double)pcm[i];
    least = sum;
    for (size_t i = n / 4; i + SPLIT_WINDOW < n - n / 4; i++) {
        sum += (double)pcm[i + SPLIT_WINDOW] * (double)pcm[i + SPLIT_WINDOW] - (double)pcm[i] * (double)pcm[i];
        if (sum < least) least = sum, best = i + 1;
    }
    return best + SPLIT_WINDOW / 2;
}

/* If the decode of s->current, whose text is parsed, went wrong ("language None" is an answer: nobody speaks), divides it into two parts to be decoded instead; its outer borders stay. */
static bool split_segment(qwen_stream *s) {
    const qwen_generate *g = &s->generate;
    const bool looping = g->stop == QWEN_STOP_MAX_TOKENS && ends_in_a_cycle(g->tokens, g->n_tokens), mute = s->text.len == 0 && (s->language.len > 0 || g->n_tokens == 0);
    if (!s->segmenter || !(looping || mute) || g->n_samples < SPLIT_MIN_S * QWEN_SAMPLE_RATE || s->n_parts + 2 > SPLIT_MAX) return false;
    const size_t at = quietest(s->segment_pcm + (s->current.start - s->segment_start), g->n_samples);
    qwen_segment first = s->current, second = s->current;
    first.end = second.start = s->current.start + at;
    first.cut = QWEN_CUT_LENGTH;
    s->parts[s->n_parts++] = second;
    s->parts[s->n_parts++] = first;
    return true;
}

static qwen_status begin_part(qwen_stream *s, qwen_error *err) {
    s->current = s->parts[--s->n_parts];
    return begin_decode(s, s->segment_pcm + (s->current.start - s->segment_start), err);
}

/* ---- finished segments ---------------------------------------------------------------------------------------------- */

static qwen_status no_memory(qwen_error *err) { return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the text of a segment"); }

/* What there is to tell about s->current; its text stays where it is until it is taken or replaced. */
static void make_event(qwen_stream *s, qwen_event_kind kind, size_t stable_bytes) {
    s->event = (qwen_event){
        .kind = kind,
        .stop = kind == QWEN_EVENT_SEGMENT ? s->generate.stop : QWEN_STOP_EOS,
        .cut = s->current.cut,
        .stable_bytes = stable_bytes,
        .separator = s->separator,
        .start_sample = s->current.start,
        .end_sample = s->current.end,
        .n_audio_tokens = (uint32_t)s->generate.n_rows,
        .n_tokens = (uint32_t)s->generate.n_tokens,
    };
    s->pending = kind;
}

/* Makes s->next_text the text to offer, if it says something new. */
static void offer(qwen_stream *s, size_t stable_bytes) {
    const bool same = s->next_text.len == s->text.len && (s->text.len == 0 || memcmp(s->next_text.data, s->text.data, s->text.len) == 0);
    if (same && (stable_bytes == s->stable_bytes || s->text.len == 0)) return;
    const qwen_buf old = s->text;
    s->text = s->next_text;
    s->next_text = old;
    s->stable_bytes = stable_bytes;
    s->separator = qwen_separator(s->last_char, qwen_first_char(s->text.data, s->text.len));
    make_event(s, QWEN_EVENT_TEXT, stable_bytes);
}

/* After a token of a finished segment: offers its text so far. */
static qwen_status offer_token(qwen_stream *s, qwen_error *err) {
    const qwen_generate *g = &s->generate;
    if (!s->token_events || s->shown.len > 0 || g->phase != QWEN_GENERATE_DECODE || g->n_tokens == 0) return QWEN_OK;
    const size_t n = qwen_utf8_complete(g->raw_text.data, g->raw_text.len);
    if (!qwen_parse_partial(g->raw_text.data, n, s->forced, &s->language, &s->next_text)) return no_memory(err);
    offer(s, 0);
    return QWEN_OK;
}

static qwen_status end_segment(qwen_stream *s, qwen_error *err) {
    const qwen_generate *g = &s->generate;
    if (!qwen_parse_output(g->raw_text.data, g->raw_text.len, s->forced, &s->language, &s->text)) return no_memory(err);
    if (split_segment(s)) {
        s->pending = 0;
        return begin_part(s, err);
    }
    s->separator = qwen_separator(s->last_char, qwen_first_char(s->text.data, s->text.len));
    if (s->text.len) s->last_char = qwen_last_char(s->text.data, s->text.len);
    s->work = IDLE;
    s->on_show = false;
    s->stable_bytes = SIZE_MAX; /* nothing was offered of what comes next */
    qwen_buf_clear(&s->shown);
    make_event(s, QWEN_EVENT_SEGMENT, s->text.len);
    s->stats.audio_tokens += g->n_rows;
    s->stats.prompt_tokens += g->n_rows ? g->n_prompt : 0;
    s->stats.text_tokens += g->n_tokens;
    return QWEN_OK;
}

/* ---- partials: the open segment, for the eye ---------------------------------------------------------------------- */

static double work_seconds(const qwen_stream *s) {
    const qwen_generate_work *w = &s->generate.work;
    return w->mel_s + w->encode_s + w->prefill_s + w->decode_s;
}

void qwen_stream_set_partials(qwen_stream *s, int32_t partial_ms) {
    if (!s || !s->hypothesis.tokens) return;
    s->partial_samples = partial_ms > 0 ? (uint64_t)partial_ms * (QWEN_SAMPLE_RATE / 1000) : 0;
}

/* Is it time to decode the open segment? Then s->current is it. */
static bool partial_is_due(qwen_stream *s) {
    qwen_segment open;
    uint64_t pause = 0;
    if (!s->partial_samples || !s->segmenter || s->finished || !qwen_segmenter_open_segment(s->segmenter, &open, &pause)) return false;
    if (s->heard.end == 0 || open.start != s->heard.start) {
        s->heard = (qwen_segment){open.start, open.start, QWEN_CUT_END};
        qwen_hypothesis_reset(&s->hypothesis);
        qwen_buf_clear(&s->shown);
    }
    const uint64_t ms = QWEN_SAMPLE_RATE / 1000;
    const bool eager = pause >= EAGER_PAUSE_MS * ms && open.end != s->heard.end;
    const bool paced = open.end - open.start >= FIRST_PARTIAL_MS * ms && open.end >= s->heard.end + s->partial_samples && s->stats.samples_fed >= s->not_before;
    if (!eager && !paced) return false;
    s->current = open;
    return true;
}

/* Text of the first n tokens of the hypothesis into out. */
static bool hypothesis_text(qwen_stream *s, size_t n, qwen_buf *out) {
    qwen_buf_clear(&s->raw);
    return qwen_tokenizer_decode_bytes(s->model->tokenizer, s->hypothesis.tokens, n, true, &s->raw) &&
           qwen_parse_partial(s->raw.data, qwen_utf8_complete(s->raw.data, s->raw.len), s->forced, &s->language, out);
}

/* How many bytes a and b share at their beginnings. */
static size_t common(const qwen_buf *a, const qwen_buf *b) {
    size_t n = 0;
    while (n < a->len && n < b->len && a->data[n] == b->data[n]) n++;
    return n;
}

/* The largest n <= limit at which text does not end inside a word or character. */
static size_t word_end(const qwen_buf *text, size_t limit) {
    size_t n = qwen_utf8_complete(text->data, limit);
    while (n > 0 && n < text->len && *qwen_separator(qwen_last_char(text->data, n), qwen_first_char(text->data + n, text->len - n)) && text->data[n] != ' ')
        n = qwen_utf8_complete(text->data, n - 1);
    return n;
}

/*
 * Offers s->next_text, settled as far as s->stable goes. What was shown as settled stays: if reading more tokens changed it after all (a loop
 * was cut out, or the model now says that nobody speaks), the settled text is all there is to show until the segment is final.
 */
static bool settle_text(qwen_stream *s) {
    if (common(&s->shown, &s->next_text) < s->shown.len) {
        qwen_buf_clear(&s->next_text);
        if (!qwen_buf_append(&s->next_text, s->shown.data, s->shown.len)) return false;
    }
    const size_t settled = qwen_max_size(word_end(&s->next_text, common(&s->stable, &s->next_text)), s->shown.len);
    if (settled > s->shown.len && !qwen_buf_append(&s->shown, s->next_text.data + s->shown.len, settled - s->shown.len)) return false;
    offer(s, settled);
    return true;
}

static qwen_status end_partial(qwen_stream *s, qwen_error *err) {
    const qwen_generate *g = &s->generate;
    s->work = IDLE;
    s->heard = s->current;
    s->stats.partials++;
    s->not_before = s->partial_began_at + (uint64_t)(PARTIAL_REST * QWEN_SAMPLE_RATE * (work_seconds(s) - s->partial_began_s));
    qwen_hypothesis_update(&s->hypothesis, g->tokens, g->margins, g->n_tokens, s->current.end);
    if (!hypothesis_text(s, s->hypothesis.n_stable, &s->stable) || !hypothesis_text(s, s->hypothesis.n_tokens, &s->next_text)) return no_memory(err);
    s->on_show = true;
    return settle_text(s) ? QWEN_OK : no_memory(err);
}

/* Takes text back that was shown of a segment which turned out to hold no speech: the background had become louder. */
static bool take_back(qwen_stream *s) {
    qwen_segment open;
    uint64_t pause = 0;
    if (!s->on_show || (qwen_segmenter_open_segment(s->segmenter, &open, &pause) && open.start == s->heard.start)) return false;
    s->on_show = false;
    qwen_buf_clear(&s->shown);
    qwen_buf_clear(&s->next_text);
    offer(s, 0);
    return true;
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

static qwen_status begin_work(qwen_stream *s, qwen_error *err) {
    if (s->work == IDLE && s->n_parts) {
        s->work = FINAL;
        s->pending = 0;
        return begin_part(s, err);
    }
    if (s->work != FINAL && next_segment(s)) { /* a running partial is given up: it never delays a final */
        s->work = FINAL;
        s->pending = 0;
        s->stats.segments++;
        return begin_from_buffer(s, s->segmenter != NULL, err);
    }
    if (s->work == IDLE && partial_is_due(s)) {
        s->work = PARTIAL;
        s->partial_began_s = work_seconds(s);
        s->partial_began_at = s->stats.samples_fed;
        return begin_from_buffer(s, false, err);
    }
    return s->work == IDLE && take_back(s) ? QWEN_OK : QWEN_AGAIN;
}

static qwen_status step(qwen_stream *s, qwen_error *err) {
    if (s->pending == QWEN_EVENT_SEGMENT) return qwen_fail(err, QWEN_ERR_STATE, "a finished segment waits to be taken with qwen_stream_next");
    const qwen_status begun = begin_work(s, err);
    if (begun == QWEN_AGAIN && s->work == IDLE) s->all_done = s->finished;
    if (begun != QWEN_AGAIN || s->work == IDLE) return begun;
    const qwen_status status = qwen_generate_step(&s->generate, err);
    if (status < 0) return status;
    if (s->work == PARTIAL) return status == QWEN_AGAIN ? end_partial(s, err) : QWEN_OK;
    return status == QWEN_AGAIN ? end_segment(s, err) : offer_token(s, err);
}

qwen_status qwen_stream_step(qwen_stream *s, qwen_error *err) {
    if (!s) return qwen_fail(err, QWEN_ERR_ARG, "qwen_stream_step: stream is NULL");
    if (s->failed) return qwen_fail(err, QWEN_ERR_STATE, "the stream failed before; it can only be closed");
    const qwen_status status = step(s, err);
    if (status < 0 && status != QWEN_ERR_STATE) s->failed = status;
    return status;
}

qwen_status qwen_stream_next(qwen_stream *s, qwen_event *ev) {
    if (!s || !ev) return QWEN_ERR_ARG;
    if (!s->pending) return QWEN_AGAIN;
    *ev = s->event;
    ev->text = s->text.len ? s->text.data : "";
    ev->text_bytes = s->text.len;
    ev->language = s->language.len ? s->language.data : "";
    s->pending = 0;
    return QWEN_OK;
}

qwen_stream_stats qwen_stream_describe(const qwen_stream *s) {
    qwen_stream_stats stats = s->stats;
    const qwen_generate_work *w = &s->generate.work;
    if (s->all_done) stats.samples_done = s->stats.samples_fed;
    else if (s->work == FINAL || s->n_parts || s->pending == QWEN_EVENT_SEGMENT) stats.samples_done = s->current.start;
    else if (s->segmenter) stats.samples_done = qwen_segmenter_floor(s->segmenter);
    else stats.samples_done = s->whole_done ? s->stats.samples_fed : 0;
    stats.contradictions = s->hypothesis.contradicted;
    stats.frames = w->frames;
    stats.chunks = w->chunks;
    stats.windows = w->windows;
    stats.prompt_rows = w->prompt_rows;
    stats.draft_offered = w->draft_offered;
    stats.draft_accepted = w->draft_accepted;
    stats.mel_s = w->mel_s;
    stats.encode_s = w->encode_s;
    stats.prefill_s = w->prefill_s;
    stats.decode_s = w->decode_s;
    return stats;
}
