/*
 * qwen_asr_generate.h - one segment of audio to raw text, greedily. Rank 6.
 *
 * A small state machine, so that the caller can look up between units of work: begin, then step until it answers QWEN_AGAIN.
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

typedef enum qwen_generate_phase { QWEN_GENERATE_IDLE, QWEN_GENERATE_MEL, QWEN_GENERATE_ENCODE, QWEN_GENERATE_PREFILL, QWEN_GENERATE_DECODE, QWEN_GENERATE_DONE } qwen_generate_phase;

typedef struct qwen_generate {
    qwen_recognizer r;
    qwen_generate_phase phase;
    size_t max_samples, max_tokens_room;
    const float *pcm;         /* borrowed until done */
    size_t n_samples, n_frames, n_rows;
    size_t window;            /* next encoder window */
    size_t max_tokens;        /* of this segment */
    size_t fed;               /* prompt ids already appended to the decoder */
    float *mel_rows;          /* [max frames, n_mels] */
    float *embeddings;        /* [max rows, H] */
    int32_t *prompt_ids;      /* [prompt + max rows]; audio rows are negative, see qwen_decoder_append */
    size_t n_prompt;
    int32_t *tokens;          /* [max_tokens_room] generated so far, without the end token */
    size_t n_tokens;
    qwen_stop_reason stop;
    qwen_buf raw;             /* bytes of the tokens, special ones skipped; may end inside a character */
    double mel_s, encode_s, prefill_s, decode_s; /* wall clock so far, summed over segments */
} qwen_generate;

qwen_status qwen_generate_open(qwen_generate *out, const qwen_recognizer *r, size_t max_samples, size_t max_tokens, qwen_error *err);
void qwen_generate_close(qwen_generate *g); /* safe on a zeroed one */

/* pcm [n], n <= max_samples, must stay until the end. n < 1600 (or no frame): done at once with no text. */
void qwen_generate_begin(qwen_generate *g, const float *pcm, size_t n, size_t max_tokens);

/* One unit of work. QWEN_OK: more to do. QWEN_AGAIN: done, raw and stop are final. Else an error. */
qwen_status qwen_generate_step(qwen_generate *g, qwen_error *err);

#endif
