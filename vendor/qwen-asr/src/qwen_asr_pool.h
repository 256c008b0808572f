/*
 * qwen_asr_pool.h - persistent worker threads of one stream. Rank 2.
 *
 * Work is a number of items; workers and the caller take items from one counter until none is left. An item writes outputs of its
 * own only, and never shares a sum with another item, so results do not depend on the number of threads. Workers spin briefly, then park:
 * no CPU is used while no audio arrives.
 */
#ifndef QWEN_ASR_POOL_H
#define QWEN_ASR_POOL_H

#include <stddef.h>

#include "qwen_asr_status.h"

typedef struct qwen_pool qwen_pool;

/* Work of one item. worker: 0 .. n_threads-1, unique among the threads running now: an index into per-worker scratch. */
typedef void qwen_task_fn(void *arg, size_t item, size_t worker);

/* n_threads counts the caller; 1 starts no thread; 0: one per physical core, at most 8. */
qwen_status qwen_pool_open(qwen_pool **out, int n_threads, qwen_error *err);
void qwen_pool_close(qwen_pool *pool); /* joins; NULL allowed */
size_t qwen_pool_threads(const qwen_pool *pool);

/* Runs fn(arg, i, worker) for every i < n_items and returns when all are done. From one thread at a time; not from inside fn.
 * n_items < 2^32. */
void qwen_pool_run(qwen_pool *pool, size_t n_items, qwen_task_fn *fn, void *arg);

#endif
