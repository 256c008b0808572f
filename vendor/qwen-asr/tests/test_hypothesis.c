/* test_hypothesis.c - settled tokens come from decodes that agree, need age and certainty, never change, and are never repeated behind themselves. */
#include "check.h"
#include "qwen_asr_hypothesis.h"
#include "qwen_asr_mem.h"

#define SECOND 16000

/* Letters are tokens; shown as they are, with a bar after the settled ones. */
static const char *shown(const qwen_hypothesis *h) {
    static char text[128];
    size_t n = 0;
    for (size_t i = 0; i <= h->n_tokens && n + 2 < sizeof text; i++) {
        if (i == h->n_stable) text[n++] = '|';
        if (i < h->n_tokens) text[n++] = (char)h->tokens[i];
    }
    text[n] = '\0';
    return text;
}

static void hear(qwen_hypothesis *h, const char *decode, float margin, unsigned second) {
    int32_t tokens[64];
    float margins[64];
    const size_t n = strlen(decode);
    for (size_t i = 0; i < n; i++) tokens[i] = decode[i], margins[i] = margin;
    qwen_hypothesis_update(h, tokens, margins, n, (uint64_t)second * SECOND);
}

#define SHOWS(text) CHECKF(strcmp(shown(&h), text) == 0, "%s instead of %s", shown(&h), text)

int main(void) {
    qwen_hypothesis h;
    CHECK(qwen_hypothesis_open(&h, 64));
    hear(&h, "ABCDEFGHIJ", 9, 1);
    SHOWS("|ABCDEFGHIJ");
    hear(&h, "ABCDEFGHIJ", 9, 2);
    SHOWS("|ABCDEFGHIJ"); /* a second is not long enough */
    hear(&h, "ABCDEFGHIJK", 9, 3);
    SHOWS("ABCDEF|GHIJK");
    hear(&h, "AXBCDEFGHIJKLM", 9, 5); /* a token came in: the tail is found again */
    SHOWS("ABCDEF|GHIJKLM");
    CHECK(h.contradicted == 1);
    hear(&h, "AXBCDEFGHIJKLMNO", 9, 7); /* and nothing settles on what no decode said */
    SHOWS("ABCDEF|GHIJKLMNO");
    hear(&h, "ACDEFGHI", 9, 8);
    SHOWS("ABCDEF|GHI");
    hear(&h, "ABCDEFGHIJKLMNOP", 9, 9);
    hear(&h, "ABCDEFGHIJKLMNOP", 9, 11);
    SHOWS("ABCDEFGHIJK|LMNOP");
    hear(&h, "", 9, 12);
    SHOWS("ABCDEFGHIJK|");
    qwen_hypothesis_reset(&h);
    hear(&h, "ABCDEFGHIJ", 0.5f, 1);
    hear(&h, "ABCDEFGHIJ", 0.5f, 9);
    SHOWS("|ABCDEFGHIJ"); /* the model was not sure */
    qwen_hypothesis_close(&h);
    for (long n = 1; n <= 3; n++) {
        qwen_test_fail_alloc(n);
        CHECK(!qwen_hypothesis_open(&h, 8) && qwen_test_live_allocs() == 0);
    }
    qwen_test_fail_alloc(0);
    return check_done("hypothesis");
}
