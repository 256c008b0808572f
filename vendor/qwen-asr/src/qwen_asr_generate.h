/*
 * qwen_asr_generate.h - audio of one segment to raw text, greedily, again and again while the segment grows. Rank 6.
 *
 * A small state machine, so that the caller can look up between units of work: begin, then step until it answers QWEN_AGAIN.
 *
 * Decoding audio from the same start again keeps what is exactly the same: feature rows whose window is complete, conv rows of complete chunks,
 * encoder rows of complete windows (as long as the clip's log-mel maximum clamps none of their values), the decoder's cache up to the last of those windows. The tokens of the
 * decode before serve as a draft that is verified in one batch. None of this changes a bit of the result (MODEL.md, "Generation").
 */
#ifndef QWEN_ASR_GENERATE_H
#define QWEN_ASR_GENERATE_H

#include "qwen_asr_audio.h"
#include "qwen_asr_buf.h"
#include "qwen_asr_decoder.h"
#include "qwen_asr_encoder.h"
#include "qwen_asr_prompt.h"
#include "qwen_asr_tokenizer.h"

/* What one segment needs of the model; all borrowed. */
typedef struct qwen_recognizer {
    const qwen_mel *mel;
    const qwen_tokenizer *tokenizer;
    const qwen_special *special;
    const qwen_prompt *prompt;
    const qwen_ops *ops;
    qwen_encoder *encoder;
    qwen_decoder *decoder;
} qwen_recognizer;

typedef enum qwen_generate_phase {
    QWEN_GENERATE_IDLE,
    QWEN_GENERATE_MEL,
    QWEN_GENERATE_ENCODE,
    QWEN_GENERATE_PREFILL,
    QWEN_GENERATE_DECODE,
    QWEN_GENERATE_DONE
} qwen_generate_phase;

/* A cached stage of a chunk or window: valid for the clip maximum it was computed with, and for any other that clamps nothing in it. */
typedef struct qwen_cached {
    bool valid;
    float maximum; /* log-mel maximum of the clip then */
    float lowest;  /* lowest raw feature inside */
} qwen_cached;

/* Work done since open; for statistics and for tests that bound it. */
typedef struct qwen_generate_work {
    uint64_t frames, chunks, windows, prompt_rows; /* feature rows, conv chunks, encoder windows, rows of the decoder before the first new token */
    uint64_t draft_offered, draft_accepted;        /* tokens */
    double mel_s, encode_s, prefill_s, decode_s;   /* wall clock */
} qwen_generate_work;

typedef struct qwen_generate {
    qwen_recognizer r;
    qwen_generate_phase phase;
    size_t max_samples, max_tokens_room;

    const float *pcm;         /* borrowed until the first step returns */
    uint64_t start;           /* of the clip, in samples of its stream: the key of the caches */
    size_t n_samples, n_frames, n_rows;
    size_t max_tokens;        /* of this clip */

    float *raw, *features;    /* [max frames, n_mels] before and after the clip's maximum was applied */
    size_t final_frames;      /* raw rows [0, final_frames) hold for every continuation of the clip */
    float maximum;            /* of this clip */
    float *stem;              /* [max rows, d] */
    float *embeddings;        /* [max rows, H] */
    qwen_cached *chunk_cache, *window_cache; /* [max chunks], [max windows] */
    size_t chunk, window;     /* next ones to look at */
    size_t kv_windows;        /* leading windows whose rows in the decoder's cache are those of embeddings */

    int32_t *prompt_ids;      /* prompt, audio rows as -1 - row, then the draft */
    size_t n_prompt, fed;     /* fed: how many of them the decoder has */
    int32_t *draft;           /* [n_draft] */
    size_t n_draft;
    int32_t best[QWEN_PREFILL_ROWS];
    float best_margin[QWEN_PREFILL_ROWS];
    int32_t next;             /* likeliest next token; -1: not a number */
    float next_margin;        /* by how much its logit exceeds the second best */

    int32_t *tokens;          /* [max_tokens_room] generated so far, without the end token */
    float *margins;           /* [max_tokens_room] of each of them */
    size_t n_tokens;
    qwen_stop_reason stop;
    qwen_buf raw_text;        /* bytes of the tokens, special ones skipped; may end inside a character */
    qwen_generate_work work;
} qwen_generate;

qwen_status qwen_generate_open(qwen_generate *out, const qwen_recognizer *r, size_t max_samples, size_t max_tokens, qwen_error *err);
void qwen_generate_close(qwen_generate *g); /* safe on a zeroed one */

/* Decodes pcm [n], n <= max_samples, which begins at sample `start` of its stream. A decode that was not finished is given up. pcm must stay until the
 * first step returns. n < 1600: done at once, with no text. */
void qwen_generate_begin(qwen_generate *g, uint64_t start, const float *pcm, size_t n, size_t max_tokens);

/* Forgets every cache and the draft. */
void qwen_generate_forget(qwen_generate *g);

/* One unit of work: features, a chunk, a window, a block of the prompt, or a token. QWEN_OK: more to do. QWEN_AGAIN: done, tokens, raw_text and stop
 * are final. Else an error. */
qwen_status qwen_generate_step(qwen_generate *g, qwen_error *err);

#endif
