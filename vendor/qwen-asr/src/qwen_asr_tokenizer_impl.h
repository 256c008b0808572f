/*
 * qwen_asr_tokenizer_impl.h - what qwen_asr_tokenizer_load.c fills and qwen_asr_tokenizer.c reads. Private to the two.
 * Rank 3.
 *
 * Everything about strings happens at load: a token is a slice of one byte arena, a merge is three ids and a rank, so
 * encoding only looks up pairs of ids and decoding only copies slices.
 */
#ifndef QWEN_ASR_TOKENIZER_IMPL_H
#define QWEN_ASR_TOKENIZER_IMPL_H

#include "qwen_asr_tokenizer.h"

#define QWEN_NO_TOKEN UINT32_MAX

typedef enum qwen_token_kind {
    QWEN_TOKEN_NONE = 0, /* no token has this id */
    QWEN_TOKEN_BPE,      /* of the vocabulary */
    QWEN_TOKEN_ADDED,    /* matched literally in the text */
    QWEN_TOKEN_SPECIAL   /* the same, and left out by skip_special */
} qwen_token_kind;

typedef struct qwen_token {
    uint32_t at, len; /* raw bytes: arena[at, at + len) */
    qwen_token_kind kind;
} qwen_token;

/* left and right become id; rank counts the merges of the file, lower goes first. left = QWEN_NO_TOKEN: a free slot of
 * the table. */
typedef struct qwen_merge {
    uint32_t left, right, rank, id;
} qwen_merge;

typedef struct qwen_added {
    const char *text; /* in the arena */
    uint32_t len, id;
} qwen_added;

struct qwen_tokenizer {
    qwen_buf arena;
    qwen_token *tokens; /* [n_tokens], by id */
    size_t n_tokens;
    uint32_t byte_id[256]; /* the token that is this byte alone */
    qwen_merge
        *merges; /* open addressing, linear probing; merge_mask + 1 slots, a power of two, at least a quarter free */
    size_t merge_mask;
    qwen_added *added; /* [n_added] by first byte, longest first */
    size_t n_added;
    size_t added_from[257]; /* added tokens that start with byte b: added[added_from[b], added_from[b + 1]) */
    const char *source;
};

/* Slot at which the search for the pair starts. The mixing is the finalizer of SplitMix64. */
static inline size_t qwen_merge_slot(uint32_t left, uint32_t right, size_t mask) {
    uint64_t x = (uint64_t)left << 32 | right;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (size_t)(x ^ x >> 31) & mask;
}

#endif
