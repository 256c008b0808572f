/*
 * test_live.c - live audio: what goes in comes out once and in order, whatever the sizes and the timing; a full buffer refuses and says
 * so; waiting ends with samples, with the end or in time; the text of a live recording is that of the recording.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "qwen_asr_mem.h"
#include "speech.h"

#define MAX_BLOCK 4096

static void sleep_us(long us) {
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sample i of the test signal; distinct for 16 million samples, so a lost or repeated one shows. */
static float sample(uint64_t i) { return (float)(i % (1u << 24)); }

static qwen_live_audio *new_live(size_t max_samples) {
    qwen_live_audio *live = NULL;
    qwen_error err = {0};
    CHECKF(qwen_live_audio_new(&live, max_samples, &err) == QWEN_OK && live, "%s", err.msg);
    if (!live) exit(check_done("live"));
    return live;
}

/* ---- one thread --------------------------------------------------------------------------------------------------- */

static void samples_come_out_once_and_in_order(void) {
    float block[64];
    for (size_t capacity = 1; capacity <= 17; capacity++) {
        qwen_live_audio *live = new_live(capacity);
        uint64_t in = 0, out = 0, refused = 0;
        uint32_t seed = (uint32_t)capacity;
        size_t wrong = 0;
        for (int round = 0; round < 5000; round++) {
            size_t n = speech_random(&seed) % 24, taken = 99;
            for (size_t i = 0; i < n; i++) block[i] = sample(in + i);
            const size_t fits = capacity - (size_t)(in - out) < n ? capacity - (size_t)(in - out) : n;
            wrong += qwen_live_audio_push(live, block, n, &taken) != (fits < n ? QWEN_AGAIN : QWEN_OK) || taken != fits;
            in += taken;
            refused += n - taken;

            const size_t room = 1 + speech_random(&seed) % 24, there = (size_t)(in - out);
            const qwen_status status = qwen_live_audio_pull(live, block, room, 0, &n);
            wrong += status != (there ? QWEN_OK : QWEN_AGAIN) || n != (there < room ? there : room);
            for (size_t i = 0; i < n; i++) wrong += block[i] != sample(out + i);
            out += n;
        }
        const qwen_live_audio_stats s = qwen_live_audio_describe(live);
        CHECKF(wrong == 0, "capacity %zu: %zu wrong answers", capacity, wrong);
        CHECK(s.pushed == in && s.pulled == out && s.refused == refused && s.level == in - out && !s.ended);
        qwen_live_audio_free(live);
    }
}

static void the_default_is_a_minute(void) {
    static const float second[QWEN_SAMPLE_RATE];
    qwen_live_audio *live = new_live(0);
    size_t taken = 0;
    for (int i = 0; i < 60; i++) CHECK(qwen_live_audio_push(live, second, QWEN_SAMPLE_RATE, &taken) == QWEN_OK && taken == QWEN_SAMPLE_RATE);
    CHECK(qwen_live_audio_push(live, second, 1, &taken) == QWEN_AGAIN && taken == 0);
    CHECK(qwen_live_audio_describe(live).level == 960000 && qwen_live_audio_describe(live).refused == 1);
    qwen_live_audio_free(live);
}

static void the_end_comes_after_the_last_sample(void) {
    const float in[3] = {1, 2, 3};
    float out[2];
    size_t n = 9;
    qwen_live_audio *live = new_live(8);
    CHECK(qwen_live_audio_push(live, in, 3, &n) == QWEN_OK && n == 3);
    qwen_live_audio_end(live);
    qwen_live_audio_end(live);
    CHECK(qwen_live_audio_push(live, in, 3, &n) == QWEN_ERR_STATE && n == 0);
    CHECK(qwen_live_audio_pull(live, out, 2, 0, &n) == QWEN_OK && n == 2 && out[1] == 2);
    CHECK(qwen_live_audio_pull(live, out, 2, -1, &n) == QWEN_OK && n == 1 && out[0] == 3);
    for (int32_t timeout = -1; timeout <= 1; timeout++) {
        n = 9;
        CHECK(qwen_live_audio_pull(live, out, 2, timeout, &n) == QWEN_OK && n == 0);
    }
    const qwen_live_audio_stats s = qwen_live_audio_describe(live);
    CHECK(s.ended && s.pushed == 3 && s.pulled == 3 && s.refused == 3 && s.level == 0);
    qwen_live_audio_free(live);
}

static void misuse_is_answered(const qwen_model *m) {
    float pcm[1] = {0};
    size_t n = 9;
    char *text = (char *)pcm; /* anything but NULL, to see it reset */
    qwen_error err = {0};
    qwen_live_audio *live = NULL;
    CHECK(qwen_live_audio_new(NULL, 1, &err) == QWEN_ERR_ARG && strstr(err.msg, "out is NULL"));
    CHECK(qwen_live_audio_new(&live, SIZE_MAX, &err) == QWEN_ERR_NOMEM && !live && strstr(err.msg, "18446744073709551615 samples"));
    live = new_live(4);
    CHECK(qwen_live_audio_push(NULL, pcm, 1, &n) == QWEN_ERR_ARG && n == 0);
    CHECK(qwen_live_audio_push(live, NULL, 1, &n) == QWEN_ERR_ARG && qwen_live_audio_push(live, pcm, 1, NULL) == QWEN_ERR_ARG);
    CHECK(qwen_live_audio_push(live, NULL, 0, &n) == QWEN_OK && n == 0);
    n = 9;
    CHECK(qwen_live_audio_pull(NULL, pcm, 1, 0, &n) == QWEN_ERR_ARG && n == 0);
    CHECK(qwen_live_audio_pull(live, NULL, 1, 0, &n) == QWEN_ERR_ARG && qwen_live_audio_pull(live, pcm, 1, 0, NULL) == QWEN_ERR_ARG);
    CHECK(qwen_live_audio_pull(live, pcm, 0, -1, &n) == QWEN_ERR_ARG); /* no room could be taken for the end */
    CHECK(qwen_live_audio_describe(NULL).pushed == 0 && qwen_live_audio_describe(live).pushed == 0);
    CHECK(qwen_transcribe_stream_live(NULL, m, NULL, live, &err) == QWEN_ERR_ARG && strstr(err.msg, "text is NULL"));
    CHECK(qwen_transcribe_stream_live(&text, m, NULL, NULL, &err) == QWEN_ERR_ARG && !text && strstr(err.msg, "live is NULL"));
    CHECK(qwen_transcribe_stream_live(&text, NULL, NULL, live, &err) == QWEN_ERR_ARG && strstr(err.msg, "model is NULL"));
    qwen_live_audio_end(NULL);
    qwen_live_audio_free(NULL);
    qwen_live_audio_free(live);
}

static void out_of_memory_is_survived(void) {
    for (long n = 1;; n++) {
        qwen_live_audio *live = NULL;
        qwen_error err = {0};
        const long before = qwen_test_live_allocs();
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_live_audio_new(&live, 100, &err);
        const int hit = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        qwen_live_audio_free(live);
        CHECK(qwen_test_live_allocs() == before);
        CHECK(hit ? s == QWEN_ERR_NOMEM && !live && strstr(err.msg, "100 samples") : s == QWEN_OK);
        if (hit) continue;
        CHECK(n == 3);
        break;
    }
}

static void using_it_allocates_nothing(void) {
    float block[100] = {0};
    size_t n = 0;
    qwen_live_audio *live = new_live(150);
    const long before = qwen_test_total_allocs();
    for (int i = 0; i < 100; i++) {
        CHECK(qwen_live_audio_push(live, block, 100, &n) == QWEN_OK);
        CHECK(qwen_live_audio_pull(live, block, 100, 0, &n) == QWEN_OK && n == 100);
    }
    CHECK(qwen_test_total_allocs() == before);
    qwen_live_audio_free(live);
}

/* ---- two threads and more ----------------------------------------------------------------------------------------- */

/* Pushes pcm [n], or the test signal if it is NULL, in random sizes up to max_block, and again what was refused; then ends. */
typedef struct writer {
    qwen_live_audio *live;
    const float *pcm;
    size_t n, max_block;
    uint32_t seed;
    long rest_us; /* at most, after each push; 0: never */
    uint64_t refused;
    int bad;
} writer;

static void *write_all(void *arg) {
    writer *w = arg;
    float block[MAX_BLOCK];
    for (size_t at = 0; at < w->n;) {
        size_t want = 1 + speech_random(&w->seed) % w->max_block, taken = 0;
        if (want > w->n - at) want = w->n - at;
        for (size_t i = 0; i < want; i++) block[i] = w->pcm ? w->pcm[at + i] : sample(at + i);
        const qwen_status status = qwen_live_audio_push(w->live, block, want, &taken);
        if (status != (taken < want ? QWEN_AGAIN : QWEN_OK)) w->bad++;
        at += taken;
        w->refused += want - taken;
        if (taken < want) sleep_us(50);
        else if (w->rest_us) sleep_us((long)speech_random(&w->seed) % w->rest_us);
    }
    qwen_live_audio_end(w->live);
    return NULL;
}

typedef struct observer {
    qwen_live_audio *live;
    atomic_int stop;
    size_t looks, bad;
} observer;

static void *observe(void *arg) {
    observer *o = arg;
    while (!atomic_load(&o->stop)) {
        const qwen_live_audio_stats s = qwen_live_audio_describe(o->live);
        o->bad += s.pushed != s.pulled + s.level;
        o->looks++;
        sleep_us(100);
    }
    return NULL;
}

static void two_threads_lose_and_repeat_nothing(size_t capacity, size_t total, size_t max_block, size_t room, long rest_us) {
    qwen_live_audio *live = new_live(capacity);
    writer w = {.live = live, .n = total, .max_block = max_block, .seed = (uint32_t)capacity, .rest_us = rest_us};
    observer o = {.live = live};
    pthread_t write_thread, observe_thread;
    if (pthread_create(&write_thread, NULL, write_all, &w) || pthread_create(&observe_thread, NULL, observe, &o)) exit(2);
    float block[MAX_BLOCK];
    uint64_t at = 0;
    size_t wrong = 0, late = 0;
    uint32_t seed = 99;
    for (;;) {
        size_t n = 0;
        const int32_t timeout = (int32_t)(speech_random(&seed) % 3) * 500 - 500; /* without limit, none, 500 ms */
        const qwen_status status = qwen_live_audio_pull(live, block, 1 + speech_random(&seed) % room, timeout, &n);
        if (status == QWEN_AGAIN) {
            wrong += n != 0 || timeout < 0;
            late += timeout > 0;
            continue;
        }
        wrong += status != QWEN_OK;
        if (n == 0) break;
        for (size_t i = 0; i < n; i++) wrong += block[i] != sample(at + i);
        at += n;
    }
    pthread_join(write_thread, NULL);
    atomic_store(&o.stop, 1);
    pthread_join(observe_thread, NULL);
    const qwen_live_audio_stats s = qwen_live_audio_describe(live);
    CHECKF(wrong == 0 && at == total, "capacity %zu: %zu wrong, %llu of %zu samples", capacity, wrong, (unsigned long long)at, total);
    CHECK(w.bad == 0 && o.bad == 0 && o.looks > 0);
    CHECK(s.pushed == total && s.pulled == total && s.refused == w.refused && s.level == 0 && s.ended);
    if (late) printf("  capacity %zu: %zu waits of 500 ms without a sample: a busy machine\n", capacity, late);
    qwen_live_audio_free(live);
}

typedef struct reader {
    qwen_live_audio *live;
    qwen_status status;
    size_t n;
    float got;
    double waited_s;
} reader;

static void *read_once(void *arg) {
    reader *r = arg;
    const double began = seconds();
    r->status = qwen_live_audio_pull(r->live, &r->got, 1, -1, &r->n);
    r->waited_s = seconds() - began;
    return NULL;
}

static void a_waiting_reader_is_woken(bool by_end) {
    qwen_live_audio *live = new_live(4);
    reader r = {.live = live};
    pthread_t thread;
    const float one = 7;
    size_t n = 0;
    if (pthread_create(&thread, NULL, read_once, &r)) exit(2);
    sleep_us(30000);
    if (by_end) qwen_live_audio_end(live);
    else CHECK(qwen_live_audio_push(live, &one, 1, &n) == QWEN_OK);
    pthread_join(thread, NULL);
    CHECK(r.status == QWEN_OK && r.n == (by_end ? 0u : 1u) && (by_end || r.got == 7));
    CHECKF(r.waited_s < 5, "it waited %.3f s", r.waited_s);
    qwen_live_audio_free(live);
}

static void waiting_ends_in_time(void) {
    qwen_live_audio *live = new_live(4);
    float out[4];
    size_t n = 9;
    double began = seconds();
    CHECK(qwen_live_audio_pull(live, out, 4, 60, &n) == QWEN_AGAIN && n == 0);
    const double waited = seconds() - began;
    CHECKF(waited >= 0.06 && waited < 5, "60 ms took %.4f s", waited);
    began = seconds();
    for (int i = 0; i < 100; i++) CHECK(qwen_live_audio_pull(live, out, 4, 0, &n) == QWEN_AGAIN);
    CHECK(seconds() - began < 1);
    qwen_live_audio_free(live);
}

/* ---- text --------------------------------------------------------------------------------------------------------- */

static qwen_model *open_model(const char *name) {
    char path[1024];
    qwen_model *m = NULL;
    qwen_error err = {0};
    if (snprintf(path, sizeof path, "%s/%s", check_data(), name) >= (int)sizeof path) exit(2);
    CHECKF(qwen_model_open(&m, path, NULL, &err) == QWEN_OK, "%s", err.msg);
    if (!m) exit(check_done("live"));
    return m;
}

static void live_text_is_the_text(const qwen_model *m, const float *pcm, size_t n, const qwen_stream_params *params) {
    static const struct {
        size_t capacity, max_block;
        long rest_us;
        int32_t partial_ms;
    } cases[] = {{0, MAX_BLOCK, 0, 0}, {1000, 700, 0, 0}, {0, 1600, 5000, 1000}};
    qwen_stream_params p = *params;
    qwen_error err = {0};
    char *want = NULL;
    CHECKF(qwen_transcribe_audio(&want, m, params, pcm, n, &err) == QWEN_OK && want, "%s", err.msg);
    for (size_t i = 0; want && i < sizeof cases / sizeof *cases; i++) {
        qwen_live_audio *live = new_live(cases[i].capacity);
        writer w = {.live = live, .pcm = pcm, .n = n, .max_block = cases[i].max_block, .seed = 5, .rest_us = cases[i].rest_us};
        pthread_t thread;
        char *got = NULL;
        p.partial_ms = cases[i].partial_ms;
        if (pthread_create(&thread, NULL, write_all, &w)) exit(2);
        const qwen_status status = qwen_transcribe_stream_live(&got, m, &p, live, &err);
        pthread_join(thread, NULL);
        CHECKF(status == QWEN_OK && got, "case %zu: %s", i, err.msg);
        CHECKF(got && strcmp(got, want) == 0, "case %zu: \"%s\" live, \"%s\" at once", i, got ? got : "-", want);
        CHECK(qwen_live_audio_describe(live).pulled == n && w.bad == 0);
        if (cases[i].capacity) CHECK(w.refused > 0); /* the writer was faster, and still nothing is missing */
        qwen_text_free(got);
        qwen_live_audio_free(live);
    }
    qwen_text_free(want);
}

static void live_text_is_the_text_for_babble_and_speech(const qwen_model *m) {
    size_t n = 0;
    qwen_stream_params p = qwen_stream_params_default();
    p.n_threads = 2;
    float *pcm = speech_babble(22, 12, 700, 3, &n);
    live_text_is_the_text(m, pcm, n, &p);
    free(pcm);

    qwen_model *trained = open_model("tiny-qwen3-asr");
    pcm = speech_clip("s8.50", &n);
    live_text_is_the_text(trained, pcm, n, &p);
    free(pcm);
    qwen_model_close(trained);

    char *text = NULL;
    qwen_error err = {0};
    qwen_live_audio *live = new_live(0);
    qwen_live_audio_end(live);
    CHECK(qwen_transcribe_stream_live(&text, m, NULL, live, &err) == QWEN_OK && text && *text == '\0');
    qwen_text_free(text);
    qwen_live_audio_free(live);
}

typedef struct call {
    const qwen_model *model;
    qwen_stream_params params;
    qwen_live_audio *live;
    qwen_status status;
    char *text;
    qwen_error err;
} call;

static void *transcribe(void *arg) {
    call *c = arg;
    c->status = qwen_transcribe_stream_live(&c->text, c->model, &c->params, c->live, &c->err);
    return NULL;
}

static void cancel_ends_it_while_no_audio_comes(const qwen_model *m) {
    static int32_t cancel;
    call c = {.model = m, .params = qwen_stream_params_default(), .live = new_live(0)};
    c.params.cancel = &cancel;
    pthread_t thread;
    if (pthread_create(&thread, NULL, transcribe, &c)) exit(2);
    sleep_us(100000);
    const double began = seconds();
    __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    CHECKF(seconds() - began < 2, "%.3f s after the cancel", seconds() - began);
    CHECK(c.status == QWEN_ERR_CANCELLED && !c.text && strstr(c.err.msg, "cancelled"));
    qwen_live_audio_free(c.live);
}

static void transcribing_survives_short_memory(const qwen_model *m, const float *pcm, size_t n_pcm) {
    const long before = qwen_test_live_allocs();
    qwen_stream_params p = qwen_stream_params_default();
    p.no_segmenter = 1;
    p.max_audio_s = 2;
    p.max_tokens = 6;
    p.n_threads = 1;
    for (long n = 1; check_failed < 20; n++) {
        qwen_live_audio *live = new_live(0);
        size_t taken = 0;
        char *text = NULL;
        qwen_error err = {0};
        CHECK(qwen_live_audio_push(live, pcm, n_pcm, &taken) == QWEN_OK);
        qwen_live_audio_end(live);
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_transcribe_stream_live(&text, m, &p, live, &err);
        const int hit = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECKF(hit ? s == QWEN_ERR_NOMEM && !text : s == QWEN_OK && text, "allocation %ld: %d, %s", n, (int)s, err.msg);
        qwen_text_free(text);
        qwen_live_audio_free(live);
        CHECK(qwen_test_live_allocs() == before);
        if (!hit) {
            CHECK(n > 5);
            break;
        }
    }
}

int main(void) {
    alarm(900); /* a wake-up that never comes is a failure, not a wait */
    qwen_model *m = open_model("parity/tiny-b");
    samples_come_out_once_and_in_order();
    the_default_is_a_minute();
    the_end_comes_after_the_last_sample();
    misuse_is_answered(m);
    out_of_memory_is_survived();
    using_it_allocates_nothing();

    two_threads_lose_and_repeat_nothing(1, 20000, 3, 3, 0);
    two_threads_lose_and_repeat_nothing(997, 1000000, 700, 900, 0);
    two_threads_lose_and_repeat_nothing(5000, 2000000, MAX_BLOCK, MAX_BLOCK, 0);
    two_threads_lose_and_repeat_nothing(100000, 300000, 600, MAX_BLOCK, 500); /* the reader waits */
    a_waiting_reader_is_woken(true);
    a_waiting_reader_is_woken(false);
    waiting_ends_in_time();

    live_text_is_the_text_for_babble_and_speech(m);
    cancel_ends_it_while_no_audio_comes(m);
    size_t n = 0;
    float *pcm = speech_clip("s1.01", &n);
    transcribing_survives_short_memory(m, pcm, n);
    free(pcm);
    qwen_model_close(m);
    CHECK(qwen_test_live_allocs() == 0);
    return check_done("live");
}
