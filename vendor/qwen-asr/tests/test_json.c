/* The pull parser: what it reads, what it refuses and with which sentence, and that neither depth nor memory can hurt
 * it. */
#include <math.h>

#include "check.h"
#include "qwen_asr_json.h"
#include "qwen_asr_mem.h"

static qwen_error err;

/* Skips the only value of text; the status of the whole. */
static qwen_status check_text(const char *text, size_t n) {
    qwen_json j;
    err = (qwen_error){0};
    qwen_json_open(&j, "f.json", text, n, &err);
    qwen_status s = qwen_json_skip(&j);
    const qwen_status end = qwen_json_end(&j);
    if (s == QWEN_OK) s = end;
    CHECK(s == QWEN_OK || end == s); /* the first error sticks */
    qwen_json_close(&j);
    qwen_json_close(&j);
    return s;
}

static void well_formed_texts_are_accepted(void) {
    static const char *const good[] = {
        "0",
        "-0",
        "10",
        "-1.5e+10",
        "1E5",
        "0.0",
        "true",
        " false ",
        "null\n",
        "\"\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[1,2,[3,[]],{}]",
        "{\"a\":1,\"b\":[true,null]}",
        "\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\"",
        "\"\xEF\xBF\xBD\"",
        "\"\x7F\"",
        "\t\r\n{\"\":{\"\":[\"\"]}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECKF(check_text(good[i], strlen(good[i])) == QWEN_OK, "%s: %s", good[i], err.msg);
}

static void malformed_texts_are_refused_with_the_place(void) {
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "line 1, column 1: the text ends where a value is expected"},
        {"  ", "column 3"},
        {"{\"a\":1,\n \"b\" 2}", "line 2, column 6: expected ':'"},
        {"{\"a\":1,}", "expected a key in quotes"},
        {"{a:1}", "expected a key in quotes"},
        {"{\"a\"", "expected ':'"},
        {"{\"a\":", "the text ends where a value is expected"},
        {"{\"a\":1", "the text ends inside a container"},
        {"{\"a\":1 \"b\":2}", "expected ',' or '}'"},
        {"{,}", "expected a key in quotes"},
        {"[1,]", "expected a value"},
        {"[,1]", "expected a value"},
        {"[1 2]", "expected ',' or ']'"},
        {"[1", "the text ends inside a container"},
        {"[1}", "expected ',' or ']'"},
        {"{]", "expected a key"},
        {"1 2", "more text after the end"},
        {"{}}", "more text after the end"},
        {"tru", "expected a value"},
        {"nul", "expected a value"},
        {"True", "expected a value"},
        {"NaN", "expected a value"},
        {"Infinity", "expected a value"},
        {"'a'", "expected a value"},
        {"// c\n1", "expected a value"},
        {"\xEF\xBB\xBF{}", "expected a value"},
        {"01", "leading zero"},
        {"-", "expected a digit"},
        {"+1", "expected a value"},
        {".5", "expected a value"},
        {"1.", "expected a digit after the decimal point"},
        {"1e", "expected a digit in the exponent"},
        {"1e+", "expected a digit in the exponent"},
        {"0x10", "more text"},
        {"\"abc", "a string is not closed"},
        {"\"abc\\", "unknown escape"},
        {"\"\\x41\"", "unknown escape"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"\\u12", "four hexadecimal digits"},
        {"\"\\ud800\"", "without the second"},
        {"\"\\ud800\\n\"", "without the second"},
        {"\"\\ud800\\ud800\"", "without the second"},
        {"\"\\udc00\"", "without the first"},
        {"\"a\nb\"", "control character"},
        {"\"\xFF\"", "not UTF-8"},
        {"\"\xC0\x80\"", "not UTF-8"},
        {"\"\xED\xA0\x80\"", "not UTF-8"},
        {"\"\xF0\x9F\x98"
         "A\"",
         "not UTF-8"},
        {"\"\xE4\xBD", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const qwen_status s = check_text(bad[i].text, strlen(bad[i].text));
        CHECKF(s == QWEN_ERR_FORMAT && err.status == s && strstr(err.msg, bad[i].message) &&
                   strstr(err.msg, "f.json: line "),
               "%s gave %d, \"%s\"", bad[i].text, (int)s, err.msg);
    }
    CHECK(check_text("[1\0]", 4) == QWEN_ERR_FORMAT);
    CHECK(check_text("\"a\0b\"", 5) == QWEN_ERR_FORMAT && strstr(err.msg, "control character"));
    CHECK(check_text("1\0", 2) == QWEN_ERR_FORMAT && strstr(err.msg, "more text"));
}

static void depth_is_limited_and_costs_no_stack(void) {
    static char deep[40000];
    const char *const open[] = {"[", "{\"a\":"}, *const close[] = {"]", "}"};
    for (int kind = 0; kind < 2; kind++) {
        for (int levels = 1; levels <= 10000; levels = levels < 64    ? 64
                                                       : levels == 64 ? 65
                                                       : levels == 65 ? 10000
                                                                      : 10001) {
            size_t n = 0;
            const size_t n_open = strlen(open[kind]);
            const int inner = levels == 10000 && kind == 1 ? 6000 : levels;
            for (int i = 0; i < inner; i++, n += n_open) memcpy(deep + n, open[kind], n_open);
            deep[n++] = '1';
            for (int i = 0; i < inner && n < sizeof deep; i++) deep[n++] = *close[kind];
            const qwen_status s = check_text(deep, n);
            CHECKF(s == (levels <= 64 ? QWEN_OK : QWEN_ERR_FORMAT), "%d levels: %s", levels, err.msg);
            if (s != QWEN_OK) CHECK(strstr(err.msg, "nested deeper than 64 levels"));
        }
    }
}

static void values_are_read_by_name(void) {
    static const char text[] = "{\"t\\u0065xt\": \"a\\u00e9\\ud83d\\ude00\\tb\", \"skip\": {\"x\": [1, {\"y\": "
                               "null}]}, \"list\": [1, 2.5, \"s\"],"
                               " \"yes\": true, \"no\": false, \"n\": 151936, \"eps\": 1e-06, \"\": null}";
    qwen_json j;
    qwen_str key, s;
    int seen = 0;
    qwen_json_open(&j, "f.json", text, sizeof text - 1, &err);
    CHECK(qwen_json_object(&j) == QWEN_OK);
    while (qwen_json_key(&j, &key)) {
        seen++;
        if (qwen_str_is(key, "text")) {
            CHECK(qwen_json_peek(&j) == QWEN_JSON_STRING);
            CHECK(qwen_json_string(&j, &s) == QWEN_OK && qwen_str_is(s, "a\xC3\xA9\xF0\x9F\x98\x80\tb"));
        } else if (qwen_str_is(key, "list")) {
            double v = 0;
            CHECK(qwen_json_array(&j) == QWEN_OK && qwen_json_element(&j) && qwen_json_number(&j, &v) == QWEN_OK &&
                  v == 1);
            CHECK(qwen_json_element(&j) && qwen_json_number(&j, &v) == QWEN_OK && v == 2.5);
            CHECK(qwen_json_element(&j) && qwen_json_string(&j, &s) == QWEN_OK && qwen_str_is(s, "s"));
            CHECK(!qwen_json_element(&j));
        } else if (qwen_str_is(key, "yes") || qwen_str_is(key, "no")) {
            const bool want = qwen_str_is(key, "yes");
            bool got = !want;
            CHECK(qwen_json_bool(&j, &got) == QWEN_OK && got == want);
        } else if (qwen_str_is(key, "n")) {
            size_t n = 0;
            CHECK(qwen_json_size(&j, &n, 1, 1u << 24) == QWEN_OK && n == 151936);
        } else if (qwen_str_is(key, "eps")) {
            double v = 0;
            CHECK(qwen_json_number(&j, &v) == QWEN_OK && v == 1e-6);
        } else {
            CHECK(qwen_json_skip(&j) == QWEN_OK);
        }
    }
    CHECK(seen == 8 && qwen_json_end(&j) == QWEN_OK);
    qwen_json_close(&j);
}

static void numbers_are_exact_where_both_parts_are(void) {
    static const char *const exact[] = {"0",
                                        "1",
                                        "-1",
                                        "1e-06",
                                        "1e-6",
                                        "0.000001",
                                        "1000000",
                                        "1e6",
                                        "1000000.0",
                                        "0.02",
                                        "3.14159265358979",
                                        "1e22",
                                        "1e-22",
                                        "123456789012345e-10",
                                        "-0.5",
                                        "9007199254740992",
                                        "1e-05",
                                        "0.8"};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        qwen_json j;
        double v = 0;
        qwen_json_open(&j, "f.json", exact[i], strlen(exact[i]), &err);
        CHECKF(qwen_json_number(&j, &v) == QWEN_OK && v == strtod(exact[i], NULL), "%s gave %.17g", exact[i], v);
        qwen_json_close(&j);
    }
    static const char *const rounded[] = {"0.12345678901234567",
                                          "1.7976931348623157e308",
                                          "5e-300",
                                          "123456789012345678901234567890",
                                          "2.2250738585072014e-308",
                                          "0.00000000000000000000000000000000000000012345678901234567890123"};
    for (size_t i = 0; i < sizeof rounded / sizeof *rounded; i++) {
        qwen_json j;
        double v = 0;
        qwen_json_open(&j, "f.json", rounded[i], strlen(rounded[i]), &err);
        const double want = strtod(rounded[i], NULL);
        CHECKF(qwen_json_number(&j, &v) == QWEN_OK && fabs(v - want) <= 8e-16 * fabs(want), "%s gave %.17g", rounded[i],
               v);
        qwen_json_close(&j);
    }
    static const struct {
        const char *text;
        qwen_status status;
    } ends[] = {{"1e400", QWEN_ERR_FORMAT},
                {"-1e99999999999999999999", QWEN_ERR_FORMAT},
                {"1e-400", QWEN_OK},
                {"1e-99999999999999999999", QWEN_OK},
                {"0e99999999999999999999", QWEN_OK}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        qwen_json j;
        double v = 1;
        qwen_json_open(&j, "f.json", ends[i].text, strlen(ends[i].text), &err);
        CHECKF(qwen_json_number(&j, &v) == ends[i].status && (ends[i].status != QWEN_OK || v == 0), "%s gave %g",
               ends[i].text, v);
        qwen_json_close(&j);
    }
}

static void sizes_say_which_rule_they_broke(void) {
    static const struct {
        const char *value, *message;
    } cases[] = {
        {"0", "f.json: a.b.size: is 0, expected at least 1"},
        {"-5", "is -5, expected at least 1"},
        {"-0", "expected at least 1"},
        {"1001", "is 1001, expected at most 1000"},
        {"99999999999999999999999999999999999999999999", "expected at most 1000"},
        {"18446744073709551616", "is 18446744073709551616, expected at most 1000"},
        {"1.5", "is 1.5, expected a whole number"},
        {"1e2", "is 1e2, expected a whole number"},
        {"\"12\"", "is \"12\", expected a whole number"},
        {"\"\\u0007\\n\"", "is \"?\?\", expected"}, /* no control characters in a message */
        {"null", "is null, expected a whole number"},
        {"true", "is true, expected a whole number"},
        {"[1]", "is an array, expected a whole number"},
        {"{}", "is an object, expected a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160];
        const int n = snprintf(text, sizeof text, "{\"z\":{\"y\":1},\"a\":{\"b\":{\"size\":%s}}}", cases[i].value);
        qwen_json j;
        qwen_str key;
        size_t v = 77;
        qwen_json_open(&j, "f.json", text, (size_t)n, &err);
        CHECK(qwen_json_object(&j) == QWEN_OK && qwen_json_key(&j, &key) && qwen_json_skip(&j) == QWEN_OK);
        CHECK(qwen_json_key(&j, &key) && qwen_json_object(&j) == QWEN_OK && qwen_json_key(&j, &key) &&
              qwen_json_object(&j) == QWEN_OK);
        CHECK(qwen_json_key(&j, &key));
        CHECK(qwen_json_size(&j, &v, 1, 1000) == QWEN_ERR_FORMAT && v == 77);
        CHECKF(strstr(err.msg, cases[i].message) && strstr(err.msg, "f.json: a.b.size: "), "%s gave \"%s\"",
               cases[i].value, err.msg);
        CHECK(!qwen_json_key(&j, &key) && qwen_json_skip(&j) == QWEN_ERR_FORMAT &&
              qwen_json_end(&j) == QWEN_ERR_FORMAT);
        qwen_json_close(&j);
    }
}

static void a_complaint_of_the_caller_has_the_same_form_and_sticks(void) {
    qwen_json j;
    qwen_str key;
    static const char text[] = "{\"outer\":{\"inner\":5}, \"after\": 6}";
    qwen_json_open(&j, "f.json", text, sizeof text - 1, &err);
    CHECK(qwen_json_object(&j) == QWEN_OK && qwen_json_key(&j, &key) && qwen_json_skip(&j) == QWEN_OK &&
          qwen_json_key(&j, &key));
    CHECK(qwen_json_fail(&j, "is %d, and odd", 6) == QWEN_ERR_FORMAT &&
          strcmp(err.msg, "f.json: after: is 6, and odd") == 0);
    CHECK(qwen_json_fail(&j, "second") == QWEN_ERR_FORMAT && strstr(err.msg, "odd"));
    qwen_json_close(&j);

    /* A key of any length or content gives a message, cut, of printable characters. */
    static char hostile[9000] = "{\"";
    size_t n = 2;
    for (; n < 8000; n += 7) memcpy(hostile + n, "\xE4\xBD\xA0\\n\xC3\xA9", 7);
    memcpy(hostile + n, "\":{\"k\":-1}}", 11);
    n += 11;
    size_t v = 0;
    qwen_json_open(&j, "f.json", hostile, n, &err);
    CHECK(qwen_json_object(&j) == QWEN_OK && qwen_json_key(&j, &key) && key.len == 6 * 1143);
    CHECK(qwen_json_object(&j) == QWEN_OK && qwen_json_key(&j, &key) &&
          qwen_json_size(&j, &v, 0, 9) == QWEN_ERR_FORMAT);
    CHECKF(strstr(err.msg, "is -1, expected at least 0") && !strchr(err.msg, '\n') &&
               strstr(err.msg, "\xE4\xBD\xA0?\xC3\xA9"),
           "%s", err.msg);
    CHECK(qwen_utf8_complete(err.msg, strlen(err.msg)) == strlen(err.msg));
    qwen_json_close(&j);
}

static void short_memory_is_a_status(void) {
    static const char text[] =
        "{\"k\\u0065y\": \"v\\u0061lue that is long enough to need a second piece of memory when it has escapes \\n\"}";
    for (long n = 1;; n++) {
        qwen_json j;
        qwen_str key, value;
        err = (qwen_error){0};
        qwen_test_fail_alloc(n);
        qwen_json_open(&j, "f.json", text, sizeof text - 1, &err);
        qwen_status s = qwen_json_object(&j);
        while (qwen_json_key(&j, &key)) s = qwen_json_string(&j, &value);
        s = qwen_json_end(&j);
        qwen_json_close(&j);
        CHECK(qwen_test_live_allocs() == 0);
        const int failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        if (!failed) {
            CHECK(s == QWEN_OK && n > 2);
            break;
        }
        CHECK(s == QWEN_ERR_NOMEM && strstr(err.msg, "f.json: out of memory"));
    }
    /* Strings without escapes are read where they lie. */
    const long before = qwen_test_total_allocs();
    CHECK(check_text("{\"a\":\"b\",\"c\":[\"\\n\"]}", 20) == QWEN_OK && qwen_test_total_allocs() == before);
}

static void every_prefix_of_a_text_is_refused(void) {
    static const char text[] = "{\"a\":[1.5e3,\"x\\u00e9\\ud83d\\ude00\xE4\xBD\xA0\",{\"b\":null}],\"c\":false}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *exact = malloc(n + 1); /* so that a sanitizer sees a step beyond the end */
        if (!exact) continue;
        memcpy(exact, text, n);
        char *moved = realloc(exact, n ? n : 1);
        CHECKF(moved && check_text(moved, n) == QWEN_ERR_FORMAT, "%zu bytes", n);
        free(moved);
    }
    CHECK(check_text(text, sizeof text - 1) == QWEN_OK);
}

int main(void) {
    well_formed_texts_are_accepted();
    malformed_texts_are_refused_with_the_place();
    depth_is_limited_and_costs_no_stack();
    values_are_read_by_name();
    numbers_are_exact_where_both_parts_are();
    sizes_say_which_rule_they_broke();
    a_complaint_of_the_caller_has_the_same_form_and_sticks();
    short_memory_is_a_status();
    every_prefix_of_a_text_is_refused();
    return check_done("test_json");
}
