/*
 * qwen_asr_mem.h - the only allocator of the engine. Rank 1.
 *
 * Checked products, 64-byte alignment (a cache line, and the widest vector), and in test builds (QWEN_TEST_HOOKS) a counter and a
 * way to make the n-th allocation fail, so that every out-of-memory path is walked.
 */
#ifndef QWEN_ASR_MEM_H
#define QWEN_ASR_MEM_H

#include <stddef.h>

/* n * size bytes, 64-byte aligned, contents undefined; NULL if the product overflows or memory is short. n*size = 0 gives a valid pointer.
 * Large blocks stay untouched, hence not resident, until they are written. */
void *qwen_alloc(size_t n, size_t size);

/* The same, all bytes zero. */
void *qwen_alloc_zero(size_t n, size_t size);

/* Moves a block of old_n elements to one of n (n >= old_n); on failure returns NULL and the old block stays valid. */
void *qwen_grow(void *old, size_t old_n, size_t n, size_t size);

void qwen_free(void *p);

#ifdef QWEN_TEST_HOOKS
void qwen_test_fail_alloc(long n);    /* the n-th allocation from now on fails (1 = the next); 0: none */
int qwen_test_alloc_failed(void);     /* did that happen? */
long qwen_test_live_allocs(void);     /* blocks not freed */
long qwen_test_total_allocs(void);    /* blocks ever asked for */
#endif

#endif
