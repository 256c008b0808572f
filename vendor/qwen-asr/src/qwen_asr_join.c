/*
 * qwen_asr_join.c - see the header. The ranges are whole Unicode blocks: within them no script uses spaces between words.
 */
#include "qwen_asr_join.h"

#include <stdbool.h>

#include "qwen_asr_buf.h"

uint32_t qwen_first_char(const char *text, size_t n) {
    size_t used = 0;
    return n ? qwen_utf8_next(text, n, &used) : 0;
}

uint32_t qwen_last_char(const char *text, size_t n) {
    if (n == 0) return 0;
    size_t start = n - 1;
    while (start > 0 && n - start < 4 && ((unsigned char)text[start] & 0xC0u) == 0x80u) start--;
    return qwen_first_char(text + start, n - start);
}

static bool unspaced(uint32_t c) {
    static const uint32_t ranges[][2] = {
        {0x0E00, 0x0E7F},   /* Thai */
        {0x2E80, 0x2FDF},   /* CJK and Kangxi radicals */
        {0x3000, 0x30FF},   /* CJK punctuation, Hiragana, Katakana */
        {0x31C0, 0x31FF},   /* CJK strokes, Katakana extensions */
        {0x3400, 0x4DBF},   /* Han, extension A */
        {0x4E00, 0x9FFF},   /* Han */
        {0xF900, 0xFAFF},   /* Han, compatibility */
        {0xFF00, 0xFF9F},   /* full-width forms, half-width Katakana */
        {0x1B000, 0x1B16F}, /* Kana supplements */
        {0x20000, 0x3FFFF}, /* Han, extensions B and later */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return false;
}

const char *qwen_separator(uint32_t last_before, uint32_t first_after) {
    if (last_before == 0 || first_after == 0) return "";
    return unspaced(last_before) || unspaced(first_after) ? "" : " ";
}
