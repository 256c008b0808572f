/*
 * qwen_asr_prompt.h - the chat template as ids, with a slot for the audio. Rank 6. The only file that knows the special
 * tokens. MODEL.md, prompt.
 */
#ifndef QWEN_ASR_PROMPT_H
#define QWEN_ASR_PROMPT_H

#include "qwen_asr_buf.h"
#include "qwen_asr_status.h"
#include "qwen_asr_tokenizer.h"

#define QWEN_N_EOS 2

/* Ids of the special tokens, looked up in the tokenizer's files. */
typedef struct qwen_special {
    int32_t im_start, im_end, end_of_text, audio_start, audio_end, audio_pad, asr_text;
    int32_t eos[QWEN_N_EOS]; /* im_end, end_of_text */
} qwen_special;

/* A special token that the tokenizer does not have is an error that names it; so is an <|audio_pad|> other than
 * config_audio_id (if >= 0). */
qwen_status qwen_special_open(qwen_special *out, const qwen_tokenizer *t, int32_t config_audio_id, size_t vocab_size,
                              qwen_error *err);

/* ids before the audio, ids after it. */
typedef struct qwen_prompt {
    qwen_ids before, after;
} qwen_prompt;

/* context: text for the system prompt [NUL-terminated], NULL: none. language: canonical name to force, NULL: none.
 * prefix: text after it (tests, drafts), NULL: none. */
qwen_status qwen_prompt_open(qwen_prompt *out, const qwen_tokenizer *t, const qwen_special *s, const char *context,
                             const char *language, const char *prefix, qwen_error *err);
void qwen_prompt_close(qwen_prompt *p); /* safe on a zeroed one */

#endif
