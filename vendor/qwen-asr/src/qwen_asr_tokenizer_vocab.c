/*
 * qwen_asr_tokenizer_vocab.c - from the tokens that the files name to the tables: by bytes while loading, by id and,
 * for added tokens, by first byte for good. MODEL.md, tokenizer.
 *
 * All complaints about a vocabulary are here: holes, ids and texts that come twice, added tokens that collide, strings
 * outside the byte alphabet, bytes without a token.
 */
#include "qwen_asr_tokenizer_load.h"

#include <stdlib.h>
#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

#define MAX_GAP ((size_t)1 << 16) /* ids without a token that added tokens may leave */

qwen_status qwen_loader_no_memory(qwen_loader *l) {
    return qwen_fail(l->err, QWEN_ERR_NOMEM, "out of memory while the tokenizer was loaded");
}

void qwen_loader_alphabet(qwen_loader *l) {
    unsigned next = 0x100;
    for (unsigned b = 0; b < 256; b++) {
        const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        const unsigned c = itself ? b : next++;
        l->byte_of[c] = (unsigned char)b;
        l->is_byte[c] = true;
    }
}

bool qwen_loader_raw(const qwen_loader *l, qwen_buf *out, qwen_str s, bool *spelled) {
    size_t need = 0;
    if (!qwen_add_ok(out->len, s.len, &need)) return false;
    if ((!out->data || need > out->cap) && !qwen_buf_reserve(out, need)) return false; /* never more bytes than s has */
    char *to = out->data + out->len;
    *spelled = true;
    for (size_t i = 0, used = 1; i < s.len; i += used) {
        uint32_t c = (unsigned char)s.data[i];
        used = 1;
        if (c >= 0x80) c = qwen_utf8_next(s.data + i, s.len - i, &used);
        *spelled = c < sizeof l->is_byte && l->is_byte[c];
        if (!*spelled) break;
        *to++ = (char)l->byte_of[c];
    }
    if (*spelled) out->len = (size_t)(to - out->data);
    out->data[out->len] = '\0';
    return true;
}

static const char *show_entry(const qwen_loader *l, char out[QWEN_SHOWN], const qwen_entry *e) {
    qwen_str_show(out, QWEN_SHOWN, (qwen_str){l->t->arena.data + e->at, e->len});
    return out;
}

static uint64_t hash_bytes(const char *p, size_t n) { /* FNV-1a */
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 0x100000001B3u;
    return h;
}

/* The slot that holds the entry with these raw bytes, or the free one where it belongs, with *tag in it. */
static qwen_slot *find_slot(const qwen_loader *l, const char *p, size_t n, uint32_t *tag) {
    const uint64_t h = hash_bytes(p, n);
    *tag = (uint32_t)(h >> 32);
    for (size_t i = (size_t)(h ^ h >> 32) & l->slot_mask;; i = (i + 1) & l->slot_mask) {
        qwen_slot *slot = &l->slots[i];
        if (slot->index == 0) return slot;
        if (slot->tag != *tag) continue;
        const qwen_entry *e = &l->vocab.v[slot->index - 1];
        if (e->len == n && memcmp(l->t->arena.data + e->at, p, n) == 0) return slot;
    }
}

const qwen_entry *qwen_loader_find(const qwen_loader *l, const char *p, size_t n) {
    uint32_t tag = 0;
    const qwen_slot *slot = find_slot(l, p, n, &tag);
    return slot->index ? &l->vocab.v[slot->index - 1] : NULL;
}

static qwen_status make_slots(qwen_loader *l) {
    size_t n = 1024;
    while (n < 2 * l->vocab.n) n *= 2;
    l->slots = qwen_alloc_zero(n, sizeof *l->slots);
    if (!l->slots) return qwen_loader_no_memory(l);
    l->slot_mask = n - 1;
    for (size_t i = 0; i < l->vocab.n; i++) {
        const qwen_entry *e = &l->vocab.v[i];
        char shown[QWEN_SHOWN];
        if (e->literal) continue;
        uint32_t tag = 0;
        qwen_slot *slot = find_slot(l, l->t->arena.data + e->at, e->len, &tag);
        if (slot->index)
            return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: the token \"%s\" appears twice, with the ids %u and %u",
                             l->vocab_name, show_entry(l, shown, e), l->vocab.v[slot->index - 1].id, e->id);
        *slot = (qwen_slot){(uint32_t)(i + 1), tag};
    }
    return QWEN_OK;
}

/* Checks the largest id against the number of tokens that are there, then makes the table of tokens. */
static qwen_status make_tokens(qwen_loader *l) {
    const size_t n_all = l->vocab.n + l->added.n;
    size_t largest = 0;
    char shown[QWEN_SHOWN];
    if (l->vocab.n == 0)
        return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: there is no token in the vocabulary", l->vocab_name);
    for (size_t i = 0; i < l->vocab.n; i++) {
        const qwen_entry *e = &l->vocab.v[i];
        if (e->id >= n_all)
            return qwen_fail(l->err, QWEN_ERR_FORMAT,
                             "%s: the token \"%s\" has the id %u, but there are %zu tokens: ids must leave no hole",
                             l->vocab_name, show_entry(l, shown, e), e->id, n_all);
        largest = qwen_max_size(largest, e->id);
    }
    for (size_t i = 0; i < l->added.n; i++) {
        const qwen_entry *e = &l->added.v[i];
        if (e->id >= n_all + MAX_GAP)
            return qwen_fail(l->err, QWEN_ERR_FORMAT,
                             "%s: the added token \"%s\" has the id %u, far beyond the %zu tokens there are",
                             l->added_name, show_entry(l, shown, e), e->id, n_all);
        largest = qwen_max_size(largest, e->id);
    }
    l->t->n_tokens = largest + 1;
    l->t->tokens = qwen_alloc_zero(l->t->n_tokens, sizeof *l->t->tokens);
    return l->t->tokens ? QWEN_OK : qwen_loader_no_memory(l);
}

static qwen_status place_vocab(qwen_loader *l) {
    for (size_t i = 0; i < l->vocab.n; i++) {
        const qwen_entry *e = &l->vocab.v[i];
        qwen_token *token = &l->t->tokens[e->id];
        if (token->kind != QWEN_TOKEN_NONE) {
            char a[QWEN_SHOWN], b[QWEN_SHOWN];
            const qwen_entry other = {.at = token->at, .len = token->len};
            return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: the id %u belongs to \"%s\" and to \"%s\"", l->vocab_name,
                             e->id, show_entry(l, a, &other), show_entry(l, b, e));
        }
        *token = (qwen_token){e->at, e->len, QWEN_TOKEN_BPE};
    }
    return QWEN_OK;
}

/* An added token may be in the vocabulary too, then under the same id. */
static qwen_status place_added(qwen_loader *l) {
    for (size_t i = 0; i < l->added.n; i++) {
        const qwen_entry *e = &l->added.v[i];
        qwen_token *token = &l->t->tokens[e->id];
        char a[QWEN_SHOWN], b[QWEN_SHOWN];
        const qwen_str text = {l->t->arena.data + e->at, e->len};
        const qwen_entry there = {.at = token->at, .len = token->len};
        bool spelled = false;
        qwen_buf_clear(&l->scratch);
        if (!qwen_loader_raw(l, &l->scratch, text, &spelled)) return qwen_loader_no_memory(l);
        const qwen_entry *in_vocab = spelled ? qwen_loader_find(l, l->scratch.data, l->scratch.len) : NULL;
        if (in_vocab && in_vocab->id != e->id)
            return qwen_fail(l->err, QWEN_ERR_FORMAT,
                             "%s: the added token \"%s\" has the id %u, but in the vocabulary it has %u", l->added_name,
                             show_entry(l, a, e), e->id, in_vocab->id);
        const bool same_text = there.len == e->len && memcmp(l->t->arena.data + there.at, text.data, text.len) == 0;
        const bool free = token->kind == QWEN_TOKEN_NONE || (token->kind == QWEN_TOKEN_BPE && (in_vocab || same_text));
        if (!free)
            return qwen_fail(l->err, QWEN_ERR_FORMAT,
                             "%s: the added token \"%s\" has the id %u, which belongs to \"%s\"", l->added_name,
                             show_entry(l, a, e), e->id, show_entry(l, b, &there));
        *token = (qwen_token){e->at, e->len, e->special ? QWEN_TOKEN_SPECIAL : QWEN_TOKEN_ADDED};
    }
    return QWEN_OK;
}

/* Every token of the vocabulary is spelled in bytes or is an added token, its ids have no hole, and every byte is a
 * token. */
static qwen_status check_vocab(qwen_loader *l) {
    qwen_tokenizer *t = l->t;
    size_t largest = 0;
    char shown[QWEN_SHOWN];
    for (size_t i = 0; i < l->vocab.n; i++) {
        const qwen_entry *e = &l->vocab.v[i];
        if (e->literal && t->tokens[e->id].kind == QWEN_TOKEN_BPE)
            return qwen_fail(l->err, QWEN_ERR_FORMAT,
                             "%s: the token \"%s\" (id %u) is not spelled in the byte alphabet of GPT-2", l->vocab_name,
                             show_entry(l, shown, e), e->id);
        largest = qwen_max_size(largest, e->id);
    }
    for (size_t id = 0; id <= largest; id++)
        if (t->tokens[id].kind == QWEN_TOKEN_NONE)
            return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: no token has the id %zu, but there are ids up to %zu",
                             l->vocab_name, id, largest);
    for (unsigned b = 0; b < 256; b++) {
        const char byte = (char)b;
        const qwen_entry *e = qwen_loader_find(l, &byte, 1);
        if (!e)
            return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: no token stands for the byte 0x%02X alone", l->vocab_name,
                             b);
        t->byte_id[b] = e->id;
    }
    return QWEN_OK;
}

static int compare_added(const void *a, const void *b) {
    const qwen_added *x = a, *y = b;
    const int first = (unsigned char)x->text[0] - (unsigned char)y->text[0];
    if (first) return first;
    if (x->len != y->len) return x->len > y->len ? -1 : 1;
    const int text = memcmp(x->text, y->text, x->len);
    return text ? text : x->id < y->id ? -1 : x->id > y->id;
}

static qwen_status index_added(qwen_loader *l) {
    qwen_tokenizer *t = l->t;
    t->added = qwen_alloc(l->added.n, sizeof *t->added);
    if (!t->added) return qwen_loader_no_memory(l);
    t->n_added = l->added.n;
    for (size_t i = 0; i < l->added.n; i++) {
        const qwen_entry *e = &l->added.v[i];
        t->added[i] = (qwen_added){t->arena.data + e->at, e->len, e->id};
    }
    if (t->n_added) qsort(t->added, t->n_added, sizeof *t->added, compare_added);
    for (size_t i = 0, b = 0; b <= 256; b++) {
        while (i < t->n_added && (unsigned char)t->added[i].text[0] < b) i++;
        t->added_from[b] = i;
    }
    for (size_t i = 1; i < t->n_added; i++) {
        const qwen_added *a = &t->added[i - 1], *b = &t->added[i];
        char shown[QWEN_SHOWN];
        if (a->len != b->len || memcmp(a->text, b->text, a->len) != 0) continue;
        qwen_str_show(shown, sizeof shown, (qwen_str){a->text, a->len});
        return qwen_fail(l->err, QWEN_ERR_FORMAT, "%s: the added token \"%s\" has two ids, %u and %u", l->added_name,
                         shown, a->id, b->id);
    }
    return QWEN_OK;
}

qwen_status qwen_loader_vocab(qwen_loader *l) {
    QWEN_TRY(make_slots(l));
    QWEN_TRY(make_tokens(l));
    QWEN_TRY(place_vocab(l));
    QWEN_TRY(place_added(l));
    QWEN_TRY(check_vocab(l));
    return index_added(l);
}
