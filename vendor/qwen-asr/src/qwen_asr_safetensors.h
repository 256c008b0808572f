/*
 * qwen_asr_safetensors.h - the tensors of a model directory: name -> type, shape, verified bytes. Rank 3.
 *
 * Reads model.safetensors, or the shards that model.safetensors.index.json names. Everything is checked before anything is readable: header inside the
 * file, JSON, known type, product of the shape without overflow, begin <= end <= size, byte count equal to the shape, alignment, no overlap, no name twice, every shard present
 * and every tensor of the index in the shard it names. After open, every tensor's bytes may be read.
 */
#ifndef QWEN_ASR_SAFETENSORS_H
#define QWEN_ASR_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qwen_asr_status.h"

#define QWEN_TENSOR_MAX_DIMS 8

typedef enum qwen_tensor_type { QWEN_TENSOR_F32, QWEN_TENSOR_BF16, QWEN_TENSOR_F16, QWEN_TENSOR_I32, QWEN_TENSOR_OTHER } qwen_tensor_type;

typedef struct qwen_tensor {
    const char *name;       /* NUL-terminated, owned by the set */
    const char *file;       /* file name for messages, owned by the set */
    const char *type_name;  /* as in the file: "BF16", "I64", ... */
    qwen_tensor_type type;
    int n_dims;
    size_t shape[QWEN_TENSOR_MAX_DIMS];
    const unsigned char *data; /* [bytes], aligned to its element */
    size_t bytes;
} qwen_tensor;

typedef struct qwen_tensors qwen_tensors;

/* Opens all weight files of directory dir (no_mmap: copies them into memory). */
qwen_status qwen_tensors_open(qwen_tensors **out, const char *dir, bool no_mmap, qwen_error *err);

/* Opens one .safetensors file (tests read goldens with it). */
qwen_status qwen_tensors_open_file(qwen_tensors **out, const char *path, bool no_mmap, qwen_error *err);

void qwen_tensors_close(qwen_tensors *t);

/* The tensor of that name, or NULL. */
const qwen_tensor *qwen_tensors_find(const qwen_tensors *t, const char *name);

size_t qwen_tensors_count(const qwen_tensors *t);
uint64_t qwen_tensors_bytes(const qwen_tensors *t); /* of all files together */

/* Where tensors come from, for "missing tensor" messages: "model.safetensors" or the index file. */
const char *qwen_tensors_source(const qwen_tensors *t);

#endif
