#!/usr/bin/env python3
"""Fits the rational approximation of erf and the polynomial of 2^r that src/qwen_asr_kernels_simd.h uses.

    python3 tools/erf_fit.py        (numpy; prints the constants and the errors after rounding to float32)

erf(z) ~ z P(s) / Q(s), s = z^2, on 0 <= z <= Z_MAX; beyond it erf is 1 to float precision. The numerator and denominator come from
linearised least squares, P - f Q = 0 with Q_0 = 1, whose weights are multiplied by the error of each round (Lawson), which
drives the largest relative error down to nearly that of the best rational function. exp(r) on |r| <= ln(2)/2 is a polynomial
fitted the same way.
"""
import math
import numpy as np

Z_MAX = 4.0
P_DEGREE, Q_DEGREE = 5, 5
EXP_DEGREE = 6
ROUNDS = 200


def lawson(columns, target, scale):
    """Coefficients c that make max |columns c - target| * scale(c) small."""
    weight = np.ones(len(target))
    best, best_error = None, math.inf
    for _ in range(ROUNDS):
        root = np.sqrt(weight)[:, None]
        c = np.linalg.lstsq(columns * root, target * root[:, 0], rcond=None)[0]
        error = np.abs((columns @ c - target) * scale(c))
        if error.max() < best_error:
            best, best_error = c, error.max()
        weight *= error / error.max() + 1e-9
        weight /= weight.max()
    return best, best_error


def fit_erf():
    z = Z_MAX * (1 - np.cos(np.linspace(0, np.pi, 4001)[1:])) / 2
    s = z * z
    f = np.array([math.erf(v) for v in z]) / z
    # (P - f Q) / f = 0 with Q_0 = 1: relative error once divided by Q.
    powers = s[:, None] ** np.arange(max(P_DEGREE, Q_DEGREE) + 1)[None, :]
    columns = np.hstack([powers[:, : P_DEGREE + 1] / f[:, None], -powers[:, 1 : Q_DEGREE + 1]])
    norm = np.abs(columns).max(axis=0)
    q = lambda c: 1 / (1 + powers[:, 1 : Q_DEGREE + 1] @ (c / norm)[P_DEGREE + 1 :])
    c, error = lawson(columns / norm, np.ones_like(s), q)
    c = c / norm
    return c[: P_DEGREE + 1], np.concatenate([[1.0], c[P_DEGREE + 1 :]]), error


def fit_exp():
    """exp(r) = 1 + r + r^2 * poly(r): the first two coefficients are exact."""
    r = math.log(2) / 2 * 1.001 * np.cos(np.linspace(0, np.pi, 4000))
    columns = r[:, None] ** np.arange(2, EXP_DEGREE + 1)[None, :] / np.exp(r)[:, None]
    return lawson(columns, (np.exp(r) - 1 - r) / np.exp(r), lambda c: 1.0)


def horner32(c, s):
    acc = np.full_like(s, np.float32(c[-1]))
    for v in c[-2::-1]:
        acc = np.float32(np.float64(acc) * np.float64(s) + np.float64(np.float32(v)))  # a fused multiply-add
    return acc


def main():
    p, q, error = fit_erf()
    print(f"erf: z <= {Z_MAX}, relative error {error:.2e}")
    for name, c in (("P", p), ("Q", q)):
        print(f"  {name}:", ", ".join(f"{np.float32(v):.9g}f" for v in c))
    x = np.linspace(-6, 6, 2_000_001).astype(np.float32)
    z = np.clip(x * np.float32(math.sqrt(0.5)), -Z_MAX, Z_MAX)
    s = z * z
    erf = z * horner32(p, s) / horner32(q, s)
    ends = erf[np.abs(z) >= Z_MAX]
    erf = np.clip(erf, -1, 1)
    gelu = (np.float32(0.5) * x) * (np.float32(1) + erf)
    exact = np.array([0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in x.astype(np.float64)])
    worst = np.max(np.abs(gelu - exact) / np.maximum(1, np.abs(x)))
    print(f"  gelu in float32: |error| / max(1, |x|) <= {worst:.2e}, |erf| at {Z_MAX} >= {np.abs(ends).min():.9g}")

    c, error = fit_exp()
    print(f"exp: |r| <= ln2/2, relative error {error:.2e}")
    print("  r^2..:", ", ".join(f"{np.float32(v):.9g}f" for v in c))


if __name__ == "__main__":
    main()
