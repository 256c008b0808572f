#!/usr/bin/env python3
"""
qwen_full_vocab.py - the real Qwen vocabulary as vocab.json, merges.txt and tokenizer_config.json, for the tests.

    python3 tools/qwen_full_vocab.py dashscope-2.0.2-py3-none-any.whl ../../tests/data/qwen-full

The wheel holds qwen.tiktoken: 151,643 lines "base64(bytes) rank". The rank is the id, and it is also the order in which
the tokens were learned, so the merge that made a token can be found again: encode its bytes with the lower ranks only;
two parts are left, and those are the pair. Added tokens are not in that file; their ids follow, and which of them are
special is written down below (MODEL.md, tokenizer).
"""
import base64
import json
import os
import sys
import zipfile

N_BPE = 151643
SPECIAL, PLAIN = True, False
ADDED = (
    [(t, SPECIAL) for t in (
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
        "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
        "<|image_pad|>", "<|video_pad|>")]
    + [(t, PLAIN) for t in (
        "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
        "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>")]
    + [(t, SPECIAL) for t in (
        "<|audio_start|>", "<|audio_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>", "<tts_text_bos_single>")]
    + [("<non_speech>", PLAIN), ("<|audio_pad|>", SPECIAL)]
    + [("<blank%d>" % i, SPECIAL) for i in range(1, 28)]
    + [("<asr_text>", PLAIN)]
)


def read_ranks(wheel):
    """{bytes of a token: rank}"""
    with zipfile.ZipFile(wheel) as z:
        names = [n for n in z.namelist() if n.endswith("/qwen.tiktoken")]
        if len(names) != 1:
            sys.exit("%s: %d files named qwen.tiktoken, expected one" % (wheel, len(names)))
        lines = z.read(names[0]).split(b"\n")
    ranks = {}
    for line in filter(None, lines):
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    if sorted(ranks.values()) != list(range(N_BPE)):
        sys.exit("%s: %d tokens, expected the ranks 0..%d" % (wheel, len(ranks), N_BPE - 1))
    return ranks


def parents(token, ranks):
    """the two tokens that were merged to this one"""
    parts, limit = [bytes([b]) for b in token], ranks[token]
    while len(parts) > 2:
        candidates = [(ranks.get(a + b, limit), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))]
        rank, i = min(candidates)
        if rank >= limit:
            sys.exit("token %d: its bytes do not merge with lower ranks" % limit)
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
    return parts


def byte_alphabet():
    """GPT-2's printable character for each byte"""
    printable = set(range(0x21, 0x7F)) | set(range(0xA1, 0xAD)) | set(range(0xAE, 0x100))
    hidden = [b for b in range(256) if b not in printable]
    return {b: chr(b) if b in printable else chr(256 + hidden.index(b)) for b in range(256)}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    wheel, out = sys.argv[1:]
    ranks, alphabet = read_ranks(wheel), byte_alphabet()
    spell = lambda token: "".join(alphabet[b] for b in token)
    by_rank = sorted(ranks, key=ranks.get)
    merges = ["%s %s" % tuple(map(spell, parents(t, ranks))) for t in by_rank if len(t) > 1]
    config = {"added_tokens_decoder": {str(N_BPE + i): {
        "content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
        "special": special,
    } for i, (text, special) in enumerate(ADDED)}}
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "vocab.json"), "w", encoding="utf-8") as f:
        json.dump({spell(t): ranks[t] for t in by_rank}, f, ensure_ascii=False)
    with open(os.path.join(out, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(merges) + "\n")
    with open(os.path.join(out, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2)
    print("%s: %d tokens, %d merges, %d added tokens" % (out, len(ranks), len(merges), len(ADDED)))


if __name__ == "__main__":
    main()
