/*
 * test_text.c - raw output becomes language and text as the official post-processing does it
 * (tests/data/parity/text.json), a growing output shows no half tag, and languages are found by name and by code.
 */
#include <time.h>

#include "check.h"
#include "qwen_asr.h"
#include "qwen_asr_buf.h"
#include "qwen_asr_json.h"
#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_text.h"

static bool same(const qwen_buf *a, const qwen_buf *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}
static const char *show(const qwen_buf *b) { return b->data ? b->data : ""; }

/* One object of text.json whose values are strings, null or booleans: the named ones, absent or null as has = false. */
typedef struct field {
    const char *name;
    bool has, truth;
    qwen_buf text;
} field;

static void read_fields(qwen_json *j, field *f, size_t n) {
    qwen_str key, s;
    for (size_t i = 0; i < n; i++) {
        f[i].has = f[i].truth = false;
        qwen_buf_clear(&f[i].text);
    }
    CHECK(qwen_json_object(j) == QWEN_OK);
    while (qwen_json_key(j, &key)) {
        field *to = NULL;
        for (size_t i = 0; i < n; i++)
            if (qwen_str_is(key, f[i].name)) to = &f[i];
        const qwen_json_kind kind = qwen_json_peek(j);
        if (to && kind == QWEN_JSON_STRING) {
            to->has = qwen_json_string(j, &s) == QWEN_OK && qwen_buf_append(&to->text, s.data, s.len);
        } else if (to && (kind == QWEN_JSON_TRUE || kind == QWEN_JSON_FALSE)) {
            to->has = qwen_json_bool(j, &to->truth) == QWEN_OK;
        } else {
            CHECK(qwen_json_skip(j) == QWEN_OK);
        }
    }
}

static void check_parse_case(field *f) { /* raw, forced, language, text */
    qwen_buf language = {0}, text = {0};
    CHECK(qwen_buf_puts(&language, "old") && qwen_buf_puts(&text, "old"));
    CHECK(qwen_parse_output(f[0].text.data, f[0].text.len, f[1].has ? f[1].text.data : NULL, &language, &text));
    CHECKF(same(&language, &f[2].text) && same(&text, &f[3].text), "\"%s\" gave \"%s\", \"%s\"", show(&f[0].text),
           show(&language), show(&text));
    /* A partial that is complete says the same, or nothing while it waits for its tag. */
    qwen_buf language2 = {0}, text2 = {0};
    CHECK(qwen_parse_partial(f[0].text.data, f[0].text.len, f[1].has ? f[1].text.data : NULL, &language2, &text2));
    CHECK((same(&language, &language2) && same(&text, &text2)) || (language2.len == 0 && text2.len == 0 && !f[1].has));
    qwen_buf_free(&language);
    qwen_buf_free(&text);
    qwen_buf_free(&language2);
    qwen_buf_free(&text2);
}

static void check_normalize_case(field *f) { /* input, normalized, supported */
    qwen_buf out = {0};
    const char *name = NULL;
    CHECK(qwen_normalize_language(f[0].text.data, f[0].text.len, &out));
    CHECKF(same(&out, &f[1].text), "\"%s\" gave \"%s\"", show(&f[0].text), show(&out));
    const bool blank = out.len == 0, code = out.len == 2; /* codes are accepted here, not by the official package */
    if (!code) {
        const qwen_status s = qwen_language_find(&name, show(&f[0].text), NULL);
        CHECKF((s == QWEN_OK) == (f[2].truth || blank), "\"%s\"", show(&f[0].text));
        CHECK(f[2].truth ? name && strcmp(name, show(&out)) == 0 : name == NULL);
    }
    qwen_buf_free(&out);
}

static void every_official_case_is_reproduced(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/parity/text.json", check_data());
    qwen_map file = {0};
    qwen_error err = {0};
    CHECKF(qwen_map_open(&file, path, false, 0, &err) == QWEN_OK, "%s", err.msg);
    qwen_json j;
    qwen_str key;
    size_t n_parse = 0, n_normalize = 0;
    field parse[] = {{.name = "raw"}, {.name = "forced"}, {.name = "language"}, {.name = "text"}};
    field normalize[] = {{.name = "input"}, {.name = "normalized"}, {.name = "supported"}};
    qwen_json_open(&j, path, (const char *)file.data, file.size, &err);
    CHECK(qwen_json_object(&j) == QWEN_OK);
    while (qwen_json_key(&j, &key)) {
        const bool is_parse = qwen_str_is(key, "parse"), is_normalize = qwen_str_is(key, "normalize");
        if (!is_parse && !is_normalize) {
            CHECK(qwen_json_skip(&j) == QWEN_OK);
            continue;
        }
        CHECK(qwen_json_array(&j) == QWEN_OK);
        while (qwen_json_element(&j)) {
            if (is_parse) read_fields(&j, parse, 4), check_parse_case(parse), n_parse++;
            else read_fields(&j, normalize, 3), check_normalize_case(normalize), n_normalize++;
        }
    }
    CHECKF(qwen_json_end(&j) == QWEN_OK, "%s", err.msg);
    CHECKF(n_parse >= 55 && n_normalize >= 10, "%zu and %zu cases", n_parse, n_normalize);
    for (size_t i = 0; i < 4; i++) qwen_buf_free(&parse[i].text);
    for (size_t i = 0; i < 3; i++) qwen_buf_free(&normalize[i].text);
    qwen_json_close(&j);
    qwen_map_close(&file);
}

static void check_partial(const char *raw, const char *forced, const char *want_language, const char *want_text) {
    qwen_buf language = {0}, text = {0};
    CHECK(qwen_parse_partial(raw, strlen(raw), forced, &language, &text));
    CHECKF(strcmp(show(&language), want_language) == 0 && strcmp(show(&text), want_text) == 0,
           "\"%s\" shows \"%s\", \"%s\"", raw, show(&language), show(&text));
    qwen_buf_free(&language);
    qwen_buf_free(&text);
}

static void a_growing_output_shows_no_half_tag(void) {
    static const char whole[] = "language English<asr_text>Good morning.";
    char raw[sizeof whole];
    for (size_t n = 0; n <= 26; n++) {
        snprintf(raw, sizeof raw, "%.*s", (int)n, whole);
        check_partial(raw, NULL, n == 26 ? "English" : "", "");
    }
    check_partial("language English<asr_text>Good", NULL, "English", "Good");
    check_partial(whole, NULL, "English", "Good morning.");
    check_partial("  LANGUAGE en", NULL, "", "");
    check_partial("language English\n", NULL, "", "");
    check_partial("<asr_te", NULL, "", "");
    check_partial("<asr_text>x", NULL, "", "x");
    check_partial("language None<asr_text>", NULL, "", "");
    /* no tag can come any more, or none is expected */
    check_partial("Good", NULL, "", "Good");
    check_partial("langu age", NULL, "", "langu age");
    check_partial("languages differ", NULL, "", "languages differ");
    check_partial("language English\nGood", NULL, "", "language English\nGood");
    check_partial("language is what people speak when they want to be understood", NULL, "",
                  "language is what people speak when they want to be understood");
    check_partial("language", "English", "English", "language");
    check_partial("", "English", "", "");
    check_partial("Good", "English", "English", "Good");
}

static void check_repetitions(const char *s, size_t n, const char *want, size_t n_want) {
    qwen_buf out = {0};
    CHECK(qwen_buf_puts(&out, "old"));
    CHECK(qwen_fix_repetitions(s, n, &out));
    CHECKF(out.len == n_want && memcmp(out.data ? out.data : "", want, n_want) == 0, "%zu bytes: \"%s\"", n,
           show(&out));
    qwen_buf_free(&out);
}

static void broken_utf8_becomes_replacement_characters(void) {
    check_repetitions("", 0, "", 0);
    check_repetitions("a\xFF\xE3\x81z\0b", 7, "a\xEF\xBF\xBD\xEF\xBF\xBDz\0b", 10);
    char run[63];
    memset(run, 0xFF, sizeof run); /* a run of broken bytes is a run of one character */
    check_repetitions(run, sizeof run, "\xEF\xBF\xBD", 3);
    qwen_buf language = {0}, text = {0};
    CHECK(qwen_parse_output("language \xFFx<asr_text>\xE3\x81", 23, NULL, &language, &text));
    CHECK(strcmp(show(&language), "\xEF\xBF\xBDx") == 0 && strcmp(show(&text), "\xEF\xBF\xBD") == 0);
    qwen_buf_free(&language);
    qwen_buf_free(&text);
}

/* 19 copies of every pattern are no loop, but each is looked at: the worst that the search can meet must stay quick. */
static void near_repetitions_do_not_take_long(void) {
    qwen_buf s = {0}, out = {0};
    for (int i = 0; i < 2000; i++) {
        for (int k = 0; k < 19; k++) CHECK(qwen_buf_puts(&s, "abcdefghijklmnopqrst"));
        CHECK(qwen_buf_puts(&s, "!"));
    }
    const clock_t start = clock();
    CHECK(qwen_fix_repetitions(s.data, s.len, &out));
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 5 && same(&s, &out));
    qwen_buf_free(&s);
    qwen_buf_free(&out);
}

static void check_language(const char *name, const char *want) {
    const char *got = "untouched";
    qwen_error err = {0};
    const qwen_status s = qwen_language_find(&got, name, &err);
    CHECKF(s == QWEN_OK && (want ? got && strcmp(got, want) == 0 : !got), "\"%s\" gave %s", name ? name : "NULL",
           got ? got : "NULL");
}

static void check_unknown(const char *name, const char *shown) {
    const char *got = "untouched";
    qwen_error err = {0};
    CHECK(qwen_language_find(&got, name, &err) == QWEN_ERR_ARG && !got);
    CHECKF(strncmp(err.msg, shown, strlen(shown)) == 0, "%s", err.msg);
    for (size_t i = 0; i < QWEN_N_LANGUAGES; i++) {
        char both[64];
        snprintf(both, sizeof both, "%s (%s)", qwen_language_name(i), qwen_language_code(i));
        CHECKF(strstr(err.msg, both) != NULL, "%s is missing: %s", both, err.msg);
    }
    CHECK(err.msg[strlen(err.msg) - 1] == ')'); /* not cut */
    CHECK(qwen_language_find(&got, name, NULL) == QWEN_ERR_ARG);
}

static void languages_are_found_by_name_and_code(void) {
    for (size_t i = 0; i < QWEN_N_LANGUAGES; i++) {
        check_language(qwen_language_name(i), qwen_language_name(i));
        check_language(qwen_language_code(i), qwen_language_name(i));
    }
    CHECK(!qwen_language_name(QWEN_N_LANGUAGES) && !qwen_language_code(QWEN_N_LANGUAGES));
    CHECK(strcmp(qwen_language_name(0), "Chinese") == 0 && strcmp(qwen_language_name(29), "Macedonian") == 0);
    check_language(NULL, NULL);
    check_language("", NULL);
    check_language(" \t\xE3\x80\x80", NULL);
    check_language("  eNGLISH\n", "English");
    check_language("EN", "English");
    check_language("\xC2\xA0yue ", "Cantonese");
    check_language("en-US", "English");
    check_language("zh_CN.UTF-8", "Chinese");
    check_language("fil-PH", "Filipino");
    check_language("tl", "Filipino");
    check_unknown("klingon", "\"klingon\" is no language");
    check_unknown("x", "\"x\"");
    check_unknown("-en", "\"-en\"");
    check_unknown("en-", "\"en-\"");
    check_unknown("eng", "\"eng\"");
    check_unknown("en glish", "\"en glish\"");
    check_unknown("an unknown language with a very long name and more", "\"an unknown language with a v");
    check_unknown("\xE8\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD\xE8"
                  "\xAF\xAD\xE8\xAF\xAD\xE8\xAF\xAD",
                  "\"\xE8\xAF\xAD");
    check_unknown("a\x1B[31m\xFF", "\"a?[31m?\" is");
}

static void without_memory_parsing_says_so_and_leaks_nothing(void) {
    static const char raw[] = "language German<asr_text>ein Text, der l\xC3\xA4nger ist als die erste Zeile eines "
                              "Puffers, damit er wachsen muss";
    for (long n = 1;; n++) {
        const long live = qwen_test_live_allocs();
        qwen_buf language = {0}, text = {0};
        qwen_test_fail_alloc(n);
        const bool ok = qwen_parse_output(raw, sizeof raw - 1, NULL, &language, &text);
        const bool failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECK(ok == !failed);
        qwen_buf_free(&language);
        qwen_buf_free(&text);
        CHECK(qwen_test_live_allocs() == live);
        if (!failed) break;
    }
    qwen_buf out = {0};
    qwen_test_fail_alloc(1);
    CHECK(!qwen_fix_repetitions("abc", 3, &out));
    qwen_test_fail_alloc(1);
    CHECK(!qwen_normalize_language("abc", 3, &out));
    qwen_test_fail_alloc(0);
    qwen_buf_free(&out);
}

int main(void) {
    every_official_case_is_reproduced();
    a_growing_output_shows_no_half_tag();
    broken_utf8_becomes_replacement_characters();
    near_repetitions_do_not_take_long();
    languages_are_found_by_name_and_code();
    without_memory_parsing_says_so_and_leaks_nothing();
    return check_done("test_text");
}
