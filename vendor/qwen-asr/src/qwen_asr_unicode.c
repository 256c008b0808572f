/*
 * qwen_asr_unicode.c - character classes, simple case mappings and Normalization Form C.
 *
 * NFC as in Unicode Standard Annex 15: decompose canonically, put the combining marks of each run into the order of
 * their classes, compose again from the left. The text is cut into segments that cannot influence one another, so
 * ordinary text is copied untouched and only segments with a character of qwen_nfc_joins are worked on. Hangul
 * syllables are computed, not looked up (chapter 3.12 of the standard).
 */
#include "qwen_asr_unicode.h"

#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"
#include "qwen_asr_unicode_tables.h"

static bool in_ranges(const qwen_char_range *r, size_t n, uint32_t c) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (c > r[mid].last) low = mid + 1;
        else high = mid;
    }
    return low < n && c >= r[low].first;
}

bool qwen_is_letter(uint32_t c) {
    if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return in_ranges(qwen_letters, qwen_n_letters, c);
}

bool qwen_is_number(uint32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    return in_ranges(qwen_numbers, qwen_n_numbers, c);
}

bool qwen_is_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool qwen_is_py_space(uint32_t c) { return qwen_is_space(c) || (c >= 0x1C && c <= 0x1F); }

bool qwen_is_line_break(uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static uint32_t map_case(const qwen_case_range *r, size_t n, uint32_t c) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (c > r[mid].last) low = mid + 1;
        else high = mid;
    }
    if (low == n || c < r[low].first || (c - r[low].first) % r[low].step) return c;
    return (uint32_t)((int32_t)c + r[low].delta);
}

uint32_t qwen_to_lower(uint32_t c) { return map_case(qwen_lower_case, qwen_n_lower_case, c); }
uint32_t qwen_to_upper(uint32_t c) { return map_case(qwen_upper_case, qwen_n_upper_case, c); }

/* ---- NFC ------------------------------------------------------------------------------------------------- */

enum { L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11A7, S_BASE = 0xAC00, L_COUNT = 19, V_COUNT = 21, T_COUNT = 28 };
enum { S_COUNT = L_COUNT * V_COUNT * T_COUNT };

#define FIRST_JOIN 0x300u     /* no character before this one is touched by NFC */
#define BROKEN_BYTE 0x110000u /* beyond Unicode: this plus b stands for the byte b of a broken sequence */
#define CHAR_MASK 0xFFFFFFu   /* of an item: character below, combining class in the upper 8 bits */

static uint32_t combining_class(uint32_t c) {
    if (c < FIRST_JOIN) return 0;
    size_t low = 0, high = qwen_n_combining;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (c > qwen_combining[mid].last) low = mid + 1;
        else high = mid;
    }
    return low < qwen_n_combining && c >= qwen_combining[low].first ? qwen_combining[low].combining_class : 0;
}

/* May a new segment start at c? */
static bool starts_segment(uint32_t c) { return c < FIRST_JOIN || !in_ranges(qwen_nfc_joins, qwen_n_nfc_joins, c); }

typedef struct items {
    uint32_t *v, *sorted; /* [cap] each; sorted is scratch of sort_marks */
    size_t n, cap;
} items;

static bool items_push(items *t, uint32_t c) {
    if (t->n == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 64; /* cannot overflow: cap is bounded by the memory there is */
        uint32_t *v = qwen_grow(t->v, t->n, cap, sizeof *v);
        if (!v) return false;
        t->v = v;
        uint32_t *sorted = qwen_grow(t->sorted, 0, cap, sizeof *sorted);
        if (!sorted) return false;
        t->sorted = sorted;
        t->cap = cap;
    }
    t->v[t->n++] = c | combining_class(c) << 24;
    return true;
}

static bool push_decomposed(items *t, uint32_t c) {
    if (c >= S_BASE && c < (uint32_t)S_BASE + S_COUNT) {
        const uint32_t s = c - S_BASE, trail = s % T_COUNT;
        return items_push(t, L_BASE + s / (V_COUNT * T_COUNT)) && items_push(t, V_BASE + s / T_COUNT % V_COUNT) &&
               (!trail || items_push(t, T_BASE + trail));
    }
    uint32_t rest[8]; /* second halves of nested decompositions: at most three, and they nest on the left only */
    size_t n_rest = 0;
    for (bool again = true; again && n_rest < sizeof rest / sizeof rest[0];) {
        size_t low = 0, high = qwen_n_decompositions;
        while (low < high) {
            const size_t mid = low + (high - low) / 2;
            if (c > qwen_decompositions[mid].a) low = mid + 1;
            else high = mid;
        }
        again = low < qwen_n_decompositions && qwen_decompositions[low].a == c;
        if (!again) break;
        if (qwen_decompositions[low].c) rest[n_rest++] = qwen_decompositions[low].c;
        c = qwen_decompositions[low].b;
    }
    if (!items_push(t, c)) return false;
    while (n_rest)
        if (!items_push(t, rest[--n_rest])) return false;
    return true;
}

/* Stable sort of each run of marks by class, in time linear in the run's length however long someone makes it. */
static void sort_marks(items *t) {
    for (size_t begin = 0, end; begin < t->n; begin = end) {
        bool in_order = true;
        for (end = begin + 1; end < t->n && t->v[end] >> 24; end++)
            in_order = in_order && t->v[end - 1] >> 24 <= t->v[end] >> 24;
        if (in_order) continue;
        size_t first[257] = {0}; /* of each class, in sorted */
        for (size_t i = begin; i < end; i++) first[(t->v[i] >> 24) + 1]++;
        for (size_t k = 1; k < 257; k++) first[k] += first[k - 1];
        for (size_t i = begin; i < end; i++) t->sorted[first[t->v[i] >> 24]++] = t->v[i];
        memcpy(t->v + begin, t->sorted, (end - begin) * sizeof *t->v);
    }
}

/* The character that a b compose to, 0 if none. */
static uint32_t composed(uint32_t a, uint32_t b) {
    if (a >= L_BASE && a < (uint32_t)L_BASE + L_COUNT && b >= V_BASE && b < (uint32_t)V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a >= S_BASE && a < (uint32_t)S_BASE + S_COUNT && (a - S_BASE) % T_COUNT == 0 && b > T_BASE &&
        b < (uint32_t)T_BASE + T_COUNT)
        return a + (b - T_BASE);
    size_t low = 0, high = qwen_n_compositions;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const qwen_char_triple *p = &qwen_compositions[mid];
        if (p->a < a || (p->a == a && p->b < b)) low = mid + 1;
        else high = mid;
    }
    const bool found = low < qwen_n_compositions && qwen_compositions[low].a == a && qwen_compositions[low].b == b;
    return found ? qwen_compositions[low].c : 0;
}

static void compose(items *t) {
    size_t n = 0, starter = SIZE_MAX;
    for (size_t i = 0; i < t->n; i++) {
        const uint32_t c = t->v[i] & CHAR_MASK, class = t->v[i] >> 24;
        /* Blocked if something stands between the starter and c that has class 0 or at least c's class. */
        const bool free_way = starter != SIZE_MAX && (n == starter + 1 || (class != 0 && t->v[n - 1] >> 24 < class));
        const uint32_t both = free_way ? composed(t->v[starter] & CHAR_MASK, c) : 0;
        if (both) {
            t->v[starter] = both;
            continue;
        }
        if (class == 0) starter = n;
        t->v[n++] = t->v[i];
    }
    t->n = n;
}

/* Appends the NFC form of one segment. */
static bool append_segment(qwen_buf *out, items *t, const char *text, size_t n) {
    t->n = 0;
    for (size_t i = 0, used = 0; i < n; i += used) {
        const uint32_t c = qwen_utf8_next(text + i, n - i, &used);
        if (c != 0xFFFD) {
            if (!push_decomposed(t, c)) return false;
            continue;
        }
        /* Broken, or a written-out U+FFFD, which decomposes to itself: the bytes stay. */
        for (size_t k = 0; k < used; k++)
            if (!items_push(t, BROKEN_BYTE + (unsigned char)text[i + k])) return false;
    }
    sort_marks(t);
    compose(t);
    for (size_t i = 0; i < t->n; i++) {
        const uint32_t c = t->v[i] & CHAR_MASK;
        const char byte = (char)(c & 0xFF);
        if (c >= BROKEN_BYTE ? !qwen_buf_append(out, &byte, 1) : !qwen_buf_put_utf8(out, c)) return false;
    }
    return true;
}

bool qwen_nfc_append(qwen_buf *out, const char *text, size_t n) {
    const size_t before = out->len;
    items t = {0};
    bool ok = true;
    size_t done = 0, segment = 0; /* text[done, segment) needs no work, a segment starts at text[segment] */
    bool work = false;            /* the segment holds a character that is not a segment start */
    for (size_t i = 0, used = 0; ok && i <= n; i += used) {
        bool start = true;
        if (i < n) start = starts_segment(qwen_utf8_next(text + i, n - i, &used));
        else used = 1;
        if (start) {
            if (work) {
                ok = qwen_buf_append(out, text + done, segment - done) &&
                     append_segment(out, &t, text + segment, i - segment);
                done = i;
            }
            segment = i;
            work = false;
        } else {
            work = true;
        }
    }
    ok = ok && (done == n || qwen_buf_append(out, text + done, n - done));
    if (!ok && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    qwen_free(t.v);
    qwen_free(t.sorted);
    return ok;
}
