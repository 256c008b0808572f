/*
 * test_segment.c - speech is found whatever surrounds it, cuts follow the rules of ARCHITECTURE.md, and nothing
 * depends on how the samples come in.
 */
#include "qwen_asr_segment.h"

#include <math.h>

#include "check.h"
#include "qwen_asr_mem.h"
#include "signals.h"
#include "wav.h"

#define MAX_SEGMENTS 256

/* ---- running, and what must hold whatever the input ---- */

typedef struct cuts {
    qwen_segment list[MAX_SEGMENTS];
    size_t n;
} cuts;

static void take_ready(qwen_segmenter *s, cuts *c, uint64_t fed, uint64_t *floor_before, const qwen_segment_params *p) {
    const uint64_t max = (uint64_t)p->max_ms * 16;
    for (qwen_segment g; qwen_segmenter_next(s, &g);) {
        CHECKF(g.start >= *floor_before, "start %zu before floor %zu", (size_t)g.start, (size_t)*floor_before);
        CHECKF(g.start < g.end && g.end <= fed && g.end - g.start <= max, "[%zu, %zu) of %zu",
               (size_t)g.start, (size_t)g.end, (size_t)fed);
        CHECK(c->n == 0 || g.start >= c->list[c->n - 1].end);
        if (c->n < MAX_SEGMENTS) c->list[c->n++] = g;
    }
    const uint64_t floor = qwen_segmenter_floor(s);
    CHECK(floor >= *floor_before && floor <= fed);
    CHECKF(fed - floor <= qwen_segmenter_span(s), "%zu samples held, span %zu",
           (size_t)(fed - floor), qwen_segmenter_span(s));
    CHECKF(qwen_segmenter_room(s) >= RATE, "room %zu", qwen_segmenter_room(s));
    *floor_before = floor;
}

/* push: samples at a time, 0: as many as there is room for, -1: a random number. */
static void run_into(qwen_segmenter *s, const qwen_segment_params *p, signal x, long push, cuts *c) {
    uint64_t floor = 0;
    c->n = 0;
    for (size_t at = 0; at < x.n;) {
        const size_t room = qwen_segmenter_room(s);
        size_t take = push > 0 ? (size_t)push : push < 0 ? 1 + rng() % 5000 : room;
        take = take < room ? take : room;
        take = take < x.n - at ? take : x.n - at;
        if (!take) break;
        qwen_segmenter_feed(s, x.pcm + at, take);
        at += take;
        take_ready(s, c, at, &floor, p);
    }
    qwen_segmenter_finish(s);
    take_ready(s, c, x.n, &floor, p);
}

static cuts run_with(qwen_segment_params p, signal x, long push) {
    cuts c = {.n = 0};
    qwen_segmenter *s = NULL;
    CHECK(qwen_segmenter_open(&s, &p, NULL) == QWEN_OK);
    if (s) run_into(s, &p, x, push, &c);
    qwen_segmenter_close(s);
    return c;
}

static cuts run(signal x) { return run_with(qwen_segment_params_default(), x, 1600); }

static double start_of(const cuts *c, size_t i) { return i < c->n ? (double)c->list[i].start / RATE : -1; }
static double end_of(const cuts *c, size_t i) { return i < c->n ? (double)c->list[i].end / RATE : -1; }
static bool near(double got, double want, double by) { return fabs(got - want) <= by; }

/* The detector sees 25 ms windows smoothed over 70 ms, and the envelope of a syllable takes its time: an edge is
   known to +- 60 ms. */
#define CHECK_START(c, i, speech) CHECKF(near(start_of(&c, i), (speech) - 0.3, 0.06), "%.3f", start_of(&c, i))
#define CHECK_END(c, i, speech) CHECKF(near(end_of(&c, i), (speech) + 0.2, 0.06), "%.3f", end_of(&c, i))

/* ---- the rules ---- */

static void a_pause_closes_a_segment_that_holds_enough(void) {
    signal x = silence(18);
    speak(x, 1, 10, -20);
    speak(x, 11, 14, -20);
    add_noise(x, WHITE, 0, 18, -60);
    const cuts c = run(x);
    CHECKF(c.n == 2, "%zu segments", c.n);
    CHECK_START(c, 0, 1.0);
    CHECK_END(c, 0, 10.0);
    CHECK_START(c, 1, 11.0);
    CHECK_END(c, 1, 14.0);
    CHECK(c.list[0].cut == QWEN_CUT_PAUSE && c.list[1].cut == QWEN_CUT_PAUSE);
    free(x.pcm);
}

static void a_short_segment_stays_open_through_a_pause_but_not_through_silence(void) {
    signal x = silence(16);
    speak(x, 1, 4, -20);
    speak(x, 5.5, 8, -20);   /* after 1.5 s */
    speak(x, 10.5, 13, -20); /* after 2.5 s */
    const cuts c = run(x);
    CHECKF(c.n == 2, "%zu segments", c.n);
    CHECK_END(c, 0, 8.0);
    CHECK_START(c, 1, 10.5);
    free(x.pcm);
}

static void the_end_does_not_depend_on_how_long_the_pause_gets(void) {
    uint64_t end = 0;
    for (int i = 0; i < 4; i++) {
        rng_state = 5;
        signal x = silence(20);
        speak(x, 1, 10, -20);
        if (i < 3) speak(x, 10.8 + 0.7 * i, 14, -20);
        const cuts c = run(x);
        CHECK(c.n == (i < 3 ? 2u : 1u));
        if (i == 0) end = c.list[0].end;
        CHECK(c.n > 0 && c.list[0].end == end);
        free(x.pcm);
    }
}

static void the_audio_may_end_before_the_tail_does(void) {
    signal x = silence(5);
    speak(x, 1, 4.95, -20);
    const cuts c = run(x);
    CHECK(c.n == 1 && c.list[0].end == x.n && c.list[0].cut == QWEN_CUT_END);
    free(x.pcm);
}

static void a_long_segment_takes_the_best_of_several_pauses(void) {
    signal x = silence(34);
    const double cut[] = {1, 17.6, 17.87, 19.6, 20.05, 21.6, 21.87, 30}; /* pauses of 270, 450 and 270 ms */
    for (int i = 0; i < 8; i += 2) speak(x, cut[i], cut[i + 1], -20);
    const cuts c = run(x);
    CHECKF(c.n == 2, "%zu segments", c.n);
    CHECK_END(c, 0, 19.6);
    CHECKF(start_of(&c, 1) >= end_of(&c, 0) && start_of(&c, 1) < 20.05, "%.3f", start_of(&c, 1));
    CHECK(c.list[0].cut == QWEN_CUT_PAUSE);
    free(x.pcm);
}

static void a_short_pause_is_cut_inside(void) {
    signal x = silence(34);
    speak(x, 1, 20, -20);
    speak(x, 20.23, 31, -20); /* hears as about 200 ms; the next segment must keep the onset */
    const cuts c = run(x);
    CHECKF(c.n == 2, "%zu segments", c.n);
    CHECKF(end_of(&c, 0) > 20.0 && end_of(&c, 0) < 20.23, "%.3f", end_of(&c, 0));
    CHECKF(start_of(&c, 1) >= 20.0 && start_of(&c, 1) < 20.22, "%.3f", start_of(&c, 1));
    free(x.pcm);
}

static void speech_without_pauses_is_cut_where_it_is_quietest_and_loses_nothing(void) {
    signal x = silence(82);
    speak(x, 1, 80, -20);
    for (size_t i = (size_t)(26.0 * RATE); i < (size_t)(26.1 * RATE); i++) x.pcm[i] *= 0.05f;
    const cuts c = run(x);
    CHECKF(c.n >= 3 && c.n <= 5, "%zu segments", c.n);
    CHECKF(near(end_of(&c, 0), 26.05, 0.05), "%.3f", end_of(&c, 0));
    for (size_t i = 0; i + 1 < c.n; i++) {
        CHECK(c.list[i].cut == QWEN_CUT_LENGTH);
        CHECK(c.list[i].end == c.list[i + 1].start);
    }
    CHECK_START(c, 0, 1.0);
    CHECK_END(c, c.n - 1, 80.0);
    free(x.pcm);
}

/* The gap that a forced cut was made in belongs to the next segment even if there is no lead. */
static void a_forced_cut_loses_nothing_without_a_lead(void) {
    qwen_segment_params p = qwen_segment_params_default();
    p.lead_ms = 0;
    signal x = silence(40);
    speak(x, 1, 38, -20);
    for (size_t i = (size_t)(26.0 * RATE); i < (size_t)(26.16 * RATE); i++) x.pcm[i] = 0.0f;
    const cuts c = run_with(p, x, 1600);
    CHECKF(c.n == 2 && c.list[0].cut == QWEN_CUT_LENGTH, "%zu segments", c.n);
    CHECKF(near(end_of(&c, 0), 26.08, 0.06), "%.3f", end_of(&c, 0));
    CHECKF(c.n == 2 && c.list[0].end == c.list[1].start, "%.3f, %.3f", end_of(&c, 0), start_of(&c, 1));
    free(x.pcm);
}

/* An earlier pause beats a cut through a word when no later one came. */
static void an_earlier_pause_is_better_than_none(void) {
    signal x = silence(40);
    speak(x, 1, 12, -20);
    speak(x, 12.4, 38, -20);
    const cuts c = run(x);
    CHECKF(c.n == 2, "%zu segments", c.n);
    CHECK_END(c, 0, 12.0);
    CHECK(c.n > 0 && c.list[0].cut == QWEN_CUT_PAUSE);
    free(x.pcm);
}

/* ---- what is speech ---- */

static void silence_and_noise_alone_give_nothing(void) {
    for (int kind = WHITE; kind <= HUM; kind++)
        for (int level = -95; level <= -15; level += 10) {
            signal x = silence(12);
            add_noise(x, (noise)kind, 0, 12, level);
            const cuts c = run(x);
            CHECKF(c.n == 0, "%s at %d dBFS: %.2f - %.2f", noise_name[kind], level, start_of(&c, 0), end_of(&c, 0));
            free(x.pcm);
        }
    signal x = silence(10);
    CHECK(run(x).n == 0);
    free(x.pcm);
}

static void noise_that_grows_or_falls_by_20_db_gives_nothing(void) {
    for (int kind = WHITE; kind <= HUM; kind++)
        for (int up = 0; up < 2; up++) {
            signal x = silence(14);
            add_noise(x, (noise)kind, 0, 6, up ? -50 : -30);
            add_noise(x, (noise)kind, 6, 14, up ? -30 : -50);
            const cuts c = run(x);
            CHECKF(c.n == 0, "%s: %.2f - %.2f", noise_name[kind], start_of(&c, 0), end_of(&c, 0));
            free(x.pcm);
        }
}

static void one_click_is_no_speech(void) {
    signal x = silence(8);
    add_noise(x, WHITE, 0, 8, -65);
    for (size_t i = 0; i < 16; i++) x.pcm[64000 + i] += 0.5f;
    CHECK(run(x).n == 0);
    free(x.pcm);
}

static void speech_is_found_in_noise_and_at_any_level(void) {
    for (int kind = WHITE; kind <= HUM; kind++)
        for (int snr = 0; snr <= 20; snr += 10)
            for (int level = -45; level <= -20; level += 25) {
                signal x = silence(20);
                speak(x, 4, 7, level);
                speak(x, 12, 13, level);
                add_noise(x, (noise)kind, 0, 20, level - snr);
                const cuts c = run(x);
                CHECKF(c.n == 2, "%s, %d dB, speech at %d: %zu segments", noise_name[kind], snr, level, c.n);
                CHECKF(start_of(&c, 0) < 3.95 && start_of(&c, 0) > 3.5, "%s, %d dB: %.3f",
                       noise_name[kind], snr, start_of(&c, 0));
                CHECKF(end_of(&c, 0) > 7.0 && end_of(&c, 0) < 7.4, "%s, %d dB: %.3f",
                       noise_name[kind], snr, end_of(&c, 0));
                CHECKF(start_of(&c, 1) < 11.95 && start_of(&c, 1) > 11.5, "%s, %d dB: %.3f",
                       noise_name[kind], snr, start_of(&c, 1));
                CHECKF(end_of(&c, 1) > 13.0 && end_of(&c, 1) < 13.4, "%s, %d dB: %.3f",
                       noise_name[kind], snr, end_of(&c, 1));
                free(x.pcm);
            }
}

static void speech_is_found_after_a_jump_in_level(void) {
    for (int up = 0; up < 2; up++)
        for (int with_noise = 0; with_noise < 2; with_noise++) {
            signal x = silence(21);
            speak(x, 2, 5, up ? -40 : -20);
            speak(x, 15, 18, up ? -20 : -40);
            if (with_noise) add_noise(x, PINK, 0, 8, up ? -55 : -35);
            if (with_noise) add_noise(x, PINK, 8, 21, up ? -35 : -55);
            const cuts c = run(x);
            CHECKF(c.n == 2, "%s, noise %d: %zu segments", up ? "up" : "down", with_noise, c.n);
            CHECK_START(c, 1, 15.0);
            CHECK_END(c, 1, 18.0);
            free(x.pcm);
        }
}

static void speech_may_begin_with_the_first_sample(void) {
    for (int snr = 5; snr <= 45; snr += 20) {
        signal x = silence(9);
        speak(x, 0, 6, -25);
        add_noise(x, WHITE, 0, 9, -25 - snr);
        const cuts c = run(x);
        CHECKF(c.n == 1 && c.list[0].start == 0, "%d dB: %zu segments, %.3f", snr, c.n, start_of(&c, 0));
        CHECKF(end_of(&c, 0) > 6.0 && end_of(&c, 0) < 6.4, "%d dB: %.3f", snr, end_of(&c, 0));
        free(x.pcm);
    }
}

static void a_single_short_word_is_found(void) {
    for (int kind = WHITE; kind <= HUM; kind++) {
        signal x = silence(6);
        speak(x, 3, 3.2, -30);
        add_noise(x, (noise)kind, 0, 6, -40);
        const cuts c = run(x);
        CHECKF(c.n == 1 && start_of(&c, 0) < 3.0 && end_of(&c, 0) > 3.2, "%s: %.3f - %.3f",
               noise_name[kind], start_of(&c, 0), end_of(&c, 0));
        free(x.pcm);
    }
}

/* ---- streaming ---- */

/* Speech and pauses of many lengths, so that every kind of cut occurs. */
static signal medley(void) {
    signal x = silence(148.5);
    double t = 0.4;
    speak(x, 110, 148, -20);
    while (t < 105) {
        const double length = 1 + 9 * rng_unit();
        speak(x, t, t + length, -35 + 15 * rng_unit());
        t += length + (rng() % 3 ? 0.15 + 0.6 * rng_unit() : 1 + 2 * rng_unit());
    }
    add_noise(x, PINK, 0, 60, -60);
    add_noise(x, PINK, 60, 148.5, -50);
    return x;
}

static bool same(const cuts *a, const cuts *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->list[i].start != b->list[i].start || a->list[i].end != b->list[i].end ||
            a->list[i].cut != b->list[i].cut)
            return false;
    return true;
}

static void cuts_do_not_depend_on_push_sizes(void) {
    static const long pushes[] = {0, 1, 159, 160, 161, 1600, 16000, -1, -1, -1};
    rng_state = 4242;
    signal x = medley();
    const cuts want = run(x);
    size_t kinds = 0;
    for (size_t i = 0; i < want.n; i++) kinds |= 1u << want.list[i].cut;
    CHECKF(want.n >= 8 && kinds == 7, "%zu segments, kinds of cut %zx", want.n, kinds);
    for (size_t i = 0; i < sizeof pushes / sizeof *pushes; i++) {
        const cuts c = run_with(qwen_segment_params_default(), x, pushes[i]);
        CHECKF(same(&c, &want), "pushes of %ld: %zu segments, not %zu", pushes[i], c.n, want.n);
    }
    /* A reset segmenter is a new one, also when it was in the middle of something. */
    const qwen_segment_params p = qwen_segment_params_default();
    qwen_segmenter *s = NULL;
    CHECK(qwen_segmenter_open(&s, NULL, NULL) == QWEN_OK);
    if (s) {
        qwen_segmenter_feed(s, x.pcm + 5 * RATE, 100000);
        qwen_segmenter_reset(s);
        cuts c;
        run_into(s, &p, x, 777, &c);
        CHECK(same(&c, &want));
    }
    qwen_segmenter_close(s);
    free(x.pcm);
}

/* Segments that nobody takes hold the input up; nothing is lost or cut otherwise. */
static void a_slow_reader_gets_the_same_segments(void) {
    rng_state = 77;
    signal x = medley();
    const cuts want = run(x);
    cuts c = {.n = 0};
    qwen_segmenter *s = NULL;
    CHECK(qwen_segmenter_open(&s, NULL, NULL) == QWEN_OK);
    size_t at = 0;
    while (s && at < x.n) {
        size_t take = qwen_segmenter_room(s);
        take = take < x.n - at ? take : x.n - at;
        qwen_segmenter_feed(s, x.pcm + at, take);
        at += take;
        if (take == 0 && !qwen_segmenter_next(s, &c.list[c.n++])) break;
        if (c.n == MAX_SEGMENTS) break;
    }
    CHECK(at == x.n);
    if (s) qwen_segmenter_finish(s);
    while (s && c.n < MAX_SEGMENTS && qwen_segmenter_next(s, &c.list[c.n])) c.n++;
    CHECKF(same(&c, &want), "%zu segments, not %zu", c.n, want.n);
    qwen_segmenter_close(s);
    free(x.pcm);
}

/* What a pause shows of the open segment is, from the tail's length on, what the pause then closes with. */
static void the_open_segment_is_the_final_one_before_the_pause_is_over(void) {
    signal x = silence(16);
    speak(x, 1, 10, -20);
    add_noise(x, WHITE, 0, 16, -60);
    const cuts want = run(x);
    CHECK(want.n == 1);
    qwen_segmenter *s = NULL;
    qwen_segment g, last = {0};
    uint64_t paused = 0, before = 0;
    size_t seen = 0;
    CHECK(qwen_segmenter_open(&s, NULL, NULL) == QWEN_OK);
    for (size_t at = 0; s && at < x.n; at += 160) {
        qwen_segmenter_feed(s, x.pcm + at, 160);
        if (!qwen_segmenter_open_segment(s, &g, &paused)) {
            CHECKF(at < RATE + RATE / 2 || at > 10 * RATE + RATE / 2, "none open at %.2f s", (double)at / RATE);
            continue;
        }
        CHECK(g.start == want.list[0].start && g.end <= at + 160 && g.end >= before);
        before = g.end;
        if (paused < 250 * 16 || at < 10 * RATE) continue;
        CHECKF(g.end == want.list[0].end, "ends at %.3f, not %.3f", (double)g.end / RATE, end_of(&want, 0));
        last = g;
        seen++;
    }
    CHECKF(seen >= 20 && last.start == want.list[0].start, "%zu times", seen);
    qwen_segmenter_close(s);
    free(x.pcm);
}

static void without_speech_the_floor_keeps_moving(void) {
    signal x = silence(600);
    add_noise(x, WHITE, 200, 400, -50);
    const qwen_segment_params p = qwen_segment_params_default();
    qwen_segmenter *s = NULL;
    CHECK(qwen_segmenter_open(&s, NULL, NULL) == QWEN_OK);
    const long allocs = qwen_test_total_allocs();
    uint64_t floor = 0;
    cuts c = {.n = 0};
    for (size_t at = 0; s && at < x.n; at += 1600) {
        qwen_segmenter_feed(s, x.pcm + at, 1600);
        take_ready(s, &c, at + 1600, &floor, &p);
        /* A background that grew counts as speech until 3 s later it is found to be background, and 2 s of silence
           close that. */
        if (at > 2 * RATE)
            CHECKF(at - floor <= 6 * RATE, "at %.1f s the floor is at %.1f s", (double)at / RATE, (double)floor / RATE);
    }
    CHECK(c.n == 0);
    CHECK(qwen_test_total_allocs() == allocs);
    qwen_segmenter_close(s);
    free(x.pcm);
}

/* ---- worst inputs ---- */

static void any_length_and_any_value_is_survived(void) {
    signal x = silence(3);
    for (size_t n = 0; n <= 1000; n += n < 500 ? 37 : 160) CHECK(run((signal){x.pcm, n}).n == 0);
    static const float wild[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f, 0.0f, 1.0f};
    for (size_t i = 0; i < x.n; i++) x.pcm[i] = wild[rng() % 8];
    (void)run(x);
    /* And it recovers: speech after it is found. */
    signal y = silence(14);
    speak(y, 8, 10, -20);
    for (size_t i = RATE; i < 2 * RATE; i++) y.pcm[i] = wild[rng() % 8];
    const cuts c = run(y);
    CHECKF(c.n >= 1 && end_of(&c, c.n - 1) > 10.0 && start_of(&c, c.n - 1) < 8.0, "%zu segments", c.n);
    free(x.pcm);
    free(y.pcm);
}

static void other_parameters_keep_the_promises(void) {
    rng_state = 31337;
    signal x = medley();
    x.n = 45 * RATE;
    for (int round = 0; round < 20; round++) {
        qwen_segment_params p;
        p.max_ms = 2000 + rng() % 30000;
        p.eager_after_ms = rng() % p.max_ms;
        p.close_after_ms = rng() % (p.eager_after_ms + 1);
        p.min_pause_ms = 20 + rng() % 300;
        p.close_pause_ms = 60 + p.min_pause_ms + rng() % 500;
        p.silence_ms = p.close_pause_ms + rng() % 3000;
        p.tail_ms = rng() % (p.close_pause_ms - 50 + 1);
        p.lead_ms = rng() % 1000;
        qwen_error err = {0};
        qwen_segmenter *s = NULL;
        const qwen_status st = qwen_segmenter_open(&s, &p, &err);
        if (st != QWEN_OK) { /* lead and tail too long for the longest segment */
            CHECK(st == QWEN_ERR_ARG && err.msg[0] && !s);
            continue;
        }
        qwen_segmenter_close(s);
        const cuts a = run_with(p, x, 1600), b = run_with(p, x, 0), c = run_with(p, x, -1);
        CHECKF(same(&a, &b) && same(&a, &c), "round %d", round);
        CHECK(a.n > 0);
    }
    free(x.pcm);
}

static void bad_parameters_are_named(void) {
    qwen_segmenter *s = NULL;
    qwen_error err = {0};
#define REFUSED(field, value, word)                                                              \
    do {                                                                                         \
        qwen_segment_params p = qwen_segment_params_default();                                   \
        p.field = value;                                                                         \
        CHECK(qwen_segmenter_open(&s, &p, &err) == QWEN_ERR_ARG && !s && strstr(err.msg, word)); \
    } while (0)
    REFUSED(max_ms, 1999, "1999");
    REFUSED(max_ms, 0xFFFFFFFFu, "4294967295");
    REFUSED(max_ms, 16000, "16000");
    REFUSED(eager_after_ms, 7999, "7999");
    REFUSED(close_pause_ms, 100, "100");
    REFUSED(min_pause_ms, 0, "0");
    REFUSED(silence_ms, 70000, "70000");
    REFUSED(tail_ms, 451, "451");
    REFUSED(lead_ms, 13801, "13801");
    REFUSED(lead_ms, 0xFFFFFFFFu, "4294967295");
#undef REFUSED
}

static void running_out_of_memory_is_an_error(void) {
    const long before = qwen_test_live_allocs();
    for (long n = 1;; n++) {
        qwen_segmenter *s = NULL;
        qwen_error err = {0};
        qwen_test_fail_alloc(n);
        const qwen_status st = qwen_segmenter_open(&s, NULL, &err);
        const int failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECK(failed ? st == QWEN_ERR_NOMEM && !s && err.msg[0] : st == QWEN_OK);
        qwen_segmenter_close(s);
        CHECK(qwen_test_live_allocs() == before);
        if (!failed || n > 100) break;
    }
}

/* The parity clips are random chirps, not speech, but they must be kept whole: nothing in them is a pause at their
   edges. */
static void the_parity_clips_are_kept(void) {
    static const char *const names[] = {"s0.30", "s1.01", "s8.50", "silence1.5"};
    for (size_t i = 0; i < 4; i++) {
        char path[1024];
        size_t n = 0;
        snprintf(path, sizeof path, "%s/parity/audio/%s.wav", check_data(), names[i]);
        float *pcm = wav_read(path, &n, NULL);
        CHECKF(pcm != NULL, "%s", path);
        if (!pcm) continue;
        const cuts c = run((signal){pcm, n});
        CHECKF(c.n == (i < 3 ? 1u : 0u), "%s: %zu segments", names[i], c.n);
        if (i < 3 && c.n)
            CHECKF(c.list[0].start == 0 && c.list[0].end == n, "%s: [%zu, %zu)", names[i], (size_t)c.list[0].start,
                   (size_t)c.list[0].end);
        free(pcm);
    }
}

int main(void) {
    rng_state = 2024;
    a_pause_closes_a_segment_that_holds_enough();
    a_short_segment_stays_open_through_a_pause_but_not_through_silence();
    the_end_does_not_depend_on_how_long_the_pause_gets();
    the_audio_may_end_before_the_tail_does();
    a_long_segment_takes_the_best_of_several_pauses();
    a_short_pause_is_cut_inside();
    speech_without_pauses_is_cut_where_it_is_quietest_and_loses_nothing();
    a_forced_cut_loses_nothing_without_a_lead();
    an_earlier_pause_is_better_than_none();
    silence_and_noise_alone_give_nothing();
    noise_that_grows_or_falls_by_20_db_gives_nothing();
    one_click_is_no_speech();
    speech_is_found_in_noise_and_at_any_level();
    speech_is_found_after_a_jump_in_level();
    speech_may_begin_with_the_first_sample();
    a_single_short_word_is_found();
    cuts_do_not_depend_on_push_sizes();
    a_slow_reader_gets_the_same_segments();
    the_open_segment_is_the_final_one_before_the_pause_is_over();
    without_speech_the_floor_keeps_moving();
    any_length_and_any_value_is_survived();
    other_parameters_keep_the_promises();
    bad_parameters_are_named();
    running_out_of_memory_is_an_error();
    the_parity_clips_are_kept();
    return check_done("segment");
}
