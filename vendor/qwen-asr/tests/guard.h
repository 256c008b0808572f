/*
 * guard.h - buffers whose ends are unmapped pages and whose surroundings are canaries: a read or write beyond an end faults at once, a
 * write just before or after the data is found by guard_intact.
 */
#ifndef QWEN_GUARD_H
#define QWEN_GUARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_CANARY 0xA5
#define GUARD_BEFORE 256 /* canary bytes watched in front of the data */

typedef struct guard {
    unsigned char *pages, *data; /* data [bytes] is the piece handed out last */
    size_t room, bytes, page;
} guard;

/* Room for up to room bytes between two unmapped pages. The tests cannot go on without it. */
static inline guard guard_open(size_t room) {
    guard g = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    g.room = (room + GUARD_BEFORE + g.page - 1) / g.page * g.page;
    void *p = mmap(NULL, g.room + 2 * g.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect((unsigned char *)p + g.page, g.room, PROT_READ | PROT_WRITE)) {
        perror("guard_open");
        exit(1);
    }
    g.pages = p;
    return g;
}

/* The last `bytes` bytes before the unmapped page, or before `gap` canary bytes in front of it. */
static inline void *guard_take(guard *g, size_t bytes, size_t gap) {
    unsigned char *end = g->pages + g->page + g->room;
    if (bytes + gap + GUARD_BEFORE > g->room) {
        fprintf(stderr, "guard_take: %zu bytes do not fit\n", bytes);
        exit(1);
    }
    g->data = end - gap - bytes;
    g->bytes = bytes;
    memset(g->data - GUARD_BEFORE, GUARD_CANARY, GUARD_BEFORE);
    memset(end - gap, GUARD_CANARY, gap);
    return g->data;
}

/* Is everything around the piece handed out last as it was? */
static inline int guard_intact(const guard *g) {
    const unsigned char *end = g->pages + g->page + g->room;
    int ok = 1;
    for (const unsigned char *p = g->data - GUARD_BEFORE; p < g->data; p++) ok &= *p == GUARD_CANARY;
    for (const unsigned char *p = g->data + g->bytes; p < end; p++) ok &= *p == GUARD_CANARY;
    return ok;
}

static inline void guard_close(guard *g) {
    munmap(g->pages, g->room + 2 * g->page);
    g->pages = NULL;
}

#endif
