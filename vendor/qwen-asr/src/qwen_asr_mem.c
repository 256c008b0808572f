/* qwen_asr_mem.c - see the header. */
#include "qwen_asr_mem.h"

#include <stdlib.h>
#include <string.h>

#include "qwen_asr_num.h"

#define QWEN_ALIGN 64u

#ifdef QWEN_TEST_HOOKS
#include <stdatomic.h>
static atomic_long fail_at, live, total;
static atomic_int failed;

void qwen_test_fail_alloc(long n) {
    atomic_store(&failed, 0);
    atomic_store(&fail_at, n);
}
int qwen_test_alloc_failed(void) { return atomic_load(&failed); }
long qwen_test_live_allocs(void) { return atomic_load(&live); }
long qwen_test_total_allocs(void) { return atomic_load(&total); }

static int hook_fails(void) {
    atomic_fetch_add(&total, 1);
    long n = atomic_load(&fail_at);
    while (n > 0 && !atomic_compare_exchange_weak(&fail_at, &n, n - 1)) {}
    if (n == 1) atomic_store(&failed, 1);
    return n == 1;
}
#define HOOK_LIVE(d) atomic_fetch_add(&live, d)
#else
#define hook_fails() 0
#define HOOK_LIVE(d) ((void)0)
#endif

void *qwen_alloc(size_t n, size_t size) {
    size_t bytes = 0;
    if (hook_fails() || !qwen_mul_ok(n, size, &bytes) || !qwen_add_ok(bytes, QWEN_ALIGN, &bytes)) return NULL;
    bytes -= bytes % QWEN_ALIGN; /* aligned_alloc wants a multiple; at least one line, so 0 elements is no special case */
    void *p = aligned_alloc(QWEN_ALIGN, bytes);
    if (p) HOOK_LIVE(1);
    return p;
}

void *qwen_alloc_zero(size_t n, size_t size) {
    void *p = qwen_alloc(n, size);
    if (p) memset(p, 0, n * size);
    return p;
}

void *qwen_grow(void *old, size_t old_n, size_t n, size_t size) {
    void *p = qwen_alloc(n, size);
    if (!p) return NULL;
    if (old_n) memcpy(p, old, old_n * size);
    qwen_free(old);
    return p;
}

void qwen_free(void *p) {
    if (!p) return;
    HOOK_LIVE(-1);
    free(p);
}
