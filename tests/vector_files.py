"""Writes vectors files in every format, byte by byte, as the programs that publish them do; and reads them."""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow

from glove_bilstm import WordVectors, load_vectors
from glove_bilstm.vectors.report import ReadReport

WORDS = ["the", "naïve", "cat", "日本", "a\u00a0b"]
MATRIX = np.random.default_rng(5).normal(size=(len(WORDS), 7)).round(5).astype(np.float32)


def glove_text(words: Sequence[str] = WORDS, matrix: np.ndarray = MATRIX, end: str = "\n") -> bytes:
    return "".join(
        " ".join([word, *(f"{value:.5f}" for value in row)]) + end for word, row in zip(words, matrix, strict=True)
    ).encode()


def word2vec_text(words: Sequence[str] = WORDS, matrix: np.ndarray = MATRIX) -> bytes:
    """With a space at each row's end, as the word2vec program and fastText write it."""
    return f"{len(words)} {matrix.shape[1]}\n".encode() + glove_text(words, matrix, " \n")


def word2vec_binary(words: Sequence[str] = WORDS, matrix: np.ndarray = MATRIX, newline: bytes = b"\n") -> bytes:
    rows = (word.encode() + b" " + row.tobytes() + newline for word, row in zip(words, matrix, strict=True))
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"".join(rows)


def fasttext_binary(
    words: Sequence[bytes],
    matrix: np.ndarray,
    *,
    new: bool = True,
    labels: Sequence[bytes] = (),
    supervised: bool = False,
    quantized: bool = False,
    shortest: int = 3,
    longest: int = 4,
) -> bytes:
    """A model whose matrix has the rows of the words and then those of the n-grams."""
    dim, buckets = matrix.shape[1], len(matrix) - len(words)
    header = struct.pack("<2i", 793712314, 12) if new else b""
    kind = 3 if supervised else 2
    header += struct.pack("<12id", dim, 5, 1, 1, 5, 1, 2, kind, buckets, shortest, longest, 100, 1e-4)
    header += struct.pack("<3iq", len(words) + len(labels), len(words), len(labels), 999)
    header += struct.pack("<q", -1) if new else b""
    for kind, entries in ((0, words), (1, labels)):
        header += b"".join(entry + b"\0" + struct.pack("<qb", 9, kind) for entry in entries)
    header += struct.pack("<?", quantized) if new else b""
    return header + struct.pack("<2q", *matrix.shape) + matrix.astype("<f4").tobytes() + b"the output matrix"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zstd(content: bytes) -> bytes:
    return pyarrow.Codec("zstd").compress(content, asbytes=True)


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


COMPRESSIONS = {
    "plain": lambda content: content,
    "gz": lambda content: gzip.compress(content, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
    "zip": lambda content: zipped(file=content),
}


def load(path: Path, content: bytes | None = None, **options: object) -> WordVectors:
    if content is not None:
        path.write_bytes(content)
    return load_vectors(path, use_cache=False, **options)


def report(vectors: WordVectors) -> ReadReport:
    assert vectors.report is not None
    return vectors.report
