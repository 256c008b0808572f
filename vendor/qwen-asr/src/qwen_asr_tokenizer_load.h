/*
 * qwen_asr_tokenizer_load.h - the tables while they are being built. Private to qwen_asr_tokenizer_load.c, which reads
 * the files, and qwen_asr_tokenizer_vocab.c, which makes sense of the tokens they name. Rank 3.
 */
#ifndef QWEN_ASR_TOKENIZER_LOAD_H
#define QWEN_ASR_TOKENIZER_LOAD_H

#include "qwen_asr_json.h"
#include "qwen_asr_tokenizer_impl.h"

#define QWEN_SHOWN 48 /* bytes of a token in a message */

/* One token as a file gives it. */
typedef struct qwen_entry {
    uint32_t at, len; /* arena[at, at + len) */
    uint32_t id;
    bool literal; /* vocabulary: not in the byte alphabet, so only an added token may have this text; arena holds it as
                     written */
    bool special; /* added tokens */
} qwen_entry;

typedef struct qwen_entries {
    qwen_entry *v;
    size_t n, cap;
} qwen_entries;

typedef struct qwen_slot {
    uint32_t index; /* in vocab, plus 1; 0: free */
    uint32_t tag;   /* bits of the hash, so that other entries need not be looked at */
} qwen_slot;

typedef struct qwen_loader {
    qwen_tokenizer *t;
    qwen_error *err;
    const char *vocab_name, *added_name; /* paths, for messages */
    qwen_entries vocab, added;
    qwen_slot *slots; /* open addressing, linear probing: raw bytes -> entry of vocab */
    size_t slot_mask;
    qwen_merge *merges;
    size_t n_merges, merges_cap;
    qwen_buf scratch;
    unsigned char byte_of[0x144]; /* byte alphabet: character -> byte, where is_byte */
    bool is_byte[0x144];
} qwen_loader;

qwen_status qwen_loader_no_memory(qwen_loader *l);

/* Fills the byte alphabet: bytes that are printable in Latin-1 stand for themselves, the other 68, in order, for
 * U+0100, U+0101, ... */
void qwen_loader_alphabet(qwen_loader *l);

/* Appends the raw bytes that s spells in the byte alphabet. *spelled = false, and nothing appended, if a character is
 * outside of it. */
bool qwen_loader_raw(const qwen_loader *l, qwen_buf *out, qwen_str s, bool *spelled);

/* Once all tokens have been read: checks them against each other and fills everything of the tokenizer but the merges.
 * The arena must not move any more. */
qwen_status qwen_loader_vocab(qwen_loader *l);

/* After that: the token of the vocabulary with these raw bytes, or NULL. */
const qwen_entry *qwen_loader_find(const qwen_loader *l, const char *p, size_t n);

#endif
