/*
 * test_unicode.c - the character tables say what Python's unicodedata says, for every code point, and NFC is the one of
 * the standard. The sums are printed by tools/unicode_tables.py --checksums: FNV-1a over one value for each code point.
 */
#include "qwen_asr_unicode.h"

#include <time.h>

#include "check.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_unicode_tables.h"

#define SUM_LETTER 0x4ED4E0FED479EAB9ULL
#define SUM_NUMBER 0xD117F6D0FA2CB156ULL
#define SUM_PY_SPACE 0x7BB07F364B66B908ULL
#define SUM_LINE_BREAK 0x7BF34883E8B51D5FULL
#define SUM_LOWER 0x3B6E1CBE7145F7ECULL
#define SUM_UPPER 0x536D43ECCDF659AEULL
#define SUM_NFC 0x23FC43766D7C2EB9ULL
#define SUM_NFC_OF_NFD 0x23FC43766D7C2EB9ULL
#define SUM_NFC_RANDOM 0xE622FE1533F9852AULL

#define FNV_START 0xCBF29CE484222325ULL

static uint64_t fnv(uint64_t h, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3ULL;
    return h;
}

static bool is_surrogate(uint32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

static uint64_t sum_of_class(bool (*f)(uint32_t)) {
    uint64_t h = FNV_START;
    for (uint32_t c = 0; c < 0x110000; c++) {
        const char bit = f(c);
        if (!is_surrogate(c)) h = fnv(h, &bit, 1);
    }
    return h;
}

static uint64_t sum_of_mapping(uint32_t (*f)(uint32_t)) {
    uint64_t h = FNV_START;
    for (uint32_t c = 0; c < 0x110000; c++) {
        const uint32_t m = f(c);
        unsigned char bytes[4]; /* little endian on every machine */
        for (int i = 0; i < 4; i++) bytes[i] = (unsigned char)(m >> 8 * i);
        if (!is_surrogate(c)) h = fnv(h, bytes, 4);
    }
    return h;
}

static void classes_and_cases_are_those_of_unicode_for_every_code_point(void) {
    CHECK(sum_of_class(qwen_is_letter) == SUM_LETTER);
    CHECK(sum_of_class(qwen_is_number) == SUM_NUMBER);
    CHECK(sum_of_class(qwen_is_py_space) == SUM_PY_SPACE);
    CHECK(sum_of_class(qwen_is_line_break) == SUM_LINE_BREAK);
    CHECK(sum_of_mapping(qwen_to_lower) == SUM_LOWER);
    CHECK(sum_of_mapping(qwen_to_upper) == SUM_UPPER);
    for (uint32_t c = 0; c < 0x110000; c++)
        CHECK(qwen_is_space(c) == (qwen_is_py_space(c) && !(c >= 0x1C && c <= 0x1F)));
}

static void nfc_of_every_code_point_is_right(void) {
    uint64_t h = FNV_START;
    qwen_buf in = {0}, out = {0};
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (is_surrogate(c)) continue;
        qwen_buf_clear(&in);
        qwen_buf_clear(&out);
        CHECK(qwen_buf_put_utf8(&in, c) && qwen_nfc_append(&out, in.data, in.len));
        h = fnv(h, out.data, out.len);
    }
    CHECK(h == SUM_NFC && SUM_NFC == SUM_NFC_OF_NFD);
    qwen_buf_free(&in);
    qwen_buf_free(&out);
}

static uint32_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

static void nfc_of_random_strings_is_right_and_stays_as_it_is(void) {
    static uint32_t pool[0x8000];
    size_t n_pool = 0;
    for (size_t i = 0; i < qwen_n_nfc_joins; i++)
        for (uint32_t c = qwen_nfc_joins[i].first; c <= qwen_nfc_joins[i].last; c++) pool[n_pool++] = c;
    for (uint32_t c = 0x41; c < 0x5B; c++) pool[n_pool++] = c;
    for (uint32_t c = 0xC0; c < 0x100; c++) pool[n_pool++] = c;
    for (uint32_t c = 0x1100; c < 0x1113; c++) pool[n_pool++] = c;
    for (uint32_t c = 0xAC00; c < 0xAC00 + 57; c++) pool[n_pool++] = c;
    CHECK(n_pool <= sizeof pool / sizeof pool[0]);
    uint64_t h = FNV_START, state = 1;
    qwen_buf in = {0}, out = {0}, again = {0};
    for (int round = 0; round < 20000; round++) {
        qwen_buf_clear(&in);
        qwen_buf_clear(&out);
        qwen_buf_clear(&again);
        for (uint32_t n = 1 + draw(&state) % 12; n > 0; n--) CHECK(qwen_buf_put_utf8(&in, pool[draw(&state) % n_pool]));
        CHECK(qwen_nfc_append(&out, in.data, in.len));
        CHECK(qwen_nfc_append(&again, out.data, out.len));
        CHECK(again.len == out.len && memcmp(again.data, out.data, out.len) == 0);
        h = fnv(h, out.data, out.len);
    }
    CHECK(h == SUM_NFC_RANDOM);
    qwen_buf_free(&in);
    qwen_buf_free(&out);
    qwen_buf_free(&again);
}

static void check_nfc(const char *text, size_t n, const char *want, size_t n_want) {
    qwen_buf out = {0};
    CHECK(qwen_buf_puts(&out, "before "));
    CHECK(qwen_nfc_append(&out, text, n));
    CHECKF(out.len == 7 + n_want && memcmp(out.data + 7, want, n_want) == 0, "text \"%.*s\" gave \"%s\"", (int)n, text,
           out.data);
    qwen_buf_free(&out);
}
#define CHECK_NFC(text, want) check_nfc(text, sizeof(text) - 1, want, sizeof(want) - 1)

static void known_texts_are_composed_and_broken_bytes_pass_through(void) {
    CHECK_NFC("", "");
    CHECK_NFC("plain", "plain");
    CHECK_NFC("e\xCC\x81", "\xC3\xA9");
    CHECK_NFC("xe\xCC\x81y\xE2\x84\xABz", "x\xC3\xA9y\xC3\x85z");
    CHECK_NFC("\xCC\x81"
              "a",
              "\xCC\x81"
              "a"); /* a mark without a letter before it */
    CHECK_NFC("a\xCC\x95\xCC\x80\xD6\xAE\xCC\x80"
              "b",
              "\xC3\xA0\xD6\xAE\xCC\x80\xCC\x95"
              "b");                                                    /* from NormalizationTest.txt, part 2 */
    CHECK_NFC("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C"); /* h + a + n of Hangul */
    CHECK_NFC("a\0e\xCC\x81", "a\0\xC3\xA9");                          /* a NUL is a character */
    CHECK_NFC("\xFF"
              "e\xCC\x81\xE3\x81",
              "\xFF\xC3\xA9\xE3\x81");
    CHECK_NFC("\xE3\x81\xCC\x81", "\xE3\x81\xCC\x81");         /* a mark on a broken character */
    CHECK_NFC("\xEF\xBF\xBD\xCC\x81", "\xEF\xBF\xBD\xCC\x81"); /* and on a written-out U+FFFD */
    CHECK_NFC("\xED\xA0\x80", "\xED\xA0\x80");                 /* a surrogate in UTF-8 is broken */
}

/* 400,000 marks of alternating classes: sorting them must not be quadratic. */
static void a_very_long_run_of_marks_is_no_problem(void) {
    qwen_buf in = {0}, out = {0};
    for (int i = 0; i < 200000; i++) CHECK(qwen_buf_puts(&in, "\xCC\x95\xCC\xA3"));
    const clock_t start = clock();
    CHECK(qwen_nfc_append(&out, in.data, in.len));
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 2);
    CHECK(out.len == in.len && memcmp(out.data, "\xCC\xA3\xCC\xA3", 4) == 0 &&
          memcmp(out.data + out.len - 4, "\xCC\x95\xCC\x95", 4) == 0);
    qwen_buf_free(&in);
    qwen_buf_free(&out);
}

static void without_memory_nothing_is_appended_and_nothing_leaks(void) {
    char text[600];
    for (size_t i = 0; i < sizeof text; i += 3) memcpy(text + i, "e\xCC\x81", 3);
    for (long n = 1;; n++) {
        const long live = qwen_test_live_allocs();
        qwen_buf out = {0};
        CHECK(qwen_buf_puts(&out, "kept"));
        qwen_test_fail_alloc(n);
        const bool ok = qwen_nfc_append(&out, text, sizeof text);
        const bool failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECK(ok == !failed && (ok || out.len == 4) && strncmp(out.data, "kept", 4) == 0);
        qwen_buf_free(&out);
        CHECK(qwen_test_live_allocs() == live);
        if (!failed) break;
    }
}

int main(void) {
    classes_and_cases_are_those_of_unicode_for_every_code_point();
    nfc_of_every_code_point_is_right();
    nfc_of_random_strings_is_right_and_stays_as_it_is();
    known_texts_are_composed_and_broken_bytes_pass_through();
    a_very_long_run_of_marks_is_no_problem();
    without_memory_nothing_is_appended_and_nothing_leaks();
    return check_done("test_unicode");
}
