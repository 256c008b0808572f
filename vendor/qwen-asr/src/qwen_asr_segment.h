/*
 * qwen_asr_segment.h - where speech is cut. Rank 6. ARCHITECTURE.md: one segmenter for live and offline, deterministic
 * on the sample stream, causal with bounded look-ahead, the same for every push size. It sees samples and times only:
 * no model, no text.
 */
#ifndef QWEN_ASR_SEGMENT_H
#define QWEN_ASR_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_status.h"

typedef struct qwen_segmenter qwen_segmenter;

/* Times in milliseconds. The defaults, and the measurements behind them, are in qwen_asr_segment.c. */
typedef struct qwen_segment_params {
    uint32_t close_after_ms;   /* a pause of close_pause_ms closes a segment at least this long */
    uint32_t close_pause_ms;
    uint32_t silence_ms;       /* a pause this long closes a segment of any length */
    uint32_t eager_after_ms;   /* from this length on the best pause of at least min_pause_ms will do */
    uint32_t min_pause_ms;
    uint32_t max_ms;           /* never longer; then cut where it is quietest */
    uint32_t tail_ms;          /* audio kept after the last speech frame */
    uint32_t lead_ms;          /* audio kept before the first */
} qwen_segment_params;

qwen_segment_params qwen_segment_params_default(void);

/* Samples [start, end) of the stream are to be decoded. Segments come in order and do not overlap; what lies
   between them held no speech. */
typedef struct qwen_segment {
    uint64_t start, end;
    qwen_cut_reason cut;
} qwen_segment;

/* Allocates everything. Invalid parameters are QWEN_ERR_ARG. */
qwen_status qwen_segmenter_open(qwen_segmenter **out, const qwen_segment_params *params, qwen_error *err);
void qwen_segmenter_close(qwen_segmenter *s);
void qwen_segmenter_reset(qwen_segmenter *s);

/* pcm [n]: the next samples. May make segments ready. At most qwen_segmenter_room(s) samples at once. */
void qwen_segmenter_feed(qwen_segmenter *s, const float *pcm, size_t n);
size_t qwen_segmenter_room(const qwen_segmenter *s);

/* No more samples: what is open is closed at the end of the audio. */
void qwen_segmenter_finish(qwen_segmenter *s);

/* Takes the next ready segment; false: none. */
bool qwen_segmenter_next(qwen_segmenter *s, qwen_segment *out);

/* The segment that is being spoken, as it would be if nothing more was said: what is decoded during a pause is then
   already the final one. *paused: samples since its last speech frame. False: none is open, or it holds too little
   speech so far. */
bool qwen_segmenter_open_segment(const qwen_segmenter *s, qwen_segment *out, uint64_t *paused);

/* Samples before this one will be in no segment that is still to come: they can be dropped. */
uint64_t qwen_segmenter_floor(const qwen_segmenter *s);

/* Most samples that can lie between the floor and the newest sample, with segments taken as soon as they are ready. */
size_t qwen_segmenter_span(const qwen_segmenter *s);

#endif
