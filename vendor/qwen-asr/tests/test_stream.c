/*
 * test_stream.c - a stream gives the same segments however audio is fed and however many threads work, stops when asked, refuses
 * misuse with a sentence, and keeps no memory beyond what it was opened with. Partials never change the final text.
 */
#include <stdbool.h>

#include "qwen_asr_mem.h"
#include "speech.h"

#define MAX_LOG 65536

/* Everything final that a stream said, as text: one line per segment. */
typedef struct transcript {
    char log[MAX_LOG];
    size_t len, segments, text_events;
    uint64_t borders[64][2]; /* of the first segments, in samples */
    char shown[4096]; /* settled text of the open segment */
    size_t shown_len;
    qwen_stream_stats stats;
} transcript;

/* Settled text only grows while a segment is open. */
static void check_stable(transcript *t, const qwen_event *ev) {
    CHECKF(ev->stable_bytes >= t->shown_len && memcmp(ev->text, t->shown, t->shown_len) == 0, "settled \"%.*s\" became \"%.*s\"", (int)t->shown_len, t->shown,
           (int)ev->stable_bytes, ev->text);
    t->shown_len = ev->stable_bytes < sizeof t->shown ? ev->stable_bytes : sizeof t->shown;
    memcpy(t->shown, ev->text, t->shown_len);
}

static void take_events(qwen_stream *s, transcript *t, size_t *text_events) {
    for (qwen_event ev; qwen_stream_next(s, &ev) == QWEN_OK;) {
        CHECK(strlen(ev.text) <= ev.text_bytes && ev.language && ev.separator);
        CHECK(ev.stable_bytes <= ev.text_bytes && ev.end_sample >= ev.start_sample);
        if (ev.kind == QWEN_EVENT_TEXT) {
            if (text_events) ++*text_events;
            check_stable(t, &ev);
            continue;
        }
        t->shown_len = 0;
        if (t->segments < 64) t->borders[t->segments][0] = ev.start_sample, t->borders[t->segments][1] = ev.end_sample;
        t->segments++;
        const int n = snprintf(t->log + t->len, MAX_LOG - t->len, "%llu-%llu cut %d stop %d %u tokens [%s]%s%.*s\n", (unsigned long long)ev.start_sample,
                               (unsigned long long)ev.end_sample, (int)ev.cut, (int)ev.stop, ev.n_tokens, ev.language, ev.separator, (int)ev.text_bytes, ev.text);
        if (n > 0 && (size_t)n < MAX_LOG - t->len) t->len += (size_t)n;
    }
}

static qwen_status drain(qwen_stream *s, transcript *t, size_t *text_events, qwen_error *err) {
    for (;;) {
        const qwen_status status = qwen_stream_step(s, err);
        if (status != QWEN_OK) return status;
        take_events(s, t, text_events);
    }
}

/* push: samples per feed; 0: random sizes. */
static qwen_status run(const qwen_model *m, const qwen_stream_params *p, const float *pcm, size_t n, size_t push, transcript *t, qwen_error *err) {
    memset(t, 0, sizeof *t);
    qwen_stream *s = NULL;
    qwen_status status = qwen_stream_open(&s, m, p, err);
    uint32_t seed = 7;
    while (status == QWEN_OK && n > 0) {
        size_t want = push ? push : 1 + speech_random(&seed) % 9000, taken = 0;
        if (want > n) want = n;
        status = qwen_stream_feed(s, pcm, want, &taken, err);
        if (status < 0) break;
        pcm += taken;
        n -= taken;
        status = drain(s, t, &t->text_events, err);
        if (status == QWEN_AGAIN) status = QWEN_OK;
    }
    if (status == QWEN_OK) status = qwen_stream_finish(s, err);
    if (status == QWEN_OK) status = drain(s, t, &t->text_events, err);
    if (s) t->stats = qwen_stream_describe(s);
    qwen_stream_close(s);
    return status == QWEN_AGAIN ? QWEN_OK : status;
}

static qwen_model *open_model(const char *name) {
    char path[1024];
    qwen_model *m = NULL;
    qwen_error err = {0};
    if (snprintf(path, sizeof path, "%s/%s", check_data(), name) >= (int)sizeof path) exit(2);
    CHECKF(qwen_model_open(&m, path, NULL, &err) == QWEN_OK, "%s", err.msg);
    if (!m) exit(check_done("stream"));
    return m;
}

static void the_text_depends_neither_on_push_sizes_nor_on_threads(const qwen_model *m) {
    size_t n = 0;
    float *pcm = speech_babble(25, 12, 700, 3, &n);
    static transcript whole, other;
    qwen_error err = {0};
    qwen_stream_params p = qwen_stream_params_default();
    p.n_threads = 1;
    CHECKF(run(m, &p, pcm, n, n, &whole, &err) == QWEN_OK, "%s", err.msg);
    CHECK(whole.stats.samples_done == n && whole.stats.samples_fed == n);
    CHECKF(whole.segments >= 2, "%zu segments: the babble must be cut for this test to mean anything", whole.segments);
    const size_t pushes[] = {1, 160, 1600, 160000, 0};
    for (size_t i = 0; i < sizeof pushes / sizeof *pushes; i++) {
        p.n_threads = (int32_t)(1 + i % 3);
        p.token_events = (int32_t)(i % 2);
        CHECKF(run(m, &p, pcm, n, pushes[i], &other, &err) == QWEN_OK, "%s", err.msg);
        CHECKF(strcmp(whole.log, other.log) == 0, "pushes of %zu, %d threads:\n%s\ninstead of\n%s", pushes[i], p.n_threads, other.log, whole.log);
    }
    char *text = NULL;
    CHECKF(qwen_transcribe_audio(&text, m, &p, pcm, n, &err) == QWEN_OK && text, "%s", err.msg);
    CHECK(text && strlen(text) > 0 && whole.len > strlen(text));
    qwen_text_free(text);
    free(pcm);
}

static void the_text_does_not_depend_on_partials(const qwen_model *m) {
    size_t n = 0;
    float *pcm = speech_babble(26, 14, 700, 9, &n);
    static transcript plain, live;
    qwen_error err = {0};
    qwen_stream_params p = qwen_stream_params_default();
    CHECKF(run(m, &p, pcm, n, 1600, &plain, &err) == QWEN_OK, "%s", err.msg);
    CHECK(plain.segments >= 2 && plain.text_events == 0);
    static const int32_t cadences[] = {1, 300, 1000, 5000};
    static const size_t pushes[] = {0, 160, 3200, 160000};
    for (size_t i = 0; i < 4; i++) {
        p.partial_ms = cadences[i];
        p.n_threads = (int32_t)(1 + i % 2);
        CHECKF(run(m, &p, pcm, n, pushes[i], &live, &err) == QWEN_OK, "%s", err.msg);
        CHECKF(strcmp(plain.log, live.log) == 0, "a partial every %d ms:\n%s\ninstead of\n%s", cadences[i], live.log, plain.log);
        printf("  every %d ms: %llu partials, %llu of %llu draft tokens kept, %llu contradictions, %llu chunks (%llu without), %llu prompt rows (%llu)\n", cadences[i],
               (unsigned long long)live.stats.partials, (unsigned long long)live.stats.draft_accepted, (unsigned long long)live.stats.draft_offered,
               (unsigned long long)live.stats.contradictions, (unsigned long long)live.stats.chunks, (unsigned long long)plain.stats.chunks,
               (unsigned long long)live.stats.prompt_rows, (unsigned long long)plain.stats.prompt_rows);
        CHECK(pushes[i] > 10000 || (live.stats.partials > 2 && live.text_events > 0));
    }
    p.partial_ms = -1;
    CHECK(run(m, &p, pcm, n, n, &live, &err) == QWEN_ERR_ARG && strstr(err.msg, "partial_ms is -1"));
    free(pcm);
}

static void a_decode_in_circles_is_split_inside_its_borders(const qwen_model *m) {
    static transcript whole, split;
    qwen_error err = {0};
    size_t splits = 0;
    for (uint32_t seed = 1; seed <= 6; seed++) {
        size_t n = 0, j = 0;
        float *pcm = speech_babble(14, 200, 0, seed, &n);
        qwen_stream_params p = qwen_stream_params_default();
        p.max_tokens = 1; /* one token is no circle: these are the segmenter's own borders */
        CHECKF(run(m, &p, pcm, n, 3200, &whole, &err) == QWEN_OK, "%s", err.msg);
        p.max_tokens = 60;
        CHECKF(run(m, &p, pcm, n, 3200, &split, &err) == QWEN_OK, "%s", err.msg);
        CHECK(split.stats.segments == whole.segments);
        splits += split.segments - whole.segments;
        for (size_t i = 0; i < whole.segments; i++) {
            for (uint64_t at = whole.borders[i][0]; at < whole.borders[i][1]; j++) {
                const uint64_t *part = split.borders[j];
                const bool fits = j < split.segments && part[0] == at && part[1] > at && part[1] <= whole.borders[i][1];
                CHECKF(fits, "part %zu is [%llu, %llu), at %llu", j, (unsigned long long)part[0], (unsigned long long)part[1], (unsigned long long)at);
                if (!fits) break;
                at = part[1];
            }
        }
        CHECK(j == split.segments);
        free(pcm);
    }
    CHECKF(splits > 0, "this random model never ran in circles: the test shows nothing");
    printf("  %zu splits\n", splits);
}

/* When the speaker stops, at most the newest second and the encoder window around it are left to do: live is not an offline run at the end. */
static void little_is_left_to_do_after_the_end(const qwen_model *m) {
    qwen_error err = {0};
    static transcript t;
    for (uint32_t seed = 1; seed <= 6; seed++) {
        size_t n = 0, taken = 0;
        float *pcm = speech_babble(9 + 3 * seed, 200, 0, seed, &n); /* no pause anywhere: the worst case */
        qwen_stream *s = NULL;
        qwen_stream_params p = qwen_stream_params_default();
        p.partial_ms = 1000;
        memset(&t, 0, sizeof t);
        CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_OK);
        for (size_t at = 0; at < n; at += taken) {
            CHECK(qwen_stream_feed(s, pcm + at, n - at < 1600 ? n - at : 1600, &taken, &err) == QWEN_OK);
            CHECK(drain(s, &t, NULL, &err) == QWEN_AGAIN);
        }
        const qwen_stream_stats before = qwen_stream_describe(s);
        CHECK(qwen_stream_finish(s, &err) == QWEN_OK && drain(s, &t, NULL, &err) == QWEN_AGAIN);
        const qwen_stream_stats after = qwen_stream_describe(s);
        CHECKF(after.frames - before.frames <= 300 && after.chunks - before.chunks <= 3 && after.windows - before.windows <= 2 &&
                   after.prompt_rows - before.prompt_rows <= 2 * 104 + 256,
               "%zu samples: %llu frames, %llu chunks, %llu windows, %llu prompt rows were left", n, (unsigned long long)(after.frames - before.frames),
               (unsigned long long)(after.chunks - before.chunks), (unsigned long long)(after.windows - before.windows),
               (unsigned long long)(after.prompt_rows - before.prompt_rows));
        qwen_stream_close(s);
        free(pcm);
    }
}

/* In a pause the open segment is decoded as if it ended there; if it does, everything is done. */
static void after_a_pause_nothing_is_left_to_do(const qwen_model *m) {
    qwen_error err = {0};
    static transcript t;
    size_t n = 0, taken = 0;
    float *pcm = speech_babble(6, 12, 3000, 4, &n);
    n = 3 * QWEN_SAMPLE_RATE; /* some 2 s of babble, then silence */
    qwen_stream *s = NULL;
    qwen_stream_params p = qwen_stream_params_default();
    p.partial_ms = 1000;
    memset(&t, 0, sizeof t);
    CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_OK);
    for (size_t at = 0; at < n; at += taken) {
        CHECK(qwen_stream_feed(s, pcm + at, n - at < 1600 ? n - at : 1600, &taken, &err) == QWEN_OK);
        CHECK(drain(s, &t, NULL, &err) == QWEN_AGAIN);
    }
    const qwen_stream_stats before = qwen_stream_describe(s);
    CHECKF(before.partials > 0 && t.segments == 0, "%llu partials, %zu segments", (unsigned long long)before.partials, t.segments);
    CHECK(qwen_stream_finish(s, &err) == QWEN_OK && drain(s, &t, NULL, &err) == QWEN_AGAIN && t.segments == 1);
    const qwen_stream_stats after = qwen_stream_describe(s);
    CHECKF(after.frames == before.frames && after.prompt_rows == before.prompt_rows, "%llu frames were left", (unsigned long long)(after.frames - before.frames));
    qwen_stream_close(s);
    free(pcm);
}

static void without_a_segmenter_the_audio_is_one_segment(const qwen_model *m) {
    size_t n = 0;
    float *pcm = speech_babble(12, 12, 900, 5, &n);
    static transcript t;
    qwen_error err = {0};
    qwen_stream_params p = qwen_stream_params_default();
    p.no_segmenter = 1;
    CHECKF(run(m, &p, pcm, n, 4000, &t, &err) == QWEN_OK, "%s", err.msg);
    CHECK(t.segments == 1 && strncmp(t.log, "0-192000 cut 2", 14) == 0);
    CHECK(t.stats.audio_tokens == 156 && t.stats.samples_done == n && t.stats.samples_fed == n);
    p.max_audio_s = 11.9f;
    CHECK(run(m, &p, pcm, n, 4000, &t, &err) == QWEN_ERR_ARG && strstr(err.msg, "longer than the 11.9 s"));
    free(pcm);
}

static void short_empty_and_broken_audio_is_no_error(const qwen_model *m) {
    static transcript t;
    qwen_error err = {0};
    qwen_stream_params p = qwen_stream_params_default();
    static float nan_pcm[32000], loud[32000];
    for (size_t i = 0; i < 32000; i++) {
        nan_pcm[i] = NAN;
        loud[i] = (i / 50) % 2 ? 1e30f : -INFINITY;
    }
    for (p.no_segmenter = 0; p.no_segmenter <= 1; p.no_segmenter++) {
        const size_t lengths[] = {0, 1, 159, 160, 201, 1599, 1600, 4800};
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            CHECKF(run(m, &p, loud, lengths[i], 1000, &t, &err) == QWEN_OK, "%zu samples: %s", lengths[i], err.msg);
        CHECKF(run(m, &p, nan_pcm, 32000, 1000, &t, &err) == QWEN_OK, "%s", err.msg);
        CHECK(t.stats.samples_repaired == 32000 && t.stats.samples_clipped == 0);
        CHECKF(run(m, &p, loud, 32000, 1000, &t, &err) == QWEN_OK, "%s", err.msg);
        CHECK(t.stats.samples_repaired == 16000 && t.stats.samples_clipped == 16000);
    }
}

static void the_token_limit_is_kept_and_said(const qwen_model *m) {
    size_t n = 0;
    float *pcm = speech_clip("s7.99", &n);
    static transcript t;
    qwen_error err = {0};
    qwen_stream_params p = qwen_stream_params_default();
    p.no_segmenter = 1;
    p.max_tokens = 3;
    CHECKF(run(m, &p, pcm, n, n, &t, &err) == QWEN_OK, "%s", err.msg);
    CHECKF(strstr(t.log, "stop 1 3 tokens"), "%s", t.log);
    p.max_tokens = 0;
    CHECKF(run(m, &p, pcm, n, n, &t, &err) == QWEN_OK, "%s", err.msg);
    CHECKF(strstr(t.log, "stop 1 224 tokens") || strstr(t.log, "stop 0"), "64 + 20 * 8 tokens at most: %s", t.log);
    p.max_tokens = -1;
    CHECK(run(m, &p, pcm, n, n, &t, &err) == QWEN_ERR_ARG && strstr(err.msg, "max_tokens is -1"));
    free(pcm);
}

static void cancelling_stops_the_next_step(const qwen_model *m) {
    size_t n = 0, taken = 0;
    float *pcm = speech_clip("s8.50", &n);
    int32_t cancel = 0;
    qwen_error err = {0};
    qwen_stream_params p = qwen_stream_params_default();
    p.no_segmenter = 1;
    p.cancel = &cancel;
    for (int after = 0; after < 6; after++) {
        qwen_stream *s = NULL;
        cancel = 0;
        CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_OK);
        CHECK(qwen_stream_feed(s, pcm, n, &taken, &err) == QWEN_OK && taken == n && qwen_stream_finish(s, &err) == QWEN_OK);
        for (int i = 0; i < after; i++) CHECK(qwen_stream_step(s, &err) == QWEN_OK);
        __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
        qwen_status status = qwen_stream_step(s, &err);
        if (after == 0 && status == QWEN_OK) status = qwen_stream_step(s, &err); /* the first step computes features only */
        CHECKF(status == QWEN_ERR_CANCELLED, "after %d steps: %d", after, (int)status);
        CHECK(qwen_stream_step(s, &err) == QWEN_ERR_STATE && strstr(err.msg, "closed"));
        qwen_stream_close(s);
    }
    free(pcm);
}

static void misuse_is_told_apart(const qwen_model *m) {
    qwen_stream *s = NULL;
    qwen_error err = {0};
    size_t taken = 0;
    const float one = 0;
    qwen_stream_params p = qwen_stream_params_default();
    CHECK(qwen_stream_open(NULL, m, &p, &err) == QWEN_ERR_ARG && qwen_stream_open(&s, NULL, &p, &err) == QWEN_ERR_ARG);
    p.language = "Klingon";
    CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_ERR_ARG && strstr(err.msg, "Klingon") && strstr(err.msg, "English") && strstr(err.msg, "yue") && !s);
    p = qwen_stream_params_default();
    p.n_threads = -3;
    CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_ERR_ARG && !s);
    p = qwen_stream_params_default();
    p.no_segmenter = 1;
    p.max_audio_s = NAN;
    CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_ERR_ARG && strstr(err.msg, "max_audio_s"));
    p.max_audio_s = 30000;
    CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_ERR_ARG && strstr(err.msg, "positions"));
    CHECK(qwen_stream_open(&s, m, NULL, &err) == QWEN_OK);
    CHECK(qwen_stream_feed(s, NULL, 5, &taken, &err) == QWEN_ERR_ARG && qwen_stream_feed(s, &one, 1, NULL, &err) == QWEN_ERR_ARG);
    CHECK(qwen_stream_step(s, &err) == QWEN_AGAIN);
    CHECK(qwen_stream_finish(s, &err) == QWEN_OK && qwen_stream_finish(s, &err) == QWEN_OK);
    CHECK(qwen_stream_feed(s, &one, 1, &taken, &err) == QWEN_ERR_STATE && strstr(err.msg, "finished"));
    CHECK(qwen_stream_step(s, &err) == QWEN_AGAIN);
    qwen_event ev;
    CHECK(qwen_stream_next(s, &ev) == QWEN_AGAIN && qwen_stream_next(NULL, &ev) == QWEN_ERR_ARG);
    qwen_stream_close(s);
    qwen_stream_close(NULL);
    qwen_model_close(NULL);
}

static void memory_does_not_grow_with_the_recording(const qwen_model *m) {
    size_t n = 0, total = 0, taken = 0;
    float *pcm = speech_babble(60, 10, 800, 11, &n);
    static transcript t;
    qwen_error err = {0};
    qwen_stream *s = NULL;
    qwen_stream_params p = qwen_stream_params_default();
    memset(&t, 0, sizeof t);
    p.partial_ms = 1000;
    CHECK(qwen_stream_open(&s, m, &p, &err) == QWEN_OK);
    const long blocks = qwen_test_live_allocs();
    long asked = 0;
    while (total < n) {
        const size_t want = n - total < 1600 ? n - total : 1600;
        CHECK(qwen_stream_feed(s, pcm + total, want, &taken, &err) >= 0);
        total += taken;
        asked = qwen_test_total_allocs();
        qwen_status status;
        while ((status = qwen_stream_step(s, &err)) == QWEN_OK) { /* only reading a text asks for memory, a few blocks at a time */
            CHECKF(qwen_test_total_allocs() - asked <= 8, "%ld allocations in one step", qwen_test_total_allocs() - asked);
            take_events(s, &t, NULL);
            asked = qwen_test_total_allocs();
        }
        CHECK(status == QWEN_AGAIN);
        CHECKF(qwen_test_live_allocs() == blocks, "%ld blocks, %ld when the stream was opened", qwen_test_live_allocs(), blocks);
    }
    CHECKF(t.segments >= 3, "%zu segments", t.segments);
    qwen_stream_close(s);
    free(pcm);
}

int main(void) {
    qwen_model *m = open_model("parity/tiny-a");
    the_text_depends_neither_on_push_sizes_nor_on_threads(m);
    the_text_does_not_depend_on_partials(m);
    a_decode_in_circles_is_split_inside_its_borders(m);
    without_a_segmenter_the_audio_is_one_segment(m);
    short_empty_and_broken_audio_is_no_error(m);
    the_token_limit_is_kept_and_said(m);
    cancelling_stops_the_next_step(m);
    misuse_is_told_apart(m);
    memory_does_not_grow_with_the_recording(m);
    qwen_model_close(m);
    m = open_model("tiny-qwen3-asr");
    the_text_depends_neither_on_push_sizes_nor_on_threads(m);
    the_text_does_not_depend_on_partials(m);
    little_is_left_to_do_after_the_end(m);
    after_a_pause_nothing_is_left_to_do(m);
    qwen_model_close(m);
    CHECK(qwen_test_live_allocs() == 0);
    return check_done("stream");
}
