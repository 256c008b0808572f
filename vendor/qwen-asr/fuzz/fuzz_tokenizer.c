/*
 * fuzz_tokenizer.c - libFuzzer harness: any bytes can be encoded and come back as their NFC; any ids can be decoded to
 * valid UTF-8.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iinclude -Isrc
 * '-DQWEN_TEST_DATA_DEFAULT="../../tests/data"' \ fuzz/fuzz_tokenizer.c
 * src/qwen_asr_{status,mem,map,buf,json,unicode,unicode_tables}.c src/qwen_asr_tokenizer*.c -o fuzz_tokenizer
 *
 * The tokenizer is that of the parity model tiny-a, below QWEN_TEST_DATA. Also used without libFuzzer, to replay a
 * corpus as a test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qwen_asr_tokenizer.h"
#include "qwen_asr_unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth, const char *what) {
    if (truth) return;
    fprintf(stderr, "not true: %s\n", what);
    abort();
}

static qwen_tokenizer *open_once(void) {
    static qwen_tokenizer *t;
    if (t) return t;
    char dir[4096];
    qwen_error err = {0};
    const char *root = getenv("QWEN_TEST_DATA");
    snprintf(dir, sizeof dir, "%s/parity/tiny-a", root && *root ? root : QWEN_TEST_DATA_DEFAULT);
    must(qwen_tokenizer_open(&t, dir, &err) == QWEN_OK, err.msg);
    return t;
}

static void text_comes_back(const qwen_tokenizer *t, const char *text, size_t n) {
    qwen_ids ids = {0};
    qwen_buf raw = {0}, got = {0}, want = {0};
    must(qwen_tokenizer_encode(t, text, n, &ids, NULL) == QWEN_OK, "it is encoded");
    for (size_t i = 0; i < ids.len; i++)
        must(ids.data[i] >= 0 && (size_t)ids.data[i] < qwen_tokenizer_size(t), "ids are in range");
    must(qwen_tokenizer_decode_bytes(t, ids.data, ids.len, false, &raw), "it is decoded");
    must(qwen_nfc_append(&got, raw.data, raw.len) && qwen_nfc_append(&want, text, n), "NFC is made");
    must(got.len == want.len && (got.len == 0 || memcmp(got.data, want.data, got.len) == 0), "the text comes back");
    qwen_ids_free(&ids);
    qwen_buf_free(&raw);
    qwen_buf_free(&got);
    qwen_buf_free(&want);
}

static void ids_become_utf8(const qwen_tokenizer *t, const uint8_t *data, size_t size) {
    qwen_ids ids = {0};
    qwen_buf out = {0};
    for (size_t i = 0; i + 1 < size; i += 2)
        must(qwen_ids_push(&ids, (int32_t)(data[i] | data[i + 1] << 8) % 700 - 1), "ids are stored");
    must(qwen_tokenizer_decode(t, ids.data, ids.len, size % 2, &out), "ids are decoded");
    for (size_t i = 0, used = 0; i < out.len; i += used) {
        const uint32_t c = qwen_utf8_next(out.data + i, out.len - i, &used);
        must(c != 0xFFFD || (used == 3 && memcmp(out.data + i, "\xEF\xBF\xBD", 3) == 0), "the text is UTF-8");
    }
    qwen_ids_free(&ids);
    qwen_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const qwen_tokenizer *t = open_once();
    text_comes_back(t, (const char *)data, size);
    ids_become_utf8(t, data, size);
    return 0;
}
