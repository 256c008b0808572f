/*
 * check.h - the test harness: CHECK counts and prints failures, check_done closes with one line a runner can read.
 */
#ifndef QWEN_CHECK_H
#define QWEN_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_n, check_failed, check_skipped;

#define CHECK(cond)                                                          \
    do {                                                                     \
        check_n++;                                                           \
        if (!(cond)) {                                                       \
            check_failed++;                                                  \
            if (check_failed <= 20) fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
        }                                                                    \
    } while (0)

/* The same, with a message that says what was seen. */
#define CHECKF(cond, ...)                                                    \
    do {                                                                     \
        check_n++;                                                           \
        if (!(cond)) {                                                       \
            check_failed++;                                                  \
            if (check_failed <= 20) {                                        \
                fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #cond); \
                fprintf(stderr, __VA_ARGS__);                                \
                fputc('\n', stderr);                                         \
            }                                                                \
        }                                                                    \
    } while (0)

/* Loud, and counted: a skipped check is not a passed one. */
#define SKIP(...)                                                            \
    do {                                                                     \
        check_skipped++;                                                     \
        printf("skipped: ");                                                 \
        printf(__VA_ARGS__);                                                 \
        putchar('\n');                                                       \
    } while (0)

/* Directory of the test data: QWEN_TEST_DATA, else what the Makefile passes. */
static inline const char *check_data(void) {
    const char *d = getenv("QWEN_TEST_DATA");
    return d && *d ? d : QWEN_TEST_DATA_DEFAULT;
}

static inline int check_done(const char *name) {
    printf("%s: %d passed, %d failed, %d skipped\n", name, check_n - check_failed, check_failed, check_skipped);
    return check_failed ? 1 : 0;
}

#endif
