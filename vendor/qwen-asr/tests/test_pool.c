/* test_pool.c - every item runs exactly once, whatever the number of threads and items, and opening fails cleanly. */
#include <stdatomic.h>
#include <time.h>

#include "check.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_pool.h"

#define MAX_ITEMS 3000
static atomic_int hits[MAX_ITEMS];
static atomic_int workers_seen;

typedef struct job {
    size_t n_threads;
} job;

static void count(void *arg, size_t item, size_t worker) {
    const job *j = arg;
    if (item < MAX_ITEMS) atomic_fetch_add(&hits[item], 1);
    if (worker >= j->n_threads) atomic_fetch_add(&workers_seen, 1000);
}

static void every_item_runs_exactly_once(void) {
    for (int threads = 1; threads <= 5; threads++) {
        qwen_pool *p = NULL;
        qwen_error err;
        CHECK(qwen_pool_open(&p, threads, &err) == QWEN_OK);
        if (!p) return;
        job j = {(size_t)threads};
        for (size_t n = 0; n <= MAX_ITEMS; n = n < 20 ? n + 1 : n * 3 / 2) {
            for (int repeat = 0; repeat < 20; repeat++) {
                for (size_t i = 0; i < MAX_ITEMS; i++) atomic_store(&hits[i], 0);
                qwen_pool_run(p, n, count, &j);
                int wrong = 0;
                for (size_t i = 0; i < MAX_ITEMS; i++) wrong += atomic_load(&hits[i]) != (i < n);
                CHECK(wrong == 0);
            }
        }
        CHECK(atomic_load(&workers_seen) == 0);
        qwen_pool_close(p);
    }
}

static void workers_wake_up_after_they_parked(void) {
    qwen_pool *p = NULL;
    qwen_error err;
    CHECK(qwen_pool_open(&p, 3, &err) == QWEN_OK);
    if (!p) return;
    job j = {3};
    for (int repeat = 0; repeat < 20; repeat++) {
        const struct timespec nap = {0, 3000000};
        nanosleep(&nap, NULL);
        for (size_t i = 0; i < MAX_ITEMS; i++) atomic_store(&hits[i], 0);
        qwen_pool_run(p, 64, count, &j);
        int sum = 0;
        for (size_t i = 0; i < MAX_ITEMS; i++) sum += atomic_load(&hits[i]);
        CHECK(sum == 64);
    }
    qwen_pool_close(p);
}

static void bad_thread_counts_are_sentences(void) {
    qwen_pool *p = NULL;
    qwen_error err = {0};
    CHECK(qwen_pool_open(&p, -1, &err) == QWEN_ERR_ARG && strstr(err.msg, "-1 threads"));
    CHECK(qwen_pool_open(&p, 100000, &err) == QWEN_ERR_ARG && p == NULL);
    CHECK(qwen_pool_open(&p, 0, &err) == QWEN_OK && qwen_pool_threads(p) >= 1 && qwen_pool_threads(p) <= 8);
    qwen_pool_close(p);
    qwen_pool_close(NULL);
}

static void out_of_memory_is_survived(void) {
    for (long n = 1;; n++) {
        qwen_pool *p = NULL;
        qwen_error err;
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_pool_open(&p, 3, &err);
        const int hit = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        qwen_pool_close(p);
        CHECK(qwen_test_live_allocs() == 0);
        CHECK(hit ? s == QWEN_ERR_NOMEM && !p : s == QWEN_OK);
        if (!hit) break;
    }
}

int main(void) {
    every_item_runs_exactly_once();
    workers_wake_up_after_they_parked();
    bad_thread_counts_are_sentences();
    out_of_memory_is_survived();
    return check_done("pool");
}
