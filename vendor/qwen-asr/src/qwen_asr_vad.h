/*
 * qwen_asr_vad.h - which 10 ms frames hold speech. Rank 3. Knows samples and frames only; where to cut is the
 * segmenter's business.
 *
 * Push hops, and after every push take all decisions and all proofs that are ready; both come in frame order and
 * depend on nothing but the samples.
 */
#ifndef QWEN_ASR_VAD_H
#define QWEN_ASR_VAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_status.h"

#define QWEN_VAD_HOP 160          /* samples of a frame, and of a push */
#define QWEN_VAD_LATENCY 6        /* frame t is decided at the latest when this many frames after it were pushed ... */
#define QWEN_VAD_STARTUP 100      /* ... but the first ones not before this many were, plus the latency */
#define QWEN_VAD_PROOF_FRAMES 150 /* the proof of frame t comes no later than the decision of frame t + 150 */

typedef struct qwen_vad qwen_vad;

typedef struct qwen_vad_frame {
    bool speech;
    float level_db; /* energy between 240 and 7200 Hz, smoothed over 70 ms; only differences have a meaning */
} qwen_vad_frame;

/* Allocates everything. */
qwen_status qwen_vad_open(qwen_vad **out, qwen_error *err);
void qwen_vad_close(qwen_vad *v);
void qwen_vad_reset(qwen_vad *v);

/* hop [160]: the next samples. Frame t is the t-th hop. */
void qwen_vad_push(qwen_vad *v, const float *hop);

/* No more hops: every frame pushed becomes ready. */
void qwen_vad_finish(qwen_vad *v);

/* The decision on the next frame; false: not ready. */
bool qwen_vad_next(qwen_vad *v, qwen_vad_frame *out);

/*
 * Whether the next frame, seen from what followed it, stands out too: it would if it was speech, and would not if the
 * background had become louder for good. False for frames that are not speech. Returns false when not ready.
 */
bool qwen_vad_next_proof(qwen_vad *v, bool *proven);

#endif
