/*
 * test_tokenizer_files.c - damaged tokenizer files are refused with a sentence that names the file and the token;
 * harmless variants are read.
 */
#include "check.h"
#include "model_dir.h"
#include "qwen_asr_mem.h"
#include "qwen_asr_tokenizer.h"

static const char *const RELEASED[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};

static void new_released(char *dir) {
    char from[MODEL_DIR_MAX];
    snprintf(from, sizeof from, "%s/parity/tiny-a", check_data());
    model_dir_new(dir);
    for (size_t i = 0; i < 3; i++) {
        size_t n = 0;
        char *bytes = model_dir_read(from, RELEASED[i], &n);
        model_dir_write(dir, RELEASED[i], bytes, n);
        free(bytes);
    }
}

static void new_native(char *dir) {
    char from[MODEL_DIR_MAX];
    size_t n = 0;
    snprintf(from, sizeof from, "%s/parity/tiny-c-hf", check_data());
    model_dir_new(dir);
    char *bytes = model_dir_read(from, "tokenizer.json", &n);
    model_dir_write(dir, "tokenizer.json", bytes, n);
    free(bytes);
}

/* Opening dir fails with `status` and a sentence that holds both words. Removes dir. */
static void check_refused(char *dir, qwen_status status, const char *word, const char *other) {
    const long live = qwen_test_live_allocs();
    qwen_tokenizer *t = NULL;
    qwen_error err = {0};
    const qwen_status s = qwen_tokenizer_open(&t, dir, &err);
    CHECKF(s == status && err.status == status && !t && strstr(err.msg, word) && strstr(err.msg, other),
           "wanted \"%s\" and \"%s\", status %d: %s", word, other, (int)s, err.msg);
    CHECK(qwen_tokenizer_open(&t, dir, NULL) == status);
    CHECK(qwen_test_live_allocs() == live);
    model_dir_remove(dir);
}

static void refuse_change(const char *name, const char *from, const char *to, const char *word, const char *other) {
    char dir[MODEL_DIR_MAX];
    if (strcmp(name, "tokenizer.json") == 0) new_native(dir);
    else new_released(dir);
    model_dir_replace(dir, name, from, to);
    check_refused(dir, QWEN_ERR_FORMAT, word, other);
}

static void refuse_file(const char *name, const char *content, const char *word, const char *other) {
    char dir[MODEL_DIR_MAX];
    if (strcmp(name, "tokenizer.json") == 0) new_native(dir);
    else new_released(dir);
    model_dir_write(dir, name, content, strlen(content));
    check_refused(dir, QWEN_ERR_FORMAT, word, other);
}

static void missing_files_are_named(void) {
    char dir[MODEL_DIR_MAX] = "/nonexistent/model";
    check_refused(dir, QWEN_ERR_IO, "vocab.json", "tokenizer.json");
    model_dir_new(dir);
    check_refused(dir, QWEN_ERR_IO, "vocab.json", "merges.txt");
    for (size_t i = 1; i < 3; i++) {
        new_released(dir);
        model_dir_drop(dir, RELEASED[i]);
        check_refused(dir, QWEN_ERR_IO, RELEASED[i], "no such file");
    }
}

static void damaged_vocabularies_are_refused(void) {
    refuse_file("vocab.json", "", "vocab.json", "empty");
    refuse_file("vocab.json", "{}", "vocab.json", "no token");
    refuse_file("vocab.json", "[]", "vocab.json", "array");
    refuse_file("vocab.json", "{\"a\": 0}", "vocab.json", "0x00");
    refuse_file("vocab.json", "{\"a\": 0} x", "vocab.json", "more text");
    refuse_file("vocab.json", "{\"\": 0}", "vocab.json", "without a character");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": 32000", "\"A\"", "32000");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": 630", "630", "belongs to \"A\"");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": -32", "vocab.json: A", "-32");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": 32.5", "vocab.json: A", "32.5");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": 99999999999999999999", "vocab.json: A", "999999");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": \"32\"", "vocab.json: A", "32");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": null", "vocab.json: A", "null");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": 33", "the id 33", "\"B\"");
    refuse_change("vocab.json", "\"A\": 32", "\"B\": 32", "\"B\" appears twice", "33");
    refuse_change("vocab.json", "\"A\": 32, ", "", "vocab.json", "id 32");
    refuse_change("vocab.json", "\"A\": 32", "\"A A\": 32", "\"A A\"", "byte alphabet");
    refuse_change("vocab.json", "\"A\": 32", "\"\xE6\x97\xA5\": 32", "\xE6\x97\xA5", "byte alphabet");
    refuse_change("vocab.json", "\"A\": 32", "\"AAAAA\": 32", "vocab.json", "byte 0x41");
    refuse_change("vocab.json", "\"A\": 32", "\"A\": 32 \"x\"", "vocab.json", "line 1");
}

static void damaged_added_tokens_are_refused(void) {
    const char *f = "tokenizer_config.json";
    refuse_file(f, "", f, "empty");
    refuse_file(f, "{}", f, "added_tokens_decoder is missing");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"special\": true}}}", f, "no content");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"content\": \"\"}}}", f, "no content");
    refuse_file(f, "{\"added_tokens_decoder\": {\"x\": {\"content\": \"<a>\"}}}", f, "not a token id");
    refuse_file(f, "{\"added_tokens_decoder\": {\"-1\": {\"content\": \"<a>\"}}}", f, "not a token id");
    refuse_file(f, "{\"added_tokens_decoder\": {\"\": {\"content\": \"<a>\"}}}", f, "empty");
    refuse_file(f, "{\"added_tokens_decoder\": {\"16000000\": {\"content\": \"<a>\"}}}", f, "16000000");
    refuse_file(f, "{\"added_tokens_decoder\": {\"99999999999999999999999\": {\"content\": \"<a>\"}}}", f, "too large");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"content\": 7}}}", f, "620.content");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"content\": \"<a>\", \"lstrip\": true}}}", f, "620.lstrip");
    refuse_file(f, "{\"added_tokens_decoder\": {\"32\": {\"content\": \"<a>\"}}}", "\"<a>\" has the id 32", "\"A\"");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"content\": \"A\"}}}", "\"A\" has the id 620", "32");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"content\": \"<a>\"}, \"620\": {\"content\": \"<b>\"}}}",
                "\"<b>\"", "\"<a>\"");
    refuse_file(f, "{\"added_tokens_decoder\": {\"620\": {\"content\": \"<a>\"}, \"621\": {\"content\": \"<a>\"}}}",
                "two ids", "621");
}

static void damaged_merges_are_refused(void) {
    const char *f = "merges.txt";
    refuse_file(f, "", f, "no merges");
    refuse_file(f, "#version: 0.2\n\n", f, "no merges");
    refuse_file(f, "#version: 0.2\ne r\nerr\n", "line 3", "\"err\"");
    refuse_file(f, "e r\n\nx \n", "line 3", "\"x\"");
    refuse_file(f, "e r\n x\n", "line 2", "space between");
    refuse_file(f, "e r s\n", "line 1", "\"e r s\"");
    refuse_file(f, "e  r\n", "line 1", "space between");
    refuse_file(f, "#version: 0.2\n# #\n", "line 2",
                "\"#\" and \"#\" together"); /* only the first line may be a header */
    refuse_file(f, "e r\n#version: 0.2\n", "line 2", "\"#version:\" is not a token");
    refuse_file(f, "qqq r\n", "line 1", "\"qqq\" is not a token");
    refuse_file(f, "e rrr\n", "line 1", "\"rrr\" is not a token");
    refuse_file(f, "q q\n", "line 1", "\"q\" and \"q\" together");
    refuse_file(f, "\xE6\x97\xA5 r\n", "line 1", "is not a token");
    refuse_file(f, "\xFF r\n", "line 1", "is not a token");
}

static void damaged_native_files_are_refused(void) {
    const char *f = "tokenizer.json";
    refuse_file(f, "", f, "empty");
    refuse_file(f, "{}", f, "no token");
    refuse_file(f, "{\"model\": {\"vocab\": {}}}", f, "no token");
    refuse_file(f, "{\"model\": {\"type\": \"Unigram\"}}", f, "BPE");
    refuse_file(f, "{\"model\": 7}", f, "model");
    refuse_change(f, "\"merges\"", "\"no\"", f, "no merges");
    refuse_change(f, "\"ignore_merges\": false", "\"ignore_merges\": true", f, "ignore_merges");
    refuse_change(f, "\"id\": 621", "\"idx\": 621", f, "no id");
    refuse_change(f, "\"id\": 621", "\"id\": 620", "<|im_start|>", "620");
    refuse_change(f, "\"id\": 621", "\"id\": -1", "id", "-1");
    char dir[MODEL_DIR_MAX];
    new_native(dir);
    model_dir_replace(dir, f, "\"merges\": [", "\"merges\": [[\"e\"], ");
    check_refused(dir, QWEN_ERR_FORMAT, "merges", "1 tokens, expected 2");
    new_native(dir);
    model_dir_replace(dir, f, "\"merges\": [", "\"merges\": [\"e r\", [\"e\",\"r\",\"s\"], ");
    check_refused(dir, QWEN_ERR_FORMAT, "merges", "number 2");
    new_native(dir);
    model_dir_replace(dir, f, "\"merges\": [", "\"merges\": [\"e r\", 7, ");
    check_refused(dir, QWEN_ERR_FORMAT, "merges", "array");
}

/* Opening dir works and gives the ids of tiny-a. Removes dir. */
static void accept_change(const char *name, const char *from, const char *to) {
    static const char text[] = "Hello<|im_start|> caf\xC3\xA9, it's\n 12 # \xE6\x97\xA5<asr_text>";
    char dir[MODEL_DIR_MAX], good[MODEL_DIR_MAX];
    qwen_tokenizer *t = NULL, *want = NULL;
    qwen_ids ids = {0}, want_ids = {0};
    qwen_error err = {0};
    if (strcmp(name, "tokenizer.json") == 0) new_native(dir);
    else new_released(dir);
    model_dir_replace(dir, name, from, to);
    new_released(good);
    CHECKF(qwen_tokenizer_open(&t, dir, &err) == QWEN_OK, "%s", err.msg);
    CHECKF(qwen_tokenizer_open(&want, good, &err) == QWEN_OK, "%s", err.msg);
    if (t && want) {
        CHECK(qwen_tokenizer_encode(t, text, sizeof text - 1, &ids, NULL) == QWEN_OK);
        CHECK(qwen_tokenizer_encode(want, text, sizeof text - 1, &want_ids, NULL) == QWEN_OK);
        CHECK(ids.len == want_ids.len && memcmp(ids.data, want_ids.data, ids.len * sizeof *ids.data) == 0);
    }
    qwen_ids_free(&ids);
    qwen_ids_free(&want_ids);
    qwen_tokenizer_close(t);
    qwen_tokenizer_close(want);
    model_dir_remove(dir);
    model_dir_remove(good);
}

static void harmless_variants_are_read(void) {
    accept_change("tokenizer.json", "\"vocab\": {",
                  "\"vocab\": {\"<|im_start|>\": 621, "); /* an added token in the vocabulary too */
    accept_change("tokenizer.json", "\"type\": \"BPE\",", "");
    accept_change("merges.txt", "#version: 0.2\n", "");
    accept_change("merges.txt", "#version: 0.2\n", "#version: 0.2\r\n\r\n\n");
}

/* Cut anywhere, each file gives a sentence (or, within white space at its end, still works). */
static void truncated_files_give_a_sentence(void) {
    for (size_t k = 0; k < 4; k++) {
        const char *name = k < 3 ? RELEASED[k] : "tokenizer.json";
        for (size_t part = 0; part < 16; part++) {
            char dir[MODEL_DIR_MAX];
            size_t n = 0;
            if (k < 3) new_released(dir);
            else new_native(dir);
            char *bytes = model_dir_read(dir, name, &n);
            model_dir_write(dir, name, bytes, n * part / 16);
            free(bytes);
            qwen_tokenizer *t = NULL;
            qwen_error err = {0};
            const qwen_status s = qwen_tokenizer_open(&t, dir, &err);
            const bool fewer_merges = k == 1 && part > 0 &&
                                      s == QWEN_OK; /* a shorter list of merges is no contradiction */
            CHECKF(fewer_merges || (s == QWEN_ERR_FORMAT && strstr(err.msg, name)), "%s cut at %zu/16: %s", name, part,
                   err.msg);
            qwen_tokenizer_close(t);
            model_dir_remove(dir);
        }
    }
}

static void deep_json_is_refused(void) {
    qwen_buf deep = {0};
    CHECK(qwen_buf_puts(&deep, "{\"x\": "));
    for (int i = 0; i < 10000; i++) CHECK(qwen_buf_puts(&deep, "["));
    refuse_file("tokenizer_config.json", deep.data, "tokenizer_config.json", "deeper");
    refuse_file("tokenizer.json", deep.data, "tokenizer.json", "deeper");
    qwen_buf_free(&deep);
}

static void opening_without_memory_fails_cleanly(void (*make)(char *)) {
    char dir[MODEL_DIR_MAX];
    make(dir);
    for (long n = 1;; n++) {
        const long live = qwen_test_live_allocs();
        qwen_tokenizer *t = NULL;
        qwen_error err = {0};
        qwen_test_fail_alloc(n);
        const qwen_status s = qwen_tokenizer_open(&t, dir, &err);
        const bool failed = qwen_test_alloc_failed();
        qwen_test_fail_alloc(0);
        CHECKF(failed ? s == QWEN_ERR_NOMEM && !t && err.msg[0] : s == QWEN_OK, "allocation %ld: %s", n, err.msg);
        qwen_tokenizer_close(t);
        CHECK(qwen_test_live_allocs() == live);
        if (!failed) break;
    }
    model_dir_remove(dir);
}

int main(void) {
    missing_files_are_named();
    damaged_vocabularies_are_refused();
    damaged_added_tokens_are_refused();
    damaged_merges_are_refused();
    damaged_native_files_are_refused();
    harmless_variants_are_read();
    truncated_files_give_a_sentence();
    deep_json_is_refused();
    opening_without_memory_fails_cleanly(new_released);
    opening_without_memory_fails_cleanly(new_native);
    return check_done("test_tokenizer_files");
}
