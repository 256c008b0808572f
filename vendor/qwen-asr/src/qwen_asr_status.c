/* qwen_asr_status.c - see the header. */
#include "qwen_asr_status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

qwen_status qwen_fail(qwen_error *err, qwen_status code, const char *fmt, ...) {
    if (!err) return code;
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    err->status = code;
    if (n < 0) err->msg[0] = '\0';
    if (n >= (int)sizeof err->msg) { /* cut: step back over the bytes of a character that lost its end */
        size_t end = sizeof err->msg - 1;
        size_t start = end;
        while (start > 0 && end - start < 4 && ((unsigned char)err->msg[start - 1] & 0xC0u) == 0x80u) start--;
        if (start > 0) {
            const unsigned char lead = (unsigned char)err->msg[start - 1];
            const size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
            if (want > 1 && end - (start - 1) < want) end = start - 1;
        }
        err->msg[end] = '\0';
    }
    return code;
}
