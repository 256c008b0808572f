/*
 * qwen_asr_text.h - from the model's raw output to language and text. Rank 3.
 *
 * MODEL.md, output parsing and languages: repetition guard, "language X<asr_text>..." parsing, the 30 languages. All on
 * code points.
 */
#ifndef QWEN_ASR_TEXT_H
#define QWEN_ASR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "qwen_asr_buf.h"
#include "qwen_asr_status.h"

/* Parses raw[n] (UTF-8) into *language and *text, both cleared first; forced: canonical name or NULL. false: out of
 * memory. */
bool qwen_parse_output(const char *raw, size_t n, const char *forced, qwen_buf *language, qwen_buf *text);

/* The text to show while raw[n] is still growing: like qwen_parse_output, but "" as long as raw could still become a
 * "language X<asr_text>" tag. */
bool qwen_parse_partial(const char *raw, size_t n, const char *forced, qwen_buf *language, qwen_buf *text);

/* Replaces *out by fix_repetitions(s[n]), threshold 20. false: out of memory. */
bool qwen_fix_repetitions(const char *s, size_t n, qwen_buf *out);

/* First character upper, others lower, stripped, appended to out. false: out of memory. */
bool qwen_normalize_language(const char *s, size_t n, qwen_buf *out);

#endif
