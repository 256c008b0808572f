/* Replays files through a fuzz entry point without libFuzzer, so that saved inputs are tests on every compiler: driver
 * FILE... */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *name) {
    FILE *f = fopen(name, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        fprintf(stderr, "%s: cannot be read\n", name);
        if (f) fclose(f);
        return 1;
    }
    const long n = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1); /* exactly as long as the file: a sanitizer sees a step beyond */
    const int bad = n < 0 || !bytes || fread(bytes, 1, (size_t)n, f) != (size_t)n;
    fclose(f);
    if (bad) fprintf(stderr, "%s: cannot be read\n", name);
    else LLVMFuzzerTestOneInput(bytes, (size_t)n);
    free(bytes);
    return bad;
}

int main(int argc, char **argv) {
    int bad = 0;
    for (int i = 1; i < argc; i++) bad |= replay(argv[i]);
    printf("%d inputs replayed\n", argc - 1);
    return bad;
}
