/*
 * test_tokenizer.c - ids are those of the official tokenizer on every golden line, decoding gives the text back, and the
 * pattern of Qwen2 cuts where it should.
 *
 * Goldens: tests/data/parity/tokenizer/<set>_{encode,decode}.tsv. The set "qwen-full" needs the real vocabulary in
 * tests/data/qwen-full, which tools/qwen_full_vocab.py makes.
 */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "model_dir.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_tokenizer.h"
#include "qwen_asr_unicode.h"

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static qwen_tokenizer *open_data(const char *name) {
    char dir[MODEL_DIR_MAX];
    qwen_tokenizer *t = NULL;
    qwen_error err = {0};
    snprintf(dir, sizeof dir, "%s/%s", check_data(), name);
    CHECKF(qwen_tokenizer_open(&t, dir, &err) == QWEN_OK, "%s", err.msg);
    if (!t) exit(check_done("test_tokenizer"));
    return t;
}

/* ---- goldens --------------------------------------------------------------------------------------------- */

/* Reads hex digits up to the first other character; moves *s there. */
static void read_hex(const char **s, qwen_buf *out) {
    qwen_buf_clear(out);
    CHECK(qwen_buf_reserve(out, 1));
    unsigned v = 0;
    for (; sscanf(*s, "%2x", &v) == 1 && **s != '\t' && **s != '\n'; *s += 2) {
        const char byte = (char)v;
        CHECK(qwen_buf_append(out, &byte, 1));
    }
}

static void read_ids(const char **s, qwen_ids *out) {
    out->len = 0;
    CHECK(qwen_ids_reserve(out, 1));
    while (**s == ' ' || (**s >= '0' && **s <= '9')) {
        char *end = NULL;
        CHECK(qwen_ids_push(out, (int32_t)strtol(*s, &end, 10)));
        *s = end;
    }
}

static bool same_ids(const qwen_ids *a, const qwen_ids *b) {
    return a->len == b->len && memcmp(a->data, b->data, a->len * sizeof *a->data) == 0;
}
static bool same_bytes(const qwen_buf *a, const qwen_buf *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

typedef struct work {
    qwen_buf text, want, want_all, got;
    qwen_ids ids, want_ids;
} work;

static void work_free(work *w) {
    qwen_buf_free(&w->text);
    qwen_buf_free(&w->want);
    qwen_buf_free(&w->want_all);
    qwen_buf_free(&w->got);
    qwen_ids_free(&w->ids);
    qwen_ids_free(&w->want_ids);
}

static bool has_added(const qwen_tokenizer *t, const qwen_ids *ids) {
    for (size_t i = 0; i < ids->len; i++) {
        size_t n = 0;
        bool special = false;
        const char *bytes = qwen_tokenizer_bytes(t, ids->data[i], &n, &special);
        char literal[64] = "";
        if (bytes && n < sizeof literal) memcpy(literal, bytes, n);
        if (special || (literal[0] && qwen_tokenizer_added(t, literal) >= 0)) return true;
    }
    return false;
}

static void check_encode_line(const qwen_tokenizer *t, work *w, const char *line, const char *set, size_t number) {
    qwen_error err = {0};
    read_hex(&line, &w->text);
    CHECK(*line++ == '\t');
    read_ids(&line, &w->want_ids);
    w->ids.len = 0;
    CHECK(qwen_ids_reserve(&w->ids, 1));
    CHECK(qwen_tokenizer_encode(t, w->text.data, w->text.len, &w->ids, &err) == QWEN_OK);
    CHECKF(same_ids(&w->ids, &w->want_ids), "%s line %zu: \"%s\"", set, number, w->text.data);
    if (has_added(t, &w->ids)) return; /* NFC does not reach across added tokens */
    qwen_buf_clear(&w->want);
    qwen_buf_clear(&w->got);
    CHECK(qwen_nfc_append(&w->want, w->text.data, w->text.len));
    CHECK(qwen_tokenizer_decode(t, w->ids.data, w->ids.len, true, &w->got));
    CHECKF(same_bytes(&w->want, &w->got), "%s line %zu: \"%s\" came back as \"%s\"", set, number, w->want.data,
           w->got.data);
}

static void check_decode_line(const qwen_tokenizer *t, work *w, const char *line, const char *set, size_t number) {
    read_ids(&line, &w->ids);
    CHECK(*line++ == '\t');
    read_hex(&line, &w->want);
    CHECK(*line++ == '\t');
    read_hex(&line, &w->want_all);
    for (int skip = 0; skip < 2; skip++) {
        const qwen_buf *want = skip ? &w->want : &w->want_all;
        qwen_buf_clear(&w->got);
        CHECK(qwen_tokenizer_decode(t, w->ids.data, w->ids.len, skip, &w->got));
        CHECKF(same_bytes(&w->got, want), "%s line %zu: \"%s\", not \"%s\"", set, number,
               w->got.data ? w->got.data : "", want->data);
    }
}

typedef void line_check(const qwen_tokenizer *, work *, const char *, const char *, size_t);

static void check_lines(const qwen_tokenizer *t, const char *set, const char *kind, line_check *check,
                        size_t want_lines) {
    char dir[MODEL_DIR_MAX], name[64];
    snprintf(dir, sizeof dir, "%s/parity/tokenizer", check_data());
    snprintf(name, sizeof name, "%s_%s.tsv", set, kind);
    work w = {0};
    size_t n = 0, number = 0, checked = 0;
    char *bytes = model_dir_read(dir, name, &n);
    for (const char *p = bytes, *next; p < bytes + n; p = next) {
        next = memchr(p, '\n', (size_t)(bytes + n - p));
        next = next ? next + 1 : bytes + n;
        number++;
        if (*p == '#') continue;
        check(t, &w, p, set, number);
        checked++;
    }
    CHECKF(checked == want_lines, "%s: %zu lines", name, checked);
    free(bytes);
    work_free(&w);
}

static void check_set(const char *directory, const char *set) {
    qwen_tokenizer *t = open_data(directory);
    check_lines(t, set, "encode", check_encode_line, 400);
    check_lines(t, set, "decode", check_decode_line, 150);
    qwen_tokenizer_close(t);
}

static void every_golden_line_has_the_official_ids_and_text(void) {
    check_set("parity/tiny-a", "tiny-a");
    check_set("parity/tiny-b", "tiny-b");
    check_set("parity/tiny-c-hf", "tiny-a"); /* the same tokenizer, as tokenizer.json */
}

static bool have_full_vocabulary(void) {
    char path[MODEL_DIR_MAX];
    snprintf(path, sizeof path, "%s/qwen-full/vocab.json", check_data());
    return access(path, R_OK) == 0;
}

static void the_full_vocabulary_agrees_and_loads_quickly(void) {
    const double start = seconds();
    qwen_tokenizer *t = open_data("qwen-full");
    const double took = seconds() - start;
    printf("test_tokenizer: 151,643 tokens and 151,387 merges loaded in %.0f ms\n", 1e3 * took);
    CHECK(qwen_tokenizer_size(t) == 151705 && qwen_tokenizer_added(t, "<asr_text>") == 151704);
    qwen_tokenizer_close(t);
    check_set("qwen-full", "qwen-full");
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

/* Ids of one word with the vocabulary of open_pairs, by the definition: the pair with the lowest rank first, leftmost
 * first. */
static void merge_pairs(const char *word, size_t n, qwen_ids *out) {
    int32_t ids[64];
    CHECK(n <= 64);
    for (size_t i = 0; i < n; i++) ids[i] = (unsigned char)word[i];
    for (;;) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++) {
            const bool pair = ids[i] < 256 && ids[i + 1] < 256;
            if (pair && (best == n || ids[i] * 256 + ids[i + 1] < ids[best] * 256 + ids[best + 1])) best = i;
        }
        if (best == n) break;
        ids[best] = 256 + ids[best] * 256 + ids[best + 1];
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        n--;
    }
    for (size_t i = 0; i < n; i++) CHECK(qwen_ids_push(out, ids[i]));
}

/* The words that the text is cut into must be those between the bars. */
static void check_words(const qwen_tokenizer *t, const char *with_bars) {
    work w = {0};
    const char *end = with_bars + strlen(with_bars);
    for (const char *p = with_bars, *next; p <= end; p = next + 1) {
        next = strchr(p, '|');
        if (!next) next = end;
        CHECK(qwen_buf_append(&w.text, p, (size_t)(next - p)));
        merge_pairs(p, (size_t)(next - p), &w.want_ids);
    }
    CHECK(qwen_tokenizer_encode(t, w.text.data, w.text.len, &w.ids, NULL) == QWEN_OK);
    CHECKF(same_ids(&w.ids, &w.want_ids), "\"%s\"", with_bars);
    work_free(&w);
}

/* Vocabulary: bytes and all 65,536 pairs of bytes, so that most wrong cuts show in the pairs. */
static qwen_tokenizer *open_pairs(void) {
    char dir[MODEL_DIR_MAX];
    qwen_buf vocab = {0}, merges = {0}, alphabet[256] = {{0}};
    unsigned next = 0x100, id = 0;
    char line[64];
    for (unsigned b = 0; b < 256; b++)
        CHECK(
            qwen_buf_put_utf8(&alphabet[b], (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++));
    for (unsigned a = 0; a < 256; a++) {
        const char *escape = a == '"' || a == '\\' ? "\\" : "";
        snprintf(line, sizeof line, "%s\"%s%s\":%u", a ? "," : "{", escape, alphabet[a].data, id++);
        CHECK(qwen_buf_puts(&vocab, line));
    }
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            const char *escape_a = a == '"' || a == '\\' ? "\\" : "", *escape_b = b == '"' || b == '\\' ? "\\" : "";
            snprintf(line, sizeof line, ",\"%s%s%s%s\":%u", escape_a, alphabet[a].data, escape_b, alphabet[b].data,
                     id++);
            CHECK(qwen_buf_puts(&vocab, line));
            snprintf(line, sizeof line, "%s %s\n", alphabet[a].data, alphabet[b].data);
            CHECK(qwen_buf_puts(&merges, line));
        }
    }
    CHECK(qwen_buf_puts(&vocab, "}"));
    model_dir_new(dir);
    model_dir_write(dir, "vocab.json", vocab.data, vocab.len);
    model_dir_write(dir, "merges.txt", merges.data, merges.len);
    static const char config[] = "{\"added_tokens_decoder\":{\"65792\":{\"content\":\"<x>\",\"special\":true},"
                                 "\"65793\":{\"content\":\"<x><y>\"},\"65900\":{\"content\":\"\\u00e9e\\u0301\"}}}";
    model_dir_write(dir, "tokenizer_config.json", config, sizeof config - 1);
    qwen_tokenizer *t = NULL;
    qwen_error err = {0};
    CHECKF(qwen_tokenizer_open(&t, dir, &err) == QWEN_OK, "%s", err.msg);
    model_dir_remove(dir);
    qwen_buf_free(&vocab);
    qwen_buf_free(&merges);
    for (unsigned b = 0; b < 256; b++) qwen_buf_free(&alphabet[b]);
    return t;
}

static void text_is_cut_into_the_words_of_the_pattern(const qwen_tokenizer *t) {
    static const char *const cases[] = {
        /* white space: the last blank goes with the word, line breaks with the blanks before them */
        "Hello| world|!",
        "a|  | b",
        "  | a",
        "a|   ",
        "   ",
        " ",
        "a|\n|b",
        "a|\n\n|b",
        "a|  \n \n|  | b",
        "a|  \n|\tb",
        "\r\n",
        " \r\n| x",
        "a|\xC2\xA0|\xC2\xA0"
        "b",
        "a|\xC2\x85\n",
        "\tfoo|\t|\tfoo",
        "a|\t|1",
        "a|\xE2\x80\xA8|\xE2\x80\xA8"
        "b",
        /* signs, with the line breaks after them */
        "x|!\n\n|y",
        "x| !!\r\n|  | y",
        "(foo|).(|bar|).",
        "_foo|__|bar",
        "a|,|\xE3\x80\x80|,",
        "\xE3\x80\x80\xE6\x97\xA5\xE6\x9C\xAC|\xE3\x80\x82",
        "a|\x01\x02",
        "a|\x1C"
        "b",
        "$|1",
        " $|1",
        " --|a",
        /* single digits, of every script */
        "1|2|3",
        "a|1|b",
        " |1",
        "\xC2\xB2|\xE2\x85\xA7",
        "\xE0\xA5\xAA|\xE0\xA5\xAB",
        /* short forms, in any case, with the long s; the typographic apostrophe makes none */
        "it|'s",
        "IT|'S",
        "we|'re|'ve|'ll|'d|'m|'t",
        "WE|'RE|'lL",
        "x|'|1",
        "x|'s|ound",
        "x|'rabbit",
        "x|'vx",
        "x|'lx",
        "'s|s",
        "x|'\xC5\xBF|x",
        "x|'\xC5\xBF",
        "x|'",
        "'r|'re",
        "don|'t|'",
        "\xE2\x80\x99s",
        /* a mark is no letter, but may stand in front of letters as any other sign */
        "\xE0\xB8\x81|\xE0\xB8\xB1\xE0\xB8\x99",
        /* broken bytes are signs */
        "a|\xFF\xFE|1|\xC3",
        "\xE3\x81"
        "a",
        " \xFF|1",
        "\xF0\x9F\x98|1",
        "\xED\xA0\x80|1",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_words(t, cases[i]);
}

static void check_ids(const qwen_tokenizer *t, const char *text, const int32_t *want, size_t n) {
    qwen_ids ids = {0};
    CHECK(qwen_tokenizer_encode(t, text, strlen(text), &ids, NULL) == QWEN_OK);
    CHECKF(ids.len == n && (n == 0 || memcmp(ids.data, want, n * sizeof *want) == 0), "\"%s\"", text);
    qwen_ids_free(&ids);
}
#define CHECK_IDS(t, text, ...) \
    do { \
        const int32_t want_ids[] = {__VA_ARGS__}; \
        check_ids(t, text, want_ids, sizeof want_ids / sizeof *want_ids); \
    } while (0)

static void added_tokens_are_found_in_the_raw_text_longest_first(const qwen_tokenizer *t) {
    CHECK_IDS(t, "<x>", 65792);
    CHECK_IDS(t, "<x><x><y><x>", 65792, 65793, 65792);
    CHECK_IDS(t, "<x><y", 65792, 256 + '<' * 256 + 'y');
    CHECK_IDS(t, "a <x>1", 'a', ' ', 65792, '1'); /* the blank ends its text, so it is a word of its own */
    CHECK_IDS(t,
              "\xC3\xA9"
              "e\xCC\x81",
              65900);                                   /* matched before NFC ... */
    CHECK_IDS(t, "e\xCC\x81", 256 + 0xC3 * 256 + 0xA9); /* ... which this text then gets */
    CHECK(qwen_tokenizer_size(t) == 65901);
    CHECK(qwen_tokenizer_added(t, "<x>") == 65792 && qwen_tokenizer_added(t, "<x") == -1 &&
          qwen_tokenizer_added(t, "") == -1 && qwen_tokenizer_added(t, "<x>a") == -1 &&
          qwen_tokenizer_added(t, "ab") == -1);
    CHECK(strcmp(qwen_tokenizer_source(t), "tokenizer_config.json") == 0);
}

static void ids_without_a_token_give_nothing(const qwen_tokenizer *t) {
    const int32_t ids[] = {'a', -1, 65794, 65899, 65901, INT32_MAX, INT32_MIN, 65792, 'b', 0xE3, 65793, 0x81};
    const size_t n = sizeof ids / sizeof *ids;
    qwen_buf out = {0};
    CHECK(qwen_tokenizer_decode_bytes(t, ids, n, true, &out) && out.len == 10 &&
          memcmp(out.data, "ab\xE3<x><y>\x81", 10) == 0);
    qwen_buf_clear(&out);
    CHECK(qwen_tokenizer_decode(t, ids, n, false, &out) &&
          strcmp(out.data, "a<x>b\xEF\xBF\xBD<x><y>\xEF\xBF\xBD") == 0);
    size_t len = 9;
    bool special = true;
    CHECK(!qwen_tokenizer_bytes(t, 65794, &len, &special) && len == 0 && !special);
    CHECK(strncmp(qwen_tokenizer_bytes(t, 65792, &len, &special), "<x>", 3) == 0 && len == 3 && special);
    qwen_buf_free(&out);
}

static void any_bytes_come_back_as_their_nfc(const qwen_tokenizer *t) {
    static const char *const pieces[] = {"a",
                                         " ",
                                         "  ",
                                         "\n",
                                         "'s",
                                         "1",
                                         "\xC3\xA9",
                                         "e\xCC\x81",
                                         "\xFF",
                                         "\xE3\x81",
                                         "\xE6\x97\xA5",
                                         "<|im_end|>",
                                         "<|im",
                                         "<asr_text>",
                                         "\xCC\x81",
                                         "\xF0\x9F\x98\x80",
                                         "\xED\x95\x9C",
                                         "\xE1\x84\x92\xE1\x85\xA1",
                                         "Straße",
                                         ".",
                                         "\t",
                                         "\0"};
    const size_t n_pieces = sizeof pieces / sizeof *pieces;
    uint32_t state = 7;
    work w = {0};
    for (int round = 0; round < 3000; round++) {
        qwen_buf_clear(&w.text);
        qwen_buf_clear(&w.want);
        qwen_buf_clear(&w.want_all);
        qwen_buf_clear(&w.got);
        w.ids.len = 0;
        for (int k = 0; k < round % 40; k++) {
            state = state * 1664525u + 1013904223u;
            const char *piece = pieces[(state >> 16) % n_pieces];
            CHECK(qwen_buf_append(&w.text, piece, *piece ? strlen(piece) : 1));
        }
        CHECK(qwen_nfc_append(&w.want, w.text.data, w.text.len));
        CHECK(qwen_tokenizer_encode(t, w.text.data, w.text.len, &w.ids, NULL) == QWEN_OK);
        CHECK(qwen_tokenizer_decode_bytes(t, w.ids.data, w.ids.len, false, &w.want_all));
        CHECK(
            qwen_nfc_append(&w.got, w.want_all.data, w.want_all.len)); /* marks after an added token compose only now */
        CHECKF(same_bytes(&w.want, &w.got), "\"%s\" came back as \"%s\"", w.want.data, w.got.data);
    }
    work_free(&w);
}

/* Each is one word, and the worst that merging can meet. */
static void long_words_do_not_take_long(const qwen_tokenizer *t) {
    qwen_buf text = {0}, got = {0};
    qwen_ids ids = {0};
    for (int kind = 0; kind < 3; kind++) {
        qwen_buf_clear(&text);
        qwen_buf_clear(&got);
        ids.len = 0;
        for (int i = 0; i < 100000; i++)
            CHECK(qwen_buf_puts(&text, kind == 0 ? "a" : kind == 1 ? " " : i % 3 ? "!" : "\xFF"));
        const double start = seconds();
        CHECK(qwen_tokenizer_encode(t, text.data, text.len, &ids, NULL) == QWEN_OK);
        CHECKF(seconds() - start < 1, "%.1f s", seconds() - start);
        CHECK(qwen_tokenizer_decode_bytes(t, ids.data, ids.len, false, &got) && same_bytes(&got, &text));
    }
    qwen_buf_free(&text);
    qwen_buf_free(&got);
    qwen_ids_free(&ids);
}

/* Does not count checks: the counters are not for several threads. NULL: every round gave the ids wanted. */
static void *encode_often(void *arg) {
    const qwen_tokenizer *t = arg;
    static const int32_t want[] = {65792, 'a', 65793};
    bool ok = true;
    for (int i = 0; i < 500; i++) {
        qwen_ids ids = {0};
        ok = ok && qwen_tokenizer_encode(t, "<x>a<x><y>", 10, &ids, NULL) == QWEN_OK && ids.len == 3 &&
             memcmp(ids.data, want, sizeof want) == 0;
        qwen_ids_free(&ids);
    }
    return ok ? NULL : arg;
}

static void threads_share_a_tokenizer(qwen_tokenizer *t) {
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, encode_often, t) == 0);
    for (int i = 0; i < 4; i++) {
        void *failed = t;
        CHECK(pthread_join(thread[i], &failed) == 0 && !failed);
    }
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static void coding_without_memory_fails_cleanly(const qwen_tokenizer *t) {
    static const char text[] = "<x>Hello world, e\xCC\x81 and a good deal more text so that every buffer has to grow "
                               "at least once.<x><y> And more after it";
    for (long n = 1;; n++) {
        const long live = qwen_test_live_allocs();
        qwen_ids ids = {0};
        qwen_buf out = {0};
        qwen_error err = {0};
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_tokenizer_encode(t, text, sizeof text - 1, &ids, &err);
        const bool ok = s == QWEN_OK && qwen_tokenizer_decode(t, ids.data, ids.len, false, &out);
        const bool failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECK(ok == !failed && (s == QWEN_OK || (s == QWEN_ERR_NOMEM && ids.len == 0 && err.msg[0])) &&
              (ok || out.len == 0));
        qwen_ids_free(&ids);
        qwen_buf_free(&out);
        CHECK(qwen_test_live_allocs() == live);
        if (!failed) break;
    }
}

int main(void) {
    every_golden_line_has_the_official_ids_and_text();
    if (have_full_vocabulary()) the_full_vocabulary_agrees_and_loads_quickly();
    else SKIP("the 550 lines of qwen-full: tests/data/qwen-full is not there, tools/qwen_full_vocab.py makes it");
    qwen_tokenizer *pairs = open_pairs(), *tiny = open_data("parity/tiny-a");
    text_is_cut_into_the_words_of_the_pattern(pairs);
    added_tokens_are_found_in_the_raw_text_longest_first(pairs);
    ids_without_a_token_give_nothing(pairs);
    any_bytes_come_back_as_their_nfc(tiny);
    long_words_do_not_take_long(tiny);
    long_words_do_not_take_long(pairs);
    threads_share_a_tokenizer(pairs);
    coding_without_memory_fails_cleanly(pairs);
    qwen_tokenizer_close(pairs);
    qwen_tokenizer_close(tiny);
    qwen_tokenizer_close(NULL);
    return check_done("test_tokenizer");
}
