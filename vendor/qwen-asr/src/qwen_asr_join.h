/*
 * qwen_asr_join.h - what stands between the texts of two segments. Rank 3.
 */
#ifndef QWEN_ASR_JOIN_H
#define QWEN_ASR_JOIN_H

#include <stddef.h>
#include <stdint.h>

/* First and last code point of text[n]; 0 if it is empty. */
uint32_t qwen_first_char(const char *text, size_t n);
uint32_t qwen_last_char(const char *text, size_t n);

/* "" if either side is 0 (no text) or written without spaces between words (Han, Kana, Thai, their punctuation), else " ". */
const char *qwen_separator(uint32_t last_before, uint32_t first_after);

#endif
