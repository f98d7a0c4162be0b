"""A small valid file, or folder of files, of every format and dialect: what tests of the readers start from."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from pyembed.vectors.formats import VectorTable, write
from pyembed.vectors.formats.fasttext_matrix import Codebook, DenseMatrix, QuantizedMatrix
from pyembed.vectors.formats.fasttext_model import FastTextArguments, FastTextModel, write_model
from pyembed.vectors.formats.model_words import MODEL_KEY, MODEL_VERSION, word_tensors
from pyembed.vectors.formats.safetensors_file import write_file

WORDS = ["the", "könig", "x", "naïve", "ελλάδα", "10", "</s>", "b\u00a0c", "日本"]
DIMENSIONS = 6


def small_table() -> VectorTable:
    values = np.random.default_rng(0).normal(size=(len(WORDS), DIMENSIONS)).astype(np.float32)
    return VectorTable(words=WORDS, vectors=values, counts=np.arange(len(WORDS), 0, -1), metadata={"model": "skipgram"})


def fasttext_model(*, supervised: bool = False, quantized: bool = False, pruned: bool = False) -> FastTextModel:
    """A model with n-grams; its numbers mean nothing."""
    rng = np.random.default_rng(1)
    words = [word.encode() for word in WORDS]
    labels = [b"__label__a", b"__label__b"] if supervised else []
    buckets, left = 20, 7
    shape = (len(words) + (left if pruned else buckets), DIMENSIONS)
    dense = DenseMatrix(rng.normal(size=shape).astype(np.float32))
    matrix: DenseMatrix | QuantizedMatrix = dense
    if quantized:
        book = Codebook(DIMENSIONS, 4, rng.normal(size=256 * DIMENSIONS).astype(np.float32))
        codes = rng.integers(0, 256, (shape[0], book.pieces), dtype=np.uint8)
        norms = rng.integers(0, 256, shape[0], dtype=np.uint8)
        matrix = QuantizedMatrix(codes, book, norms, Codebook(1, 1, rng.random(256, dtype=np.float32)))
    kept = np.array([(3 * row, row) for row in range(left)], dtype=np.int32) if pruned else None
    return FastTextModel(
        arguments=FastTextArguments(
            DIMENSIONS, bucket=buckets, minn=2, maxn=4, model=3 if supervised else 2, loss=3 if supervised else 2
        ),
        entries=words + labels,
        counts=np.arange(len(words) + len(labels), 0, -1),
        words=len(words),
        tokens=100,
        pruned=kept,
        input=matrix,
        output=DenseMatrix(rng.normal(size=(len(labels) or len(words), DIMENSIONS)).astype(np.float32)),
        output_is_quantized=False,
    )


def finalfusion_bytes(
    vocabulary: int, *, quantized: bool = False, norms: bool = False, projected: bool = False
) -> bytes:
    """A finalfusion file with any vocabulary and storage."""
    rng = np.random.default_rng(2)
    encoded = b"".join(struct.pack("<I", len(word.encode())) + word.encode() for word in WORDS)
    subwords = {1: b"", 3: struct.pack("<III", 3, 6, 3), 7: struct.pack("<III", 3, 6, 8)}
    if vocabulary == 8:
        ngrams = b"".join(
            struct.pack("<I", 3) + ngram + struct.pack("<Q", row) for row, ngram in enumerate([b"<th", b"he>"])
        )
        body = struct.pack("<QQII", len(WORDS), 2, 3, 6) + encoded + ngrams
    else:
        body = struct.pack("<Q", len(WORDS)) + subwords[vocabulary] + encoded
    rows = len(WORDS) + {1: 0, 3: 8, 7: 8, 8: 2}[vocabulary]
    storage = 4 if quantized else 2
    kinds = [5, vocabulary, storage] + [6] * norms
    content = b"FiFu" + struct.pack(f"<II{len(kinds)}I", 0, len(kinds), *kinds)
    toml = b'title = "vectors"\n'
    content += struct.pack("<IQ", 5, len(toml)) + toml
    content += struct.pack("<IQ", vocabulary, len(body)) + body

    def chunk(kind: int, header: bytes, numbers: bytes) -> bytes:
        padding = 4 - (len(content) + 12 + len(header)) % 4
        return struct.pack("<IQ", kind, len(header) + padding + len(numbers)) + header + bytes(padding) + numbers

    def floats(*shape: int) -> bytes:
        return rng.normal(size=shape).astype("<f4").tobytes()

    if quantized:
        header = struct.pack("<5IQII", projected, 1, 2, DIMENSIONS, 5, rows, 1, 10)
        numbers = floats(DIMENSIONS, DIMENSIONS) if projected else b""
        numbers += (
            floats(2, 5, DIMENSIONS // 2) + floats(rows) + rng.integers(0, 5, (rows, 2), dtype=np.uint8).tobytes()
        )
        content += chunk(4, header, numbers)
    else:
        content += chunk(2, struct.pack("<QII", rows, DIMENSIONS, 10), floats(rows, DIMENSIONS))
    if norms:
        content += chunk(6, struct.pack("<QI", len(WORDS), 10), floats(len(WORDS)))
    return content


def write_cases(folder: Path) -> dict[str, Path]:
    """What to read, by name; each in a folder of its own."""
    table = small_table()
    names = {
        "word2vec-text": "v.vec",
        "word2vec-text.gz": "v.txt.gz",
        "word2vec-text.zst": "v.txt.zst",
        "word2vec-binary": "v.bin",
        "glove": "v.glove",
        "safetensors": "v.safetensors",
        "finalfusion": "v.fifu",
        "npy": "v.npy",
        "npz": "v.npz",
        "projector": "v.tsv",
    }
    cases = {case: folder / case / name for case, name in names.items()}
    for path in cases.values():
        path.parent.mkdir()
        write(table, path)
    models = {
        "fasttext": fasttext_model(),
        "fasttext-supervised": fasttext_model(supervised=True),
        "fasttext-quantized": fasttext_model(quantized=True),
        "fasttext-pruned": fasttext_model(supervised=True, quantized=True, pruned=True),
    }
    for case, model in models.items():
        cases[case] = folder / case / ("v.ftz" if "u" in case[8:] else "v.bin")
        cases[case].parent.mkdir()
        write_model(model, cases[case])
    contents = {
        "finalfusion-buckets": finalfusion_bytes(3, norms=True),
        "finalfusion-fasttext": finalfusion_bytes(7),
        "finalfusion-explicit": finalfusion_bytes(8),
        "finalfusion-quantized": finalfusion_bytes(1, quantized=True),
        "finalfusion-projected": finalfusion_bytes(7, quantized=True, projected=True),
    }
    for case, content in contents.items():
        cases[case] = folder / case / "v.fifu"
        cases[case].parent.mkdir()
        cases[case].write_bytes(content)
    cases["safetensors-model"] = folder / "safetensors-model" / "word2vec.model"
    cases["safetensors-model"].parent.mkdir()
    write_file(
        cases["safetensors-model"],
        {"weight": table.vectors, "out_vectors": table.vectors, **word_tensors(WORDS, np.arange(len(WORDS), 0, -1))},
        {MODEL_KEY: MODEL_VERSION, "settings": "{}"},
    )
    for case in ("huggingface", "huggingface-txt", "huggingface-unigram", "huggingface-sharded"):
        cases[case] = folder / case
        write(table, cases[case], format="huggingface")
    (cases["huggingface-txt"] / "tokenizer.json").unlink()
    (cases["huggingface-txt"] / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    unigram = {
        "model": {"vocab": [[word, 0.5] for word in WORDS[:-1]]},
        "added_tokens": [{"id": 8, "content": WORDS[-1]}],
    }
    (cases["huggingface-unigram"] / "tokenizer.json").write_text(json.dumps(unigram))
    (cases["huggingface-sharded"] / "model.safetensors").rename(cases["huggingface-sharded"] / "part-1.safetensors")
    index = {"weight_map": {"lm_head.weight": "part-2.safetensors", "embeddings": "part-1.safetensors"}}
    (cases["huggingface-sharded"] / "model.safetensors.index.json").write_text(json.dumps(index))
    return cases
