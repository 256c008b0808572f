/*
 * qwen_asr_live.c - the buffer between the thread that captures and the thread that transcribes. Rank 7.
 *
 * A ring under one lock. Apart from the stream because capture must go on while a step computes, and because the lock stays on this side
 * of the interface: callers in other languages see a pointer, never a layout. What does not fit is refused, not waited for.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"
#include "qwen_asr_status.h"

#define DEFAULT_SAMPLES (60u * QWEN_SAMPLE_RATE)
#define NS_PER_S 1000000000
#define NS_PER_MS 1000000

struct qwen_live_audio {
    pthread_mutex_t lock; /* of everything below but ring and capacity, which stay; of the samples in the ring, too */
    pthread_cond_t news;  /* samples came, or the end */
    float *ring;          /* [capacity] */
    size_t capacity;
    size_t first, level; /* the oldest sample and how many there are; they may go round the end of the ring */
    bool ended;
    uint64_t pushed, pulled, refused;
};

/* Waits are measured with the clock that nobody sets. */
static int init_news(pthread_cond_t *news) {
#if defined(__APPLE__)
    return pthread_cond_init(news, NULL);
#else
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    if (rc) return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!rc) rc = pthread_cond_init(news, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* One wait, which may end early. False: the deadline has passed. */
static bool wait_news(qwen_live_audio *a, int64_t deadline_ns) {
#if defined(__APPLE__)
    const int64_t left = deadline_ns - now_ns();
    if (left <= 0) return false;
    const struct timespec t = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
    return pthread_cond_timedwait_relative_np(&a->news, &a->lock, &t) == 0;
#else
    const struct timespec t = {(time_t)(deadline_ns / NS_PER_S), (long)(deadline_ns % NS_PER_S)};
    return pthread_cond_timedwait(&a->news, &a->lock, &t) == 0;
#endif
}

qwen_status qwen_live_audio_new(qwen_live_audio **out, size_t max_samples, qwen_error *err) {
    if (!out) return qwen_fail(err, QWEN_ERR_ARG, "qwen_live_audio_new: out is NULL");
    *out = NULL;
    const size_t capacity = max_samples ? max_samples : DEFAULT_SAMPLES;
    qwen_live_audio *a = qwen_alloc_zero(1, sizeof *a);
    float *ring = qwen_alloc(capacity, sizeof *ring);
    if (!a || !ring) {
        qwen_free(ring);
        qwen_free(a);
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for a live buffer of %zu samples", capacity);
    }
    a->ring = ring;
    a->capacity = capacity;
    bool ready = pthread_mutex_init(&a->lock, NULL) == 0;
    if (ready && init_news(&a->news) != 0) {
        pthread_mutex_destroy(&a->lock);
        ready = false;
    }
    if (!ready) {
        qwen_free(ring);
        qwen_free(a);
        return qwen_fail(err, QWEN_ERR_NOMEM, "the system gave no lock for a live buffer");
    }
    *out = a;
    return QWEN_OK;
}

void qwen_live_audio_free(qwen_live_audio *live) {
    if (!live) return;
    pthread_cond_destroy(&live->news);
    pthread_mutex_destroy(&live->lock);
    qwen_free(live->ring);
    qwen_free(live);
}

/* n <= capacity - level. Sums of two places cannot overflow: the ring they lie in exists. */
static void put(qwen_live_audio *a, const float *pcm, size_t n) {
    const size_t at = (a->first + a->level) % a->capacity;
    const size_t lead = qwen_min_size(n, a->capacity - at);
    memcpy(a->ring + at, pcm, lead * sizeof *pcm);
    if (n > lead) memcpy(a->ring, pcm + lead, (n - lead) * sizeof *pcm);
    a->level += n;
    a->pushed += n;
}

/* n <= level. */
static void take(qwen_live_audio *a, float *out, size_t n) {
    const size_t lead = qwen_min_size(n, a->capacity - a->first);
    memcpy(out, a->ring + a->first, lead * sizeof *out);
    if (n > lead) memcpy(out + lead, a->ring, (n - lead) * sizeof *out);
    a->level -= n;
    a->pulled += n;
    /* An emptied ring starts over at its beginning: only as much of it becomes resident as the reader was ever behind. */
    a->first = a->level ? (a->first + n) % a->capacity : 0;
}

qwen_status qwen_live_audio_push(qwen_live_audio *live, const float *pcm, size_t n, size_t *n_taken) {
    if (n_taken) *n_taken = 0;
    if (!live || !n_taken || (!pcm && n)) return QWEN_ERR_ARG;
    pthread_mutex_lock(&live->lock);
    const bool ended = live->ended;
    const size_t fits = ended ? 0 : qwen_min_size(n, live->capacity - live->level);
    if (fits) {
        put(live, pcm, fits);
        pthread_cond_signal(&live->news);
    }
    live->refused += n - fits;
    pthread_mutex_unlock(&live->lock);
    *n_taken = fits;
    return ended ? QWEN_ERR_STATE : fits < n ? QWEN_AGAIN : QWEN_OK;
}

qwen_status qwen_live_audio_pull(qwen_live_audio *live, float *out, size_t room, int32_t timeout_ms, size_t *n) {
    if (n) *n = 0;
    if (!live || !out || !n || room == 0) return QWEN_ERR_ARG;
    const int64_t deadline = timeout_ms > 0 ? now_ns() + (int64_t)timeout_ms * NS_PER_MS : 0;
    pthread_mutex_lock(&live->lock);
    bool in_time = timeout_ms != 0;
    while (live->level == 0 && !live->ended && in_time) {
        if (timeout_ms > 0) in_time = wait_news(live, deadline);
        else pthread_cond_wait(&live->news, &live->lock);
    }
    const size_t got = qwen_min_size(room, live->level);
    if (got) take(live, out, got);
    const bool ended = live->ended;
    pthread_mutex_unlock(&live->lock);
    *n = got;
    return got || ended ? QWEN_OK : QWEN_AGAIN;
}

void qwen_live_audio_end(qwen_live_audio *live) {
    if (!live) return;
    pthread_mutex_lock(&live->lock);
    live->ended = true;
    pthread_cond_broadcast(&live->news);
    pthread_mutex_unlock(&live->lock);
}

qwen_live_audio_stats qwen_live_audio_describe(qwen_live_audio *live) {
    qwen_live_audio_stats stats = {0};
    if (!live) return stats;
    pthread_mutex_lock(&live->lock);
    stats.pushed = live->pushed;
    stats.pulled = live->pulled;
    stats.refused = live->refused;
    stats.level = live->level;
    stats.ended = live->ended;
    pthread_mutex_unlock(&live->lock);
    return stats;
}
