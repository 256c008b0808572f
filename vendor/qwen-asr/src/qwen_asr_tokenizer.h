/*
 * qwen_asr_tokenizer.h - byte-level BPE of Qwen2, both ways. Rank 3.
 *
 * Files: vocab.json + merges.txt + tokenizer_config.json (added_tokens_decoder), or tokenizer.json. Math: MODEL.md,
 * tokenizer. Every id comes from the files: vocabulary ids must be dense (no hole, none twice), added tokens must not
 * collide, merges must name known tokens, every byte must have a token.
 */
#ifndef QWEN_ASR_TOKENIZER_H
#define QWEN_ASR_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_buf.h"
#include "qwen_asr_status.h"

typedef struct qwen_tokenizer qwen_tokenizer; /* immutable after open, shared between threads */

/* Reads the tokenizer files of the model directory. */
qwen_status qwen_tokenizer_open(qwen_tokenizer **out, const char *dir, qwen_error *err);
void qwen_tokenizer_close(qwen_tokenizer *t);

/* One more than the largest id of any token. */
size_t qwen_tokenizer_size(const qwen_tokenizer *t);

/* The file the added tokens come from, for messages: "tokenizer_config.json" or "tokenizer.json"; a literal. */
const char *qwen_tokenizer_source(const qwen_tokenizer *t);

/* Id of an added token by its literal text ("<|im_start|>"), -1 if there is none. */
int32_t qwen_tokenizer_added(const qwen_tokenizer *t, const char *literal);

/* Appends the ids of text[n] (UTF-8; invalid bytes are tokenised as bytes). Added tokens in the text are recognised.
 * Nothing is put in front or behind. QWEN_ERR_NOMEM is the only failure. Safe from several threads at once. */
qwen_status qwen_tokenizer_encode(const qwen_tokenizer *t, const char *text, size_t n, qwen_ids *out, qwen_error *err);

/* Raw bytes a token stands for, [*len], owned by the tokenizer; NULL for an id without a token. *special: added token
 * with special = true. */
const char *qwen_tokenizer_bytes(const qwen_tokenizer *t, int32_t id, size_t *len, bool *special);

/* Appends the raw bytes of ids[n], special tokens skipped if skip_special, then nothing else; NOT made valid UTF-8.
 * Unknown ids give nothing. */
bool qwen_tokenizer_decode_bytes(const qwen_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                                 qwen_buf *out);

/* The same, with invalid UTF-8 replaced by U+FFFD (one per maximal invalid prefix). */
bool qwen_tokenizer_decode(const qwen_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, qwen_buf *out);

#endif
