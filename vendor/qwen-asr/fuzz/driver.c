/*
 * driver.c - replays saved inputs through a fuzz entry point without libFuzzer, so that they are tests with every compiler:
 * driver NAME FILE...
 *
 * Every file has a process of its own: one that crashes or does not come back in a minute is counted and named, and the others still run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0, or the exit code for a file that cannot be read. */
static int replay(const char *name) {
    FILE *f = fopen(name, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        fprintf(stderr, "%s: cannot be read\n", name);
        if (f) fclose(f);
        return 2;
    }
    const long n = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1); /* exactly as long as the file: a sanitizer sees a step beyond */
    const int bad = n < 0 || !bytes || fread(bytes, 1, (size_t)n, f) != (size_t)n;
    fclose(f);
    if (bad) fprintf(stderr, "%s: cannot be read\n", name);
    else LLVMFuzzerTestOneInput(bytes, (size_t)n);
    free(bytes);
    return bad ? 2 : 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 2; i < argc; i++) {
        int status = 0;
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            exit(replay(argv[i]));
        }
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0) continue;
        failed++;
        if (child > 0 && WIFSIGNALED(status)) fprintf(stderr, "%s: ended by signal %d, %s\n", argv[i], WTERMSIG(status), strsignal(WTERMSIG(status)));
        else fprintf(stderr, "%s: failed\n", argv[i]);
    }
    if (argc < 3) {
        fprintf(stderr, "usage: driver NAME FILE...\n");
        return 2;
    }
    printf("%s: %d passed, %d failed, 0 skipped\n", argv[1], argc - 2 - failed, failed);
    return failed ? 1 : 0;
}
