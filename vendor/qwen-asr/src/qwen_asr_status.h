/*
 * qwen_asr_status.h - how a failure becomes a sentence and travels up. Rank 0.
 *
 * qwen_fail is the only place that fills a qwen_error and returns the code it was given; QWEN_TRY is the only propagator.
 */
#ifndef QWEN_ASR_STATUS_H
#define QWEN_ASR_STATUS_H

#include "qwen_asr.h"

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
/* Fills err (may be NULL) with the formatted sentence, cut at a character boundary if it is too long; returns code. */
qwen_status qwen_fail(qwen_error *err, qwen_status code, const char *fmt, ...);

#define QWEN_TRY(call)                                          \
    do {                                                        \
        const qwen_status qwen_try_status = (call);             \
        if (qwen_try_status != QWEN_OK) return qwen_try_status; \
    } while (0)

#endif
