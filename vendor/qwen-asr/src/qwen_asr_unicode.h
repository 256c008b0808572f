/*
 * qwen_asr_unicode.h - the character properties the tokenizer and the parser need. Rank 2.
 *
 * Tables (qwen_asr_unicode_tables.c) are made by tools/unicode_tables.py from Python's unicodedata; the script names
 * the Unicode version.
 */
#ifndef QWEN_ASR_UNICODE_H
#define QWEN_ASR_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_buf.h"

bool qwen_is_letter(uint32_t c);     /* general category L* : \p{L} */
bool qwen_is_number(uint32_t c);     /* general category N* : \p{N} */
bool qwen_is_space(uint32_t c);      /* White_Space: \s of the tokenizer's regex */
bool qwen_is_py_space(uint32_t c);   /* Python str.isspace / str.strip: White_Space plus U+001C..U+001F */
bool qwen_is_line_break(uint32_t c); /* Python str.splitlines: \n \v \f \r U+001C-1E U+0085 U+2028 U+2029 */
uint32_t qwen_to_lower(uint32_t c);  /* simple lower-case mapping */
uint32_t qwen_to_upper(uint32_t c);  /* simple upper-case mapping */

/* Appends the NFC form of text[n] (valid or not; invalid bytes are passed through) to out; false: out of memory. */
bool qwen_nfc_append(qwen_buf *out, const char *text, size_t n);

#endif
