/*
 * qwen_asr_pool.c - persistent workers that spin briefly and then park.
 *
 * One 64-bit ticket holds (run number, items left). A thread takes an item by lowering the count with a compare-and-swap that
 * also proves that the run it read fn and arg of is still the current one: the next run starts only when every item of this one is done.
 * So the caller never waits for a worker that took nothing, e.g. one the system has not scheduled.
 */
#include "qwen_asr_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "qwen_asr_kernels.h"
#include "qwen_asr_mem.h"

/* About 20-50 us of waiting for the next run before parking: longer than the gap between two ops of a decode step, far shorter than
 * the gap between two blocks of audio. */
#define SPIN_ROUNDS 1500
#define MAX_THREADS 256
#define DEFAULT_MAX_THREADS 8

typedef struct worker {
    struct qwen_pool *pool;
    size_t index;
    pthread_t thread;
} worker;

struct qwen_pool {
    _Atomic uint64_t ticket; /* run << 32 | items left */
    _Atomic size_t n_items, done; /* of this run; done: finished */
    _Atomic(qwen_task_fn *) fn;
    _Atomic(void *) arg;
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* parked workers */
    pthread_cond_t finished; /* the caller, when it gave up spinning */
    bool stop;               /* under lock */
    size_t n_parked;         /* under lock */
    size_t n_threads, n_started;
    uint32_t run;            /* of the caller's thread */
    worker *workers; /* [n_threads - 1] */
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Takes one item of the current run and does it; false: none left. */
static bool take_item(qwen_pool *p, size_t index) {
    uint64_t t = atomic_load_explicit(&p->ticket, memory_order_acquire);
    if ((uint32_t)t == 0) return false;
    qwen_task_fn *fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
    void *arg = atomic_load_explicit(&p->arg, memory_order_relaxed);
    const size_t n_items = atomic_load_explicit(&p->n_items, memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&p->ticket, &t, t - 1, memory_order_acq_rel, memory_order_acquire))
        return true; /* somebody was faster: look again */
    fn(arg, n_items - (uint32_t)t, index);
    const size_t done = atomic_fetch_add_explicit(&p->done, 1, memory_order_acq_rel) + 1;
    if (index != 0 && done == n_items) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->finished);
        pthread_mutex_unlock(&p->lock);
    }
    return true;
}

static bool has_work(qwen_pool *p) { return (uint32_t)atomic_load_explicit(&p->ticket, memory_order_acquire) != 0; }

static void *worker_main(void *arg) {
    const worker *w = arg;
    qwen_pool *p = w->pool;
    for (;;) {
        while (take_item(p, w->index)) {}
        bool found = false;
        for (int i = 0; i < SPIN_ROUNDS && !found; i++) {
            relax();
            found = has_work(p);
        }
        if (found) continue;
        pthread_mutex_lock(&p->lock);
        while (!has_work(p) && !p->stop) { /* the caller stores the ticket before it takes the lock to wake us */
            p->n_parked++;
            pthread_cond_wait(&p->wake, &p->lock);
            p->n_parked--;
        }
        const bool stop = p->stop;
        pthread_mutex_unlock(&p->lock);
        if (stop) return NULL;
    }
}

void qwen_pool_run(qwen_pool *p, size_t n_items, qwen_task_fn *fn, void *arg) {
    if (p->n_threads == 1 || n_items <= 1) {
        for (size_t i = 0; i < n_items; i++) fn(arg, i, 0);
        return;
    }
    atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&p->arg, arg, memory_order_relaxed);
    atomic_store_explicit(&p->n_items, n_items, memory_order_relaxed);
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    atomic_store_explicit(&p->ticket, (uint64_t)++p->run << 32 | n_items, memory_order_release);
    pthread_mutex_lock(&p->lock);
    if (p->n_parked) pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);

    while (take_item(p, 0)) {}
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&p->done, memory_order_acquire) == n_items) return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->done, memory_order_acquire) != n_items) pthread_cond_wait(&p->finished, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

size_t qwen_pool_threads(const qwen_pool *p) { return p->n_threads; }

qwen_status qwen_pool_open(qwen_pool **out, int n_threads, qwen_error *err) {
    *out = NULL;
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return qwen_fail(err, QWEN_ERR_ARG, "%d threads were asked for; between 0 (automatic) and %d are possible", n_threads, MAX_THREADS);
    if (n_threads == 0) {
        n_threads = qwen_cpu_cores();
        if (n_threads > DEFAULT_MAX_THREADS) n_threads = DEFAULT_MAX_THREADS;
    }
    qwen_pool *p = qwen_alloc_zero(1, sizeof *p);
    if (!p) return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for the thread pool");
    p->n_threads = (size_t)n_threads;
    if (pthread_mutex_init(&p->lock, NULL)) goto no_lock;
    if (pthread_cond_init(&p->wake, NULL)) goto no_wake;
    if (pthread_cond_init(&p->finished, NULL)) goto no_finished;
    p->workers = qwen_alloc_zero(p->n_threads, sizeof *p->workers);
    if (!p->workers) {
        qwen_pool_close(p);
        return qwen_fail(err, QWEN_ERR_NOMEM, "out of memory for %d threads", n_threads);
    }
    for (; p->n_started + 1 < p->n_threads; p->n_started++) {
        worker *w = &p->workers[p->n_started];
        w->pool = p;
        w->index = p->n_started + 1;
        const int rc = pthread_create(&w->thread, NULL, worker_main, w);
        if (rc) {
            const size_t n = p->n_started;
            qwen_pool_close(p);
            return qwen_fail(err, QWEN_ERR_NOMEM, "thread %zu of %d could not be started: %s", n + 2, n_threads, strerror(rc));
        }
    }
    *out = p;
    return QWEN_OK;

no_finished:
    pthread_cond_destroy(&p->wake);
no_wake:
    pthread_mutex_destroy(&p->lock);
no_lock:
    qwen_free(p);
    return qwen_fail(err, QWEN_ERR_NOMEM, "the system gave no lock for the thread pool");
}

void qwen_pool_close(qwen_pool *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_started; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->finished);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    qwen_free(p->workers);
    qwen_free(p);
}
