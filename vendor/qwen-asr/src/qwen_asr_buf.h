/*
 * qwen_asr_buf.h - growable bytes and growable ids. Rank 2. Zero-initialise, append, free.
 */
#ifndef QWEN_ASR_BUF_H
#define QWEN_ASR_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qwen_buf {
    char *data; /* [len], always followed by a NUL that does not count, once anything was appended or reserved */
    size_t len, cap;
} qwen_buf;

/* All return false when memory is short; the contents are then unchanged. n = 0 is fine. */
bool qwen_buf_reserve(qwen_buf *b, size_t cap); /* room for cap bytes in total, so that appends up to it do not allocate */
bool qwen_buf_append(qwen_buf *b, const void *bytes, size_t n);
bool qwen_buf_puts(qwen_buf *b, const char *text);
bool qwen_buf_put_utf8(qwen_buf *b, uint32_t code_point);
void qwen_buf_clear(qwen_buf *b); /* len = 0, keeps the memory */
void qwen_buf_free(qwen_buf *b);

/* Length of the longest prefix of bytes[n] that does not end inside a UTF-8 character that more bytes could complete. */
size_t qwen_utf8_complete(const char *bytes, size_t n);

/* Decodes one code point of bytes[n], n >= 1, advances *used by 1..4; an invalid sequence gives U+FFFD and its maximal invalid
 * prefix (as Rust's from_utf8_lossy counts). */
uint32_t qwen_utf8_next(const char *bytes, size_t n, size_t *used);

typedef struct qwen_ids {
    int32_t *data;
    size_t len, cap;
} qwen_ids;

bool qwen_ids_push(qwen_ids *v, int32_t id);
bool qwen_ids_reserve(qwen_ids *v, size_t cap);
void qwen_ids_free(qwen_ids *v);

#endif
