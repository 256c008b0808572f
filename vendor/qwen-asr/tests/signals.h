/*
 * signals.h - synthetic speech and noise for tests of what listens.
 *
 * The speech is syllables of 150 to 250 ms: harmonics of a moving pitch under two formants, every fourth begun by a
 * hiss. No gap inside it reaches 100 ms, so every longer pause was put there by the test. All of it comes from one seeded generator.
 */
#ifndef QWEN_TEST_SIGNALS_H
#define QWEN_TEST_SIGNALS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define RATE 16000u

static uint32_t rng_state;
static inline uint32_t rng(void) { return rng_state = rng_state * 1664525u + 1013904223u, rng_state >> 8; }
static inline double rng_unit(void) { return (double)rng() / 16777216.0; } /* [0, 1) */
static inline double rng_normal(void) {
    double g = -6;
    for (int i = 0; i < 12; i++) g += rng_unit();
    return g;
}
static inline double db(double x) { return pow(10.0, x / 20); }

typedef struct signal {
    float *pcm;
    size_t n;
} signal;

static inline signal silence(double seconds) {
    const size_t n = (size_t)(seconds * RATE);
    signal s = {calloc(n + 1, sizeof(float)), n};
    if (!s.pcm) exit(1);
    return s;
}

/* One syllable of n samples, about 1.0 rms. */
static inline void add_syllable(float *x, size_t n, double gain, bool hiss) {
    const double pitch = 100 + 80 * rng_unit(), f1 = 300 + 500 * rng_unit(), f2 = 1000 + 1300 * rng_unit();
    double amp_sin[30], amp_cos[30], power = 0;
    for (int h = 0; h < 30; h++) {
        const double f = pitch * (h + 1), a = (f - f1) / 150, b = (f - f2) / 250;
        const double amp = 1 / (1 + a * a) + 0.5 / (1 + b * b) + 0.01, phase = 6.283 * rng_unit();
        amp_sin[h] = amp * sin(phase);
        amp_cos[h] = amp * cos(phase);
        power += amp * amp / 2;
    }
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / RATE, at = (double)i / (double)n;
        const double envelope = 0.05 + 1.3 * pow(sin(3.14159265 * at), 0.6);
        const double angle = 6.2831853 * (pitch * t + 20 * t * t), re1 = cos(angle), im1 = sin(angle);
        double v = 0, re = 1, im = 0;
        for (int h = 0; h < 30; h++) { /* re + i im = exp(i (h + 1) angle) */
            const double turned = re * re1 - im * im1;
            im = re * im1 + im * re1;
            re = turned;
            v += amp_sin[h] * re + amp_cos[h] * im;
        }
        x[i] += (float)(gain * envelope * v / sqrt(power));
        if (hiss && at < 0.4) x[i] += (float)(gain * 0.4 * rng_normal());
    }
}

/* Adds speech of that rms (dBFS, roughly) to [from, to) seconds. */
static inline void speak(signal s, double from, double to, double level) {
    size_t at = (size_t)(from * RATE);
    const size_t end = (size_t)(to * RATE);
    for (int k = 0; at < end; k++) {
        size_t n = (size_t)((0.15 + 0.1 * rng_unit()) * RATE);
        if (end - at < n + RATE / 10) n = end - at;
        add_syllable(s.pcm + at, n, db(level), k % 4 == 3);
        at += n;
    }
}

typedef enum noise { WHITE, PINK, HUM } noise;
static const char *const noise_name[] = {"white", "pink", "hum"};

/* Adds noise of that rms to [from, to) seconds. */
static inline void add_noise(signal s, noise kind, double from, double to, double level) {
    double b[3] = {0};
    const double g = db(level);
    for (size_t i = (size_t)(from * RATE); i < (size_t)(to * RATE) && i < s.n; i++) {
        const double w = rng_normal(), t = (double)i / RATE;
        double v = w;
        if (kind == PINK) { /* three one-pole filters an octave and a half apart fall by about 3 dB an octave */
            b[0] = 0.99765 * b[0] + w * 0.0990460;
            b[1] = 0.96300 * b[1] + w * 0.2965164;
            b[2] = 0.57000 * b[2] + w * 1.0526913;
            v = (b[0] + b[1] + b[2] + w * 0.1848) / 3.0;
        } else if (kind == HUM) {
            v = 1.15 * (sin(314.159 * t) + 0.6 * sin(628.318 * t + 1) + 0.4 * sin(942.477 * t + 2));
        }
        s.pcm[i] += (float)(g * v);
    }
}

#endif
