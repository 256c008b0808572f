/*
 * qwen_asr_hypothesis.h - which words of a growing segment can be shown as settled. Rank 2. Knows token ids and times only.
 *
 * A token is stable once two successive decodes agree on everything up to it, a decode whose audio ended some time earlier already had it, the model was
 * sure of it and of all before it, and a few tokens follow it. Stable tokens are never taken back inside a segment; its final text replaces them all.
 */
#ifndef QWEN_ASR_HYPOTHESIS_H
#define QWEN_ASR_HYPOTHESIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qwen_hypothesis {
    size_t room;
    int32_t *tokens;      /* [room] what to show: the first n_stable are settled, the rest is the latest decode's */
    size_t n_tokens, n_stable;
    int32_t *last;        /* [room] the latest decode itself */
    uint64_t *since;      /* [room] end of the audio of the first decode in a row that had last[0..i] */
    size_t n_last;
    uint64_t contradicted; /* decodes that disagreed with a settled token; over all segments */
} qwen_hypothesis;

/* false: out of memory. */
bool qwen_hypothesis_open(qwen_hypothesis *h, size_t room);
void qwen_hypothesis_close(qwen_hypothesis *h); /* safe on a zeroed one */

/* A new segment begins. */
void qwen_hypothesis_reset(qwen_hypothesis *h);

/* Takes the decode tokens[n] (n <= room) of audio that ended at sample `end`; margins[n]: by how much each token's logit exceeded the second best. */
void qwen_hypothesis_update(qwen_hypothesis *h, const int32_t *tokens, const float *margins, size_t n, uint64_t end);

#endif
