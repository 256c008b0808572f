/*
 * qwen_asr_buf.c - growable bytes and ids, and the two questions about UTF-8 the engine asks: where does the last whole
 * character end, and which character comes next. Well-formed sequences are those of the Unicode standard, table 3-7: no
 * overlong forms, no surrogates, nothing above U+10FFFF.
 */
#include "qwen_asr_buf.h"

#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define FIRST_CAP 63u /* with the NUL, one cache line */

bool qwen_buf_reserve(qwen_buf *b, size_t cap) {
    if (b->data && cap <= b->cap) return true;
    size_t bytes = 0;
    if (!qwen_add_ok(cap, 1, &bytes)) return false;
    char *p = qwen_grow(b->data, b->data ? b->len + 1 : 0, bytes, 1);
    if (!p) return false;
    p[b->len] = '\0';
    b->data = p;
    b->cap = cap;
    return true;
}

bool qwen_buf_append(qwen_buf *b, const void *bytes, size_t n) {
    size_t need = 0;
    if (!qwen_add_ok(b->len, n, &need)) return false;
    if (!b->data || need > b->cap) {
        size_t cap = qwen_max_size(need, FIRST_CAP);
        if (b->cap <= SIZE_MAX / 4) cap = qwen_max_size(cap, 2 * b->cap);
        if (!qwen_buf_reserve(b, cap)) return false;
    }
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len = need;
    b->data[need] = '\0';
    return true;
}

bool qwen_buf_puts(qwen_buf *b, const char *text) { return qwen_buf_append(b, text, strlen(text)); }

bool qwen_buf_put_utf8(qwen_buf *b, uint32_t c) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = 0xFFFD;
    char s[4];
    size_t n = 1;
    if (c < 0x80) {
        s[0] = (char)c;
    } else if (c < 0x800) {
        s[0] = (char)(0xC0 | c >> 6);
        s[1] = (char)(0x80 | (c & 0x3F));
        n = 2;
    } else if (c < 0x10000) {
        s[0] = (char)(0xE0 | c >> 12);
        s[1] = (char)(0x80 | (c >> 6 & 0x3F));
        s[2] = (char)(0x80 | (c & 0x3F));
        n = 3;
    } else {
        s[0] = (char)(0xF0 | c >> 18);
        s[1] = (char)(0x80 | (c >> 12 & 0x3F));
        s[2] = (char)(0x80 | (c >> 6 & 0x3F));
        s[3] = (char)(0x80 | (c & 0x3F));
        n = 4;
    }
    return qwen_buf_append(b, s, n);
}

void qwen_buf_clear(qwen_buf *b) {
    b->len = 0;
    if (b->data) b->data[0] = '\0';
}

void qwen_buf_free(qwen_buf *b) {
    qwen_free(b->data);
    *b = (qwen_buf){0};
}

/* How many bytes of s[n], n >= 1, agree with one well-formed sequence; *want is the length its first byte announces, 0
 * if no sequence starts with that byte (the answer is then 1). Complete if the answer equals *want. */
static size_t utf8_scan(const unsigned char *s, size_t n, size_t *want) {
    const unsigned c = s[0];
    unsigned low = 0x80, high = 0xBF; /* of the second byte */
    if (c < 0x80) *want = 1;
    else if (c >= 0xC2 && c <= 0xDF) *want = 2;
    else if (c >= 0xE0 && c <= 0xEF) *want = 3;
    else if (c >= 0xF0 && c <= 0xF4) *want = 4;
    else *want = 0;
    if (c == 0xE0) low = 0xA0;
    if (c == 0xED) high = 0x9F;
    if (c == 0xF0) low = 0x90;
    if (c == 0xF4) high = 0x8F;
    size_t got = 1;
    while (got < *want && got < n && s[got] >= low && s[got] <= high) {
        low = 0x80;
        high = 0xBF;
        got++;
    }
    return got;
}

size_t qwen_utf8_complete(const char *bytes, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        size_t want = 0;
        const size_t got = utf8_scan((const unsigned char *)bytes + (n - back), back, &want);
        if (got == back && want > back) return n - back;
    }
    return n;
}

uint32_t qwen_utf8_next(const char *bytes, size_t n, size_t *used) {
    const unsigned char *s = (const unsigned char *)bytes;
    size_t want = 0;
    *used = utf8_scan(s, n, &want);
    if (*used != want) return 0xFFFD;
    if (want == 1) return s[0];
    uint32_t c = s[0] & (0x7Fu >> want);
    for (size_t i = 1; i < want; i++) c = c << 6 | (s[i] & 0x3Fu);
    return c;
}

bool qwen_ids_reserve(qwen_ids *v, size_t cap) {
    if (cap <= v->cap) return true;
    int32_t *p = qwen_grow(v->data, v->len, cap, sizeof *p);
    if (!p) return false;
    v->data = p;
    v->cap = cap;
    return true;
}

bool qwen_ids_push(qwen_ids *v, int32_t id) {
    if (v->len == v->cap) {
        size_t cap = 0;
        if (!qwen_mul_ok(v->cap, 2, &cap) || !qwen_ids_reserve(v, qwen_max_size(cap, 16))) return false;
    }
    v->data[v->len++] = id;
    return true;
}

void qwen_ids_free(qwen_ids *v) {
    qwen_free(v->data);
    *v = (qwen_ids){0};
}
