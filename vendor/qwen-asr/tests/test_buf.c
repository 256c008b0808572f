/* Growable bytes and ids; where whole UTF-8 characters end and which comes next; files mapped and copied. */
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "model_dir.h"
#include "qwen_asr_buf.h"
#include "qwen_asr_map.h"
#include "qwen_asr_mem.h"

static void bytes_appended_are_there_and_end_with_nul(void) {
    qwen_buf b = {0};
    CHECK(qwen_buf_append(&b, "", 0) && b.data && b.len == 0 && b.data[0] == '\0');
    char expected[3001];
    bool ok = true;
    for (size_t i = 0; i < 3000; i++) {
        expected[i] = (char)('a' + i % 26);
        ok = ok && qwen_buf_append(&b, &expected[i], 1);
    }
    CHECK(ok);
    expected[3000] = '\0';
    CHECK(b.len == 3000 && strcmp(b.data, expected) == 0);
    qwen_buf_clear(&b);
    CHECK(b.len == 0 && b.data[0] == '\0');
    CHECK(qwen_buf_puts(&b, "x") && strcmp(b.data, "x") == 0);
    qwen_buf_free(&b);
    CHECK(b.data == NULL && qwen_test_live_allocs() == 0);
}

static void reserved_bytes_need_no_allocation(void) {
    qwen_buf b = {0};
    qwen_ids v = {0};
    CHECK(qwen_buf_reserve(&b, 1000) && qwen_ids_reserve(&v, 1000));
    const long before = qwen_test_total_allocs();
    bool ok = true;
    for (int32_t i = 0; i < 1000; i++) ok = ok && qwen_buf_append(&b, "z", 1) && qwen_ids_push(&v, i);
    CHECK(ok && qwen_test_total_allocs() == before);
    CHECK(b.len == 1000 && v.len == 1000 && v.data[999] == 999);
    qwen_buf_free(&b);
    qwen_ids_free(&v);
}

static void short_memory_leaves_the_contents(void) {
    qwen_buf b = {0};
    qwen_ids v = {0};
    CHECK(qwen_buf_puts(&b, "kept") && qwen_ids_push(&v, 7));
    static char big[4096];
    qwen_test_fail_alloc(1);
    CHECK(!qwen_buf_append(&b, big, sizeof big));
    qwen_test_fail_alloc(1);
    CHECK(!qwen_ids_reserve(&v, 4096));
    qwen_test_fail_alloc(0);
    CHECK(strcmp(b.data, "kept") == 0 && v.len == 1 && v.data[0] == 7);
    CHECK(!qwen_buf_reserve(&b, SIZE_MAX) && !qwen_ids_reserve(&v, SIZE_MAX / 2));
    qwen_buf_free(&b);
    qwen_ids_free(&v);
    CHECK(qwen_test_live_allocs() == 0);
}

static void every_code_point_comes_back(void) {
    qwen_buf b = {0};
    size_t wrong = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        qwen_buf_clear(&b);
        if (!qwen_buf_put_utf8(&b, c)) wrong++;
        size_t used = 0;
        const uint32_t want = c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c;
        if (qwen_utf8_next(b.data, b.len, &used) != want || used != b.len) wrong++;
        if (qwen_utf8_complete(b.data, b.len) != b.len) wrong++;
        for (size_t n = 1; n < b.len;
             n++) { /* a character that lost its end: nothing is complete, and it is one broken piece */
            if (qwen_utf8_complete(b.data, n) != 0) wrong++;
            if (qwen_utf8_next(b.data, n, &used) != 0xFFFD || used != n) wrong++;
        }
    }
    CHECKF(wrong == 0, "%zu code points", wrong);
    qwen_buf_free(&b);
}

static void broken_utf8_is_counted_as_rust_counts_it(void) {
    /* bytes, and the sizes of the pieces String::from_utf8_lossy makes of them */
    static const struct {
        const char *bytes;
        size_t n, pieces[6];
    } cases[] = {
        {"\x80", 1, {1}},
        {"\xC0\xAF", 2, {1, 1}},               /* overlong */
        {"\xE0\x80\x80", 3, {1, 1, 1}},        /* overlong */
        {"\xED\xA0\x80", 3, {1, 1, 1}},        /* surrogate */
        {"\xF4\x90\x80\x80", 4, {1, 1, 1, 1}}, /* above U+10FFFF */
        {"\xF0\x9F\x98"
         "A",
         4,
         {3, 1}}, /* cut, then a letter */
        {"\xE4\xBD"
         "\xE4\xBD\xA0",
         5,
         {2, 3}}, /* cut, then whole */
        {"\xFF"
         "a",
         2,
         {1, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at = 0, k = 0;
        for (; at < cases[i].n; k++) {
            size_t used = 0;
            qwen_utf8_next(cases[i].bytes + at, cases[i].n - at, &used);
            CHECKF(used == cases[i].pieces[k], "case %zu, piece %zu: %zu bytes", i, k, used);
            at += used;
        }
        CHECK(k == 6 || cases[i].pieces[k] == 0);
    }
    CHECK(qwen_utf8_complete("\xED\xA0", 2) == 2); /* nothing can complete it */
    CHECK(qwen_utf8_complete("a\xF0\x9F", 3) == 1);
    CHECK(qwen_utf8_complete("", 0) == 0);
    CHECK(qwen_utf8_complete("\xE4\xBD\xA0\xE4", 4) == 3);
}

static void a_file_is_mapped_or_copied_with_the_same_bytes(void) {
    char dir[MODEL_DIR_MAX], path[MODEL_DIR_MAX + 32];
    model_dir_new(dir);
    char text[200];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)i;
    model_dir_write(dir, "f", text, sizeof text);
    model_dir_write(dir, "empty", "", 0);
    snprintf(path, sizeof path, "%s/f", dir);
    qwen_map m = {0};
    qwen_error err = {0};
    CHECK(qwen_map_open(&m, path, false, 0, &err) == QWEN_OK && m.size == sizeof text &&
          !memcmp(m.data, text, m.size) && !m.copied);
    qwen_map_close(&m);
    for (size_t skew = 0; skew < 64; skew++) {
        CHECK(qwen_map_open(&m, path, true, skew, &err) == QWEN_OK && m.copied && m.size == sizeof text &&
              !memcmp(m.data, text, m.size));
        CHECK(((uintptr_t)m.data + skew) % 64 == 0);
        qwen_map_close(&m);
    }
    qwen_map_close(&m);
    CHECK(qwen_test_live_allocs() == 0);
    qwen_test_fail_alloc(1);
    CHECK(qwen_map_open(&m, path, true, 0, &err) == QWEN_ERR_NOMEM && m.data == NULL);
    qwen_test_fail_alloc(0);

    snprintf(path, sizeof path, "%s/empty", dir);
    for (int copy = 0; copy < 2; copy++) {
        CHECK(qwen_map_open(&m, path, copy, 0, &err) == QWEN_OK && m.data == NULL && m.size == 0);
        qwen_map_close(&m);
    }
    model_dir_remove(dir);
}

static void what_is_not_a_regular_file_is_refused_with_its_name(void) {
    char dir[MODEL_DIR_MAX], path[MODEL_DIR_MAX + 32];
    model_dir_new(dir);
    qwen_map m = {0};
    qwen_error err = {0};
    snprintf(path, sizeof path, "%s/none", dir);
    CHECK(qwen_map_open(&m, path, false, 0, &err) == QWEN_ERR_IO && strstr(err.msg, "/none: no such file"));
    CHECK(!qwen_path_exists(path) && qwen_path_exists(dir));
    CHECK(qwen_map_open(&m, dir, false, 0, &err) == QWEN_ERR_IO && strstr(err.msg, dir) &&
          strstr(err.msg, "is a directory"));
    snprintf(path, sizeof path, "%s/pipe", dir);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(qwen_map_open(&m, path, false, 0, &err) == QWEN_ERR_IO &&
          strstr(err.msg, "is not a regular file")); /* and does not hang */
    model_dir_remove(dir);
}

static void paths_are_joined_with_one_slash(void) {
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < 4; i++) {
        char *p = qwen_path_join(cases[i][0], cases[i][1]);
        CHECKF(p && strcmp(p, cases[i][2]) == 0, "%s", p);
        qwen_free(p);
    }
}

int main(void) {
    bytes_appended_are_there_and_end_with_nul();
    reserved_bytes_need_no_allocation();
    short_memory_leaves_the_contents();
    every_code_point_comes_back();
    broken_utf8_is_counted_as_rust_counts_it();
    a_file_is_mapped_or_copied_with_the_same_bytes();
    what_is_not_a_regular_file_is_refused_with_its_name();
    paths_are_joined_with_one_slash();
    CHECK(qwen_test_live_allocs() == 0);
    return check_done("test_buf");
}
