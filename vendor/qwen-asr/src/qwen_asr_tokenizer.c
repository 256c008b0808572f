/*
 * qwen_asr_tokenizer.c - text to ids and back, once the tables are loaded. MODEL.md, tokenizer.
 *
 * Encoding: the text is cut at added tokens (longest match, raw text); what lies between is brought into NFC, cut into
 * words by the pattern of Qwen2, and the bytes of each word are merged pairwise, lowest rank first (byte-pair encoding:
 * Gage 1994; Sennrich et al. 2016). The pattern is matched by hand: its seven alternatives start with disjoint classes
 * of characters or differ by one look-ahead, so each is a few lines, and the answer is the same as that of a
 * backtracking engine.
 */
#include "qwen_asr_tokenizer_impl.h"

#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"
#include "qwen_asr_unicode.h"

size_t qwen_tokenizer_size(const qwen_tokenizer *t) { return t->n_tokens; }

const char *qwen_tokenizer_source(const qwen_tokenizer *t) { return t->source; }

void qwen_tokenizer_close(qwen_tokenizer *t) {
    if (!t) return;
    qwen_buf_free(&t->arena);
    qwen_free(t->tokens);
    qwen_free(t->merges);
    qwen_free(t->added);
    qwen_free(t);
}

/* The longest added token that text[n] starts with, NULL if none. */
static const qwen_added *added_at(const qwen_tokenizer *t, const char *text, size_t n) {
    const unsigned char first = (unsigned char)text[0];
    for (size_t i = t->added_from[first]; i < t->added_from[first + 1]; i++) {
        const qwen_added *a = &t->added[i];
        if (a->len <= n && memcmp(a->text, text, a->len) == 0) return a;
    }
    return NULL;
}

int32_t qwen_tokenizer_added(const qwen_tokenizer *t, const char *literal) {
    const size_t n = strlen(literal);
    const qwen_added *a = n ? added_at(t, literal, n) : NULL;
    return a && a->len == n ? (int32_t)a->id : -1;
}

/* ---- words ----------------------------------------------------------------------------------------------- */

typedef enum char_class { CLASS_END, CLASS_LETTER, CLASS_NUMBER, CLASS_NEWLINE, CLASS_SPACE, CLASS_OTHER } char_class;

/* Class and length of the character at p; CLASS_END and 0 at the end. A broken sequence is CLASS_OTHER. */
static char_class class_at(const char *p, const char *end, size_t *used) {
    *used = 0;
    if (p == end) return CLASS_END;
    const uint32_t c = qwen_utf8_next(p, (size_t)(end - p), used);
    if (c == '\r' || c == '\n') return CLASS_NEWLINE;
    if (qwen_is_letter(c)) return CLASS_LETTER;
    if (qwen_is_number(c)) return CLASS_NUMBER;
    return qwen_is_space(c) ? CLASS_SPACE : CLASS_OTHER;
}

static const char *skip_class(const char *p, const char *end, char_class class) {
    size_t used = 0;
    while (class_at(p, end, &used) == class) p += used;
    return p;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d): its length in bytes at p, 0 if it does not match. The long s (U+017F) folds to s. */
static size_t contraction(const char *p, const char *end) {
    const size_t n = (size_t)(end - p);
    if (n < 2 || p[0] != '\'') return 0;
    const char a = (char)(p[1] | 0x20), b = n > 2 ? (char)(p[2] | 0x20) : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return n > 2 && memcmp(p + 1, "\xC5\xBF", 2) == 0 ? 3 : 0;
}

/* White space from p on, p < end, where no word starts: \s*[\r\n]+ | \s+(?!\S) | \s+ */
static const char *space_end(const char *p, const char *end) {
    const char *after_newline = NULL, *last = p, *q = p;
    size_t used = 0;
    for (char_class c; (c = class_at(q, end, &used)) == CLASS_NEWLINE || c == CLASS_SPACE; q += used) {
        last = q;
        if (c == CLASS_NEWLINE) after_newline = q + used;
    }
    if (after_newline) return after_newline; /* \s* gives back until a line break can follow it: the last one */
    return q == end || last == p
               ? q
               : last; /* the last blank before a word belongs to the word, unless it is the only one */
}

/* End of the word that starts at p, p < end. */
static const char *word_end(const char *p, const char *end) {
    size_t used = 0, next_used = 0;
    const size_t short_form = contraction(p, end);
    if (short_form) return p + short_form;
    const char_class class = class_at(p, end, &used);
    if (class == CLASS_LETTER) return skip_class(p + used, end, CLASS_LETTER);
    if (class == CLASS_NUMBER) return p + used;
    if (class == CLASS_NEWLINE) return space_end(p, end);
    const char_class next = class_at(p + used, end, &next_used);
    if (next == CLASS_LETTER) return skip_class(p + used, end, CLASS_LETTER); /* [^\r\n\p{L}\p{N}]?\p{L}+ */
    if (class == CLASS_OTHER || (*p == ' ' && next == CLASS_OTHER))           /*  ?[^\s\p{L}\p{N}]+[\r\n]* */
        return skip_class(skip_class(p + used, end, CLASS_OTHER), end, CLASS_NEWLINE);
    return space_end(p, end);
}

/* ---- merging --------------------------------------------------------------------------------------------- */

/* One symbol of the word being merged, in a doubly linked list over its bytes. */
typedef struct symbol {
    uint32_t id;         /* QWEN_NO_TOKEN: merged into the one before it */
    uint32_t prev, next; /* NO_SYMBOL at the ends */
} symbol;

#define NO_SYMBOL UINT32_MAX

/* Scratch of one encode call. */
typedef struct scratch {
    symbol *symbols; /* [cap] */
    uint64_t *heap;  /* [2 * cap]: rank << 32 | position of the left symbol; the smallest on top */
    size_t cap, n_heap;
    qwen_buf nfc;
} scratch;

static bool scratch_reserve(scratch *s, size_t n) {
    if (n <= s->cap) return true;
    size_t cap = 0, heap_cap = 0;
    if (!qwen_add_ok(n, n / 2 + 64, &cap) || !qwen_mul_ok(cap, 2, &heap_cap)) return false;
    qwen_free(s->symbols);
    qwen_free(s->heap);
    s->symbols = qwen_alloc(cap, sizeof *s->symbols);
    s->heap = qwen_alloc(heap_cap, sizeof *s->heap);
    s->cap = s->symbols && s->heap ? cap : 0;
    return s->cap != 0;
}

static void heap_push(scratch *s, uint64_t key) {
    size_t i = s->n_heap++;
    for (; i > 0 && s->heap[(i - 1) / 2] > key; i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = key;
}

static uint64_t heap_pop(scratch *s) {
    const uint64_t top = s->heap[0], key = s->heap[--s->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && s->heap[child + 1] < s->heap[child]) child++;
        if (s->heap[child] >= key) break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = key;
    return top;
}

/* What symbol i and the one after it merge to, NULL: nothing. */
static const qwen_merge *merge_of(const qwen_tokenizer *t, const symbol *v, uint32_t i) {
    const uint32_t next = v[i].next;
    if (next == NO_SYMBOL || v[i].id == QWEN_NO_TOKEN) return NULL;
    const uint32_t left = v[i].id, right = v[next].id;
    for (size_t slot = qwen_merge_slot(left, right, t->merge_mask);; slot = (slot + 1) & t->merge_mask) {
        const qwen_merge *m = &t->merges[slot];
        if (m->left == left && m->right == right) return m;
        if (m->left == QWEN_NO_TOKEN) return NULL;
    }
}

static void offer(const qwen_tokenizer *t, scratch *s, uint32_t i) {
    const qwen_merge *m = merge_of(t, s->symbols, i);
    if (m) heap_push(s, (uint64_t)m->rank << 32 | i);
}

/*
 * Ids of one word, n >= 1 bytes. At most n - 1 pairs at first and two more for each of the n - 1 merges, each of which
 * takes one off: the heap never holds more than 2 n. A heap entry is out of date if its pair no longer is there with
 * that rank; it is then thrown away.
 */
static bool merge_word(const qwen_tokenizer *t, scratch *s, const char *word, size_t n, qwen_ids *out) {
    if (n >= NO_SYMBOL || !scratch_reserve(s, n)) return false;
    symbol *v = s->symbols;
    for (size_t i = 0; i < n; i++) {
        v[i].id = t->byte_id[(unsigned char)word[i]];
        v[i].prev = i ? (uint32_t)i - 1 : NO_SYMBOL;
        v[i].next = i + 1 < n ? (uint32_t)i + 1 : NO_SYMBOL;
    }
    s->n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) offer(t, s, (uint32_t)i);
    while (s->n_heap) {
        const uint64_t top = heap_pop(s);
        const uint32_t i = (uint32_t)top;
        const qwen_merge *m = merge_of(t, v, i);
        if (!m || m->rank != top >> 32) continue;
        const uint32_t gone = v[i].next;
        v[i].id = m->id;
        v[i].next = v[gone].next;
        v[gone].id = QWEN_NO_TOKEN;
        if (v[i].next != NO_SYMBOL) v[v[i].next].prev = i;
        offer(t, s, i);
        if (v[i].prev != NO_SYMBOL) offer(t, s, v[i].prev);
    }
    for (uint32_t i = 0; i != NO_SYMBOL; i = v[i].next)
        if (!qwen_ids_push(out, (int32_t)v[i].id)) return false;
    return true;
}

/* Text between two added tokens. */
static bool encode_plain(const qwen_tokenizer *t, scratch *s, const char *text, size_t n, qwen_ids *out) {
    if (n == 0) return true;
    qwen_buf_clear(&s->nfc);
    if (!qwen_nfc_append(&s->nfc, text, n)) return false;
    const char *end = s->nfc.data + s->nfc.len;
    for (const char *p = s->nfc.data, *next; p < end; p = next) {
        next = word_end(p, end);
        if (!merge_word(t, s, p, (size_t)(next - p), out)) return false;
    }
    return true;
}

qwen_status qwen_tokenizer_encode(const qwen_tokenizer *t, const char *text, size_t n, qwen_ids *out, qwen_error *err) {
    const size_t before = out->len;
    scratch s = {0};
    bool ok = true;
    size_t plain = 0; /* text[plain, i) holds no added token */
    for (size_t i = 0; ok && i < n;) {
        const qwen_added *a = added_at(t, text + i, n - i);
        if (!a) {
            i++;
            continue;
        }
        ok = encode_plain(t, &s, text + plain, i - plain, out) && qwen_ids_push(out, (int32_t)a->id);
        i += a->len;
        plain = i;
    }
    ok = ok && encode_plain(t, &s, text + plain, n - plain, out);
    if (!ok) out->len = before;
    qwen_free(s.symbols);
    qwen_free(s.heap);
    qwen_buf_free(&s.nfc);
    return ok ? QWEN_OK : qwen_fail(err, QWEN_ERR_NOMEM, "out of memory while %zu bytes of text were made tokens", n);
}

/* ---- back to text ---------------------------------------------------------------------------------------- */

const char *qwen_tokenizer_bytes(const qwen_tokenizer *t, int32_t id, size_t *len, bool *special) {
    *len = 0;
    *special = false;
    if (id < 0 || (size_t)id >= t->n_tokens || t->tokens[id].kind == QWEN_TOKEN_NONE) return NULL;
    *len = t->tokens[id].len;
    *special = t->tokens[id].kind == QWEN_TOKEN_SPECIAL;
    return t->arena.data + t->tokens[id].at;
}

bool qwen_tokenizer_decode_bytes(const qwen_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                                 qwen_buf *out) {
    const size_t before = out->len;
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        bool special = false;
        const char *bytes = qwen_tokenizer_bytes(t, ids[i], &len, &special);
        if (!bytes || (special && skip_special)) continue;
        if (qwen_buf_append(out, bytes, len)) continue;
        out->len = before;
        if (out->data) out->data[before] = '\0';
        return false;
    }
    return true;
}

bool qwen_tokenizer_decode(const qwen_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, qwen_buf *out) {
    const size_t before = out->len;
    qwen_buf raw = {0};
    bool ok = qwen_tokenizer_decode_bytes(t, ids, n, skip_special, &raw);
    for (size_t i = 0, used = 0; ok && i < raw.len; i += used)
        ok = qwen_buf_put_utf8(out, qwen_utf8_next(raw.data + i, raw.len - i, &used));
    if (!ok && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    qwen_buf_free(&raw);
    return ok;
}
