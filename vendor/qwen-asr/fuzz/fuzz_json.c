/* Any bytes through the JSON parser: skipped as a whole, then read value by value. clang
 * -fsanitize=fuzzer,address,undefined, or driver.c. */
#include <stdlib.h>
#include <string.h>

#include "qwen_asr_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every scalar with the reader of its kind, or with a wrong one where wrong says so. */
static void read_all(qwen_json *j, unsigned wrong) {
    qwen_str s;
    do {
        double number = 0;
        size_t n = 0;
        bool yes = false;
        qwen_json_kind kind = qwen_json_peek(j);
        if (wrong & 1u) kind = (qwen_json_kind)(kind % 7 + 1);
        wrong = wrong >> 1 | (wrong & 1u) << 31;
        if (kind == QWEN_JSON_OBJECT) qwen_json_object(j);
        else if (kind == QWEN_JSON_ARRAY) qwen_json_array(j);
        else if (kind == QWEN_JSON_STRING) qwen_json_string(j, &s);
        else if (kind == QWEN_JSON_NUMBER && (wrong & 2u)) qwen_json_size(j, &n, 1, 1000);
        else if (kind == QWEN_JSON_NUMBER) qwen_json_number(j, &number);
        else if (kind == QWEN_JSON_NULL) qwen_json_skip(j);
        else qwen_json_bool(j, &yes);
        while (j->status == QWEN_OK && j->depth > 0)
            if (j->is_array[j->depth] ? qwen_json_element(j) : qwen_json_key(j, &s)) break;
    } while (j->status == QWEN_OK && j->depth > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    qwen_error err;
    qwen_json j;
    qwen_json_open(&j, "f.json", (const char *)data, size, &err);
    qwen_json_skip(&j);
    const qwen_status whole = qwen_json_end(&j);
    qwen_json_close(&j);

    qwen_json_open(&j, "f.json", (const char *)data, size, &err);
    read_all(&j, 0);
    const qwen_status parts = qwen_json_end(&j);
    qwen_json_close(&j);
    if (whole != QWEN_OK && parts == QWEN_OK) abort(); /* reading accepts no more than skipping */
    if (parts != QWEN_OK && qwen_utf8_complete(err.msg, strlen(err.msg)) != strlen(err.msg)) abort();

    qwen_json_open(&j, "f.json", (const char *)data, size, NULL);
    read_all(&j, size ? data[0] * 0x01010101u : 1);
    qwen_json_close(&j);
    return 0;
}
