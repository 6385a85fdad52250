"""Telling the format of a vectors file by its content, and reading it."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glove_bilstm.vectors.binary import find_binary_dimension, read_binary
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.fasttext import FastTextReader, NGrams, is_fasttext
from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.safetensors_file import is_safetensors, read_safetensors
from glove_bilstm.vectors.streams import PICKLE_ADVICE, VectorsFile
from glove_bilstm.vectors.text import Block, find_dimension, find_header, read_text

PICKLE = re.compile(
    rb"\x80[\x02-\x05]"  # protocols 2 to 5
    rb"|\(?c[A-Za-z_][\w.]*\n\w+\n|\((?:dp|lp)\d+\n|\(i[\w.]+\n|[\]}]q[\x00-\x09]"  # 0 and 1
)
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""What binary numbers are full of and text never holds."""
WIDEST = 100_000
"""A larger dimension is none, but something else that was taken for a header."""
OTHERS = {
    b"\x93NUMPY": "a NumPy array, which has no words",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a database",
    b"\x1f\x8b": "a compressed file within another; unpack it",
    b"PK\x03\x04": "a zip archive within another file; unpack it",
    b"<": "a web page or XML, as a server sends that refuses a download",
    b"\xff\xfe": "text in UTF-16, where UTF-8 is usual",
    b"\xfe\xff": "text in UTF-16, where UTF-8 is usual",
    b"version https://git-lfs": "a Git LFS pointer in place of the file, which git lfs pull fetches",
}
"""First bytes → what such a file is."""


@dataclass
class Loaded:
    """Everything that was wanted from a file.

    Attributes:
        words: The words found, in the file's order, then those made from n-grams.
        matrix: Their vectors, float32 ``[len(words), dim]``.
        report: What was met on the way.
        ngrams: What makes vectors for further words, if the file can.
    """

    words: list[str]
    matrix: np.ndarray
    report: ReadReport
    ngrams: NGrams | None = None


def detect_format(file: VectorsFile) -> str:
    """The format of a file, told by its content, never by its name.

    Raises:
        InputError: It is none that can be read, a pickle among them; the message says what it is.
    """
    head = file.head().removeprefix(codecs.BOM_UTF8)
    if not head:
        raise InputError(f"{file} is empty. Give a file of word vectors.")
    if is_safetensors(head):
        return "safetensors"
    if is_fasttext(head):
        return "fastText binary"
    if PICKLE.match(head):
        raise InputError(f"{file} is a pickle (of gensim, PyTorch or other Python code); {PICKLE_ADVICE}")
    line, _, rest = head.partition(b"\n")
    header = find_header(line)
    what = next((f"it is {what}" for magic, what in OTHERS.items() if head.startswith(magic)), None)
    if head[257:262] == b"ustar":
        what = "it is a tar archive; unpack it"
    elif b"\r" in head.rstrip(b"\r") and b"\n" not in head and find_dimension(head.replace(b"\r", b"\n")):
        what = "its rows end with a carriage return alone, where a newline is usual"
    elif b"\t" in (line if header is None else rest.partition(b"\n")[0]) and not CONTROL.search(rest):
        what = "its fields are divided by tabs, where single spaces are usual"
    elif find_dimension(head):
        return "GloVe text" if header is None else "word2vec text"
    elif header is not None and 0 < header[1] <= WIDEST and CONTROL.search(rest):
        return "word2vec binary"
    shown = line[:60].decode("utf-8", errors="backslashreplace")
    raise InputError(
        f"{file} doesn't hold word vectors: "
        + (what or f"its first row, {shown!r}, isn't a word and its numbers divided by single spaces")
        + ". Give a file in the format of GloVe, word2vec or fastText, or safetensors."
    )


def read_vectors(file: VectorsFile, spellings: dict[str, tuple[str, ...]] | None, limit: int | None) -> Loaded:
    """Read a vectors file of any format, holding only what is wanted.

    Args:
        file: The file.
        spellings: Word wanted → the spellings under which it may be found. None: every word of the file.
        limit: Look at the first `limit` rows only; published files hold the most frequent words first.

    Raises:
        InputError: The file can't be read; the message names it, and the row where it is one.
    """
    report = ReadReport(file.path.name, detect_format(file))
    wanted = None if spellings is None else frozenset(form for forms in spellings.values() for form in forms)
    collector = _Collector(report)
    ngrams = None
    if report.format == "safetensors":
        if not file.is_plain:
            raise InputError(f"{file} is a compressed safetensors file, which can't be mapped. Decompress it.")
        words, matrix = read_safetensors(file.path)
        with np.errstate(over="ignore"):  # becomes infinite, which is seen below
            words, matrix = words[:limit], matrix[:limit].astype(np.float32, copy=False)
        report.rows_read = len(words)
        finite = np.isfinite(matrix).all(axis=1)
        if wanted is None and finite.all() and len(set(words)) == len(words):
            report.rows_kept = len(words)
            return Loaded(words, matrix, report)  # still mapped
        for row in np.flatnonzero(~finite).tolist():
            report.add_malformed(row + 1, "not all of its values are finite numbers")
        report.check_malformed(len(words))
        kept = [row for row, word in enumerate(words) if finite[row] and (wanted is None or word in wanted)]
        collector.add([words[row] for row in kept], matrix[kept])
    elif report.format == "fastText binary":
        reader = FastTextReader(file, report)
        for block in reader.read(spellings, limit):
            collector.add(*block)
        ngrams = reader.ngrams
    else:
        with file.open() as stream:
            blocks: Iterator[Block]
            if report.format == "word2vec binary":
                blocks = read_binary(stream, find_binary_dimension(file.head()), report, wanted, limit)
            else:
                blocks = read_text(stream, find_dimension(file.head()), report, wanted, limit)
            for block in blocks:
                collector.add(*block)
    report.rows_kept = len(collector.words) - report.from_ngrams
    return Loaded(collector.words, collector.matrix(), report, ngrams)


class _Collector:
    """Puts blocks together into one matrix that is never held twice; the first row of a word wins."""

    def __init__(self, report: ReadReport) -> None:
        self.words: list[str] = []
        self._report = report
        self._seen: set[str] = set()
        self._matrix = np.empty((0, 0), dtype=np.float32)

    def add(self, words: list[str], matrix: np.ndarray) -> None:
        """Add a block: words, perhaps none, and float32 ``[words, dim]``."""
        if self._matrix.shape[1] == 0:
            self._matrix = np.empty((0, matrix.shape[1]), dtype=np.float32)
        different = set(words)
        if len(different) < len(words) or not different.isdisjoint(self._seen):
            first = {word: position for position, word in reversed(list(enumerate(words))) if word not in self._seen}
            new = sorted(first.values())
            self._report.duplicates += len(words) - len(new)
            words, matrix = [words[position] for position in new], matrix[new]
        self._seen |= different
        start, stop = len(self.words), len(self.words) + len(words)
        if stop > len(self._matrix):
            # In place: the system moves pages, where a list of blocks would have to be copied at the end.
            self._matrix.resize((stop + stop // 32, matrix.shape[1]), refcheck=False)
        self._matrix[start:stop] = matrix
        self.words += words

    def matrix(self) -> np.ndarray:
        """Everything that was added, float32 ``[len(words), dim]``; nothing can be added any more."""
        self._matrix.resize((len(self.words), self._matrix.shape[1]), refcheck=False)
        return self._matrix
