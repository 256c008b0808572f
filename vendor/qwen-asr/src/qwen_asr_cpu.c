/*
 * qwen_asr_cpu.c - what this processor can run and how many cores there are.
 *
 * Separate from the kernels because it must be built for the baseline: a detector compiled with AVX flags is itself the illegal
 * instruction. x86: CPUID says what the processor knows, XGETBV whether the operating system saves the wide registers; both
 * are needed (Intel SDM volume 1, sections 13.2 and 14.3). NEON is part of every AArch64 processor.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "qwen_asr.h"
#include "qwen_asr_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__x86_64__)

#define XCR0_YMM 0x06u /* SSE and AVX state */
#define XCR0_ZMM 0xE6u /* those, the mask registers and both parts of the ZMM registers */

static uint64_t read_xcr0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static bool has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

uint32_t qwen_cpu_detect(void) {
    unsigned a = 0, b = 0, c1 = 0, d = 0, b7 = 0, c = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || !has(c1, bit_OSXSAVE)) return 0;
    const uint32_t state = (uint32_t)read_xcr0();
    if (!has(state, XCR0_YMM) || !has(c1, bit_AVX | bit_FMA | bit_F16C)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c, &d) || !has(b7, bit_AVX2)) return 0;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    return QWEN_CPU_AVX2 | (has(state, XCR0_ZMM) && has(b7, avx512) ? QWEN_CPU_AVX512 : 0);
}

#elif defined(__aarch64__)
uint32_t qwen_cpu_detect(void) { return QWEN_CPU_NEON; }
#else
uint32_t qwen_cpu_detect(void) { return 0; }
#endif

/* ---- cores ------------------------------------------------------------------------------------------------------ */

#if defined(__linux__)

#define SETS 8 /* 8 * 1024 processors */

typedef struct cpu_list {
    cpu_set_t sets[SETS];
} cpu_list;

static bool allowed(const cpu_list *l, size_t cpu) { return CPU_ISSET_S(cpu, sizeof l->sets, l->sets); }

/* Reads an unsigned number; *c is the character after it. False if there is none or it is absurd. */
static bool read_number(FILE *f, size_t *out, int *c) {
    size_t n = 0;
    bool any = false;
    for (*c = fgetc(f); *c >= '0' && *c <= '9' && n <= SETS * CPU_SETSIZE; *c = fgetc(f)) {
        n = n * 10 + (size_t)(*c - '0');
        any = true;
    }
    *out = n;
    return any && n < SETS * CPU_SETSIZE;
}

/* Is cpu the first of the allowed hardware threads of its core? The file holds a list such as "0,4" or "0-1". A machine without it
 * (containers may hide /sys) has one thread per core as far as we know. */
static bool leads_its_core(const cpu_list *l, size_t cpu) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    bool leads = true;
    int c = ',';
    while (leads && c == ',') {
        size_t first, last;
        if (!read_number(f, &first, &c)) break;
        last = first;
        if (c == '-' && !read_number(f, &last, &c)) break;
        for (size_t i = first; i <= last && i < cpu; i++) leads = leads && !allowed(l, i);
    }
    fclose(f);
    return leads;
}

static long physical_cores(void) {
    cpu_list l;
    if (sched_getaffinity(0, sizeof l.sets, l.sets) != 0) return 0;
    long n = 0;
    for (size_t cpu = 0; cpu < SETS * CPU_SETSIZE; cpu++) n += allowed(&l, cpu) && leads_its_core(&l, cpu);
    return n;
}

#elif defined(__APPLE__)

static long physical_cores(void) {
    int32_t n = 0;
    size_t size = sizeof n;
    return sysctlbyname("hw.physicalcpu", &n, &size, NULL, 0) == 0 ? n : 0;
}

#else
static long physical_cores(void) { return 0; }
#endif

int qwen_cpu_cores(void) {
    long n = physical_cores();
    if (n <= 0) n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 4096 ? 4096 : (int)n;
}
