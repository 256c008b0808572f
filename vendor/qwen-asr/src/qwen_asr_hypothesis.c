/* qwen_asr_hypothesis.c - see the header. */
#include "qwen_asr_hypothesis.h"

#include <string.h>

#include "qwen_asr_mem.h"
#include "qwen_asr_num.h"

/*
 * The last tokens of a decode see a word cut in the middle: HOLD_BACK covers the longest words of the released vocabulary and the next word's first guess.
 * AGE and SURE were chosen on the speech of tests/data with the small model (`cargo bench ... live`): of the words settled early the
 * final text has otherwise 3.7 % at 1 s without a margin, 0.6 % at 1 s and a margin of 1, 0.4 % at 1.5 s and a margin of 1, and no fewer beyond; twice the
 * margin settles a fifth fewer words.
 */
#define HOLD_BACK 5
#define AGE 24000 /* samples */
#define SHIFT 4 /* tokens a changed decode may be longer or shorter and still be recognised */
#define SURE 1.0f /* of the margin between the two best logits */

bool qwen_hypothesis_open(qwen_hypothesis *h, size_t room) {
    memset(h, 0, sizeof *h);
    h->room = room;
    h->tokens = qwen_alloc(room, sizeof *h->tokens);
    h->last = qwen_alloc(room, sizeof *h->last);
    h->since = qwen_alloc(room, sizeof *h->since);
    if (h->tokens && h->last && h->since) return true;
    qwen_hypothesis_close(h);
    return false;
}

void qwen_hypothesis_close(qwen_hypothesis *h) {
    qwen_free(h->tokens);
    qwen_free(h->last);
    qwen_free(h->since);
    memset(h, 0, sizeof *h);
}

void qwen_hypothesis_reset(qwen_hypothesis *h) { h->n_tokens = h->n_stable = h->n_last = 0; }

/* Where in tokens[n] the text goes on after the settled tokens, which it does not begin with: after the nearest place where the last two of them stand
 * again, at most SHIFT away from their own; otherwise at their own. */
static size_t tail_of(const qwen_hypothesis *h, const int32_t *tokens, size_t n) {
    const size_t at = h->n_stable;
    for (size_t shift = 0; at >= 2 && shift <= SHIFT; shift++) {
        const size_t places[2] = {at + shift, at >= shift ? at - shift : 0};
        for (size_t i = 0; i < 2; i++) {
            const size_t end = places[i];
            if (end >= 2 && end <= n && tokens[end - 1] == h->tokens[at - 1] && tokens[end - 2] == h->tokens[at - 2]) return end;
        }
    }
    return qwen_min_size(at, n);
}

void qwen_hypothesis_update(qwen_hypothesis *h, const int32_t *tokens, const float *margins, size_t n, uint64_t end) {
    n = qwen_min_size(n, h->room);
    size_t agreed = 0;
    while (agreed < n && agreed < h->n_last && tokens[agreed] == h->last[agreed]) agreed++;
    for (size_t i = agreed; i < n; i++) h->since[i] = end;
    memcpy(h->last, tokens, n * sizeof *tokens);
    h->n_last = n;
    const bool against = n < h->n_stable || memcmp(tokens, h->tokens, h->n_stable * sizeof *tokens) != 0;
    const size_t from = against ? tail_of(h, tokens, n) : h->n_stable;
    const size_t tail = qwen_min_size(n - from, h->room - h->n_stable);
    memcpy(h->tokens + h->n_stable, tokens + from, tail * sizeof *tokens);
    h->n_tokens = h->n_stable + tail;
    if (against) { /* no decode ever said the settled tokens and these: nothing more can settle on them */
        h->contradicted++;
        return;
    }
    size_t settled = 0;
    while (settled < agreed && settled + HOLD_BACK < n && h->since[settled] + AGE <= end && margins[settled] >= SURE) settled++;
    if (settled > h->n_stable) h->n_stable = settled;
}
