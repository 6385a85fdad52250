"""fastText's binary models: a vector for every word, also for those that the model never saw.

The format is that of fastText's own `FastText::saveModel`, https://github.com/facebookresearch/fastText; "old" files,
from before December 2016, lack the magic number, the pruned index and the mark of quantization. A word's vector is the
mean of its own row and of the rows of its character n-grams (Bojanowski et al. 2017, "Enriching Word Vectors with
Subword Information"); n-grams share rows by a hash. Everything is read in the file's order, so compressed files can be
streamed, and of the matrix, gigabytes in published models, only the rows that are needed are held.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.streams import VectorsFile
from glove_bilstm.vectors.text import Block, count_undecodable, decode, encode

MAGIC = 793712314
SUPERVISED = 3
BATCH = 512
"""Words whose rows are gathered together: about 15 MB at 300 dimensions."""
CHUNK = 1 << 22
"""Bytes that are read together."""


@dataclass(frozen=True)
class NGrams:
    """The rows of a model's character n-grams, which make a vector for any word.

    Those of a plain file are mapped into memory: it mustn't be overwritten in place while they are in use.

    Attributes:
        matrix: All rows of the model, float32 ``[words + buckets, dim]``: first those of its words.
        first: The row of the first n-gram.
        buckets: How many rows the n-grams share.
        shortest: Characters of the shortest n-gram, the word's borders ``<`` and ``>`` included.
        longest: Characters of the longest.
    """

    matrix: np.ndarray
    first: int
    buckets: int
    shortest: int
    longest: int

    def rows(self, word: bytes) -> list[int]:
        """The rows of a word's n-grams, in the order in which fastText adds them up."""
        return [self.first + bucket for bucket in ngram_buckets(word, self.shortest, self.longest, self.buckets)]

    def vector(self, word: str) -> np.ndarray | None:
        """The mean of the n-grams' rows, float32 ``[dim]``.

        None for a word that is too short to have any, or where the rows aren't all finite numbers.
        """
        rows = self.rows(encode(word))
        mean = mean_rows(self.matrix, [rows])[0] if rows else None
        return mean if mean is not None and np.isfinite(mean).all() else None


def ngram_buckets(word: bytes, shortest: int, longest: int, buckets: int) -> list[int]:
    """The hash of every character n-gram of ``<word>``, modulo the number of buckets.

    The hash is FNV-1a with 32 bits over the UTF-8 bytes, which fastText takes as signed. A border alone is no n-gram.
    """
    data = b"<" + word + b">"
    starts = [position for position, byte in enumerate(data) if byte & 0xC0 != 0x80]
    ends = [*starts[1:], len(data)]
    hashes = []
    for first in range(len(starts)):
        value = 2166136261
        for last in range(first, min(first + longest, len(starts))):
            for byte in data[starts[last] : ends[last]]:
                value = ((value ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619) & 0xFFFFFFFF
            border = first == last and (first == 0 or last == len(starts) - 1)
            if last - first + 1 >= shortest and not border:
                hashes.append(value % buckets)
    return hashes


def mean_rows(matrix: np.ndarray, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """For each sequence of row numbers, none of them empty, the mean of those rows: float32 ``[len(rows), dim]``."""
    # One row after the other in float32, as fastText and gensim add them, so that the same bits come out.
    sums = [matrix[np.asarray(numbers, dtype=np.int64)].sum(axis=0, dtype=np.float32) for numbers in rows]
    return np.stack(sums) / np.array([len(numbers) for numbers in rows], dtype=np.float32)[:, None]


class FastTextReader:
    """Reads one fastText model."""

    def __init__(self, file: VectorsFile, report: ReadReport) -> None:
        """Name the file, and the report to fill in; nothing is read yet."""
        self.file = file
        self.report = report
        self.ngrams: NGrams | None = None
        """After `read`: what makes vectors for further words, where all rows can be reached."""

    def read(self, spellings: dict[str, tuple[str, ...]] | None, limit: int | None) -> Iterator[Block]:
        """Yield the vectors of the model's words, and then those made for words it doesn't have.

        Args:
            spellings: Word wanted → the spellings under which it may be found. None: all words of the model.
            limit: Look at the first `limit` words of the model only.

        Raises:
            InputError: The file is quantized, or cut off.
        """
        with self.file.open() as stream:
            try:
                model = _Model(stream, self.file)
            except (struct.error, OverflowError):
                raise _cut_off(self.file) from None
            words = model.words[:limit]
            self.report.rows_read = len(words)
            self.report.undecodable = count_undecodable(words)
            texts = [decode(word) for word in words]
            wanted = None if spellings is None else {form for forms in spellings.values() for form in forms}
            hits = [row for row, text in enumerate(texts) if wanted is None or text in wanted]
            known = {texts[row] for row in hits}
            # The end-of-sentence mark has n-grams in old models only.
            rows = [
                [row] if words[row] == b"</s>" and model.new else [row, *model.ngrams.rows(words[row])] for row in hits
            ]
            names = [texts[row] for row in hits]
            for word, forms in (spellings or {}).items():
                if known.isdisjoint(forms) and (made := model.ngrams.rows(encode(word))):
                    names.append(word)
                    rows.append(made)
                    self.report.from_ngrams += 1

            if self.file.is_plain or wanted is None:
                matrix = model.map_matrix() if self.file.is_plain else model.read_rows(None)
                self.ngrams = replace(model.ngrams, matrix=matrix) if model.ngrams.longest else None
            else:
                needed = np.unique(np.concatenate([[], *rows]).astype(np.int64))
                matrix = model.read_rows(needed)
                rows = [np.searchsorted(needed, numbers).tolist() for numbers in rows]
            yield [], np.empty((0, model.shape[1]), dtype=np.float32)  # the dimension, if nothing is found
            for start in range(0, len(names), BATCH):
                block = mean_rows(matrix, rows[start : start + BATCH])
                finite = np.isfinite(block).all(axis=1)
                for position in np.flatnonzero(~finite).tolist():
                    own = start + position < len(hits)
                    row = hits[start + position] + 1 if own else 0
                    self.report.add_malformed(row, "not all of its values are finite numbers")
                    self.report.from_ngrams -= not own
                words_of_block = names[start : start + BATCH]
                yield [word for word, good in zip(words_of_block, finite, strict=True) if good], block[finite]


class _Model:
    """What stands in front of a model's matrix; the stream is left at the matrix' first number."""

    def __init__(self, stream: io.BufferedReader, file: VectorsFile) -> None:
        self.stream, self.file = stream, file
        first, second = self._read("<2i")
        self.new = new = first == MAGIC
        version, dim = (second, self._read("<2i")[0]) if new else (0, first)
        *_, kind, buckets, shortest, longest, _, _ = self._read("<10id")
        if version == 11 and kind == SUPERVISED:
            longest = 0  # such models have no character n-grams, whatever the header says
        size, num_words, _, _ = self._read("<3iq")
        pruned = self._read("<q")[0] if new else -1
        self.words = self._read_words(size)[:num_words]  # labels of a supervised model come last
        if new:
            stream.read(8 * max(pruned, 0))
            if self._read("<?")[0]:
                raise InputError(
                    f"{file} is a quantized fastText model (.ftz), which holds no vectors any more, only codes for "
                    "them. Give the .bin file it was made from."
                )
        num_rows, columns = self._read("<2q")
        if columns != dim or num_rows < num_words:
            raise _cut_off(file)
        self.shape = (num_rows, dim)
        # Without buckets, or where n-grams were pruned away, none are read.
        if buckets == 0 or pruned == 0 or num_rows < num_words + buckets:
            longest = 0
        self.ngrams = NGrams(np.empty((0, dim), np.float32), num_words, max(buckets, 1), max(shortest, 1), longest)

    def _read(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.stream.read(struct.calcsize(layout)))

    def _read_words(self, size: int) -> list[bytes]:
        """The dictionary: words that end with a zero byte, each with its count and kind, which aren't needed."""
        words: list[bytes] = []
        while len(words) < size:
            data, start = self.stream.peek(), 0
            while len(words) < size and (end := data.find(b"\0", start)) != -1 and end + 10 <= len(data):
                words.append(data[start:end])
                start = end + 10
            self.stream.read(start)
            if start == 0:  # an entry across the end of the buffer
                word = bytearray()
                while byte := self._read("<B")[0]:
                    word.append(byte)
                words.append(bytes(word))
                self._read("<qb")
        return words

    def map_matrix(self) -> np.ndarray:
        """The matrix of a plain file, mapped into memory: float32 ``[words + buckets, dim]``."""
        offset = self.stream.tell()
        if self.file.path.stat().st_size < offset + 4 * self.shape[0] * self.shape[1]:
            raise _cut_off(self.file)
        return np.memmap(self.file.path, dtype="<f4", mode="r", offset=offset, shape=self.shape)

    def read_rows(self, needed: np.ndarray | None) -> np.ndarray:
        """Stream through the matrix and keep the rows that are needed, in ascending order; None: all of them."""
        num_rows, dim = self.shape
        kept = np.empty((num_rows if needed is None else len(needed), dim), dtype=np.float32)
        step = max(CHUNK // (4 * dim), 1)
        for start in range(0, num_rows, step):
            stop = min(start + step, num_rows)
            data = self.stream.read(4 * dim * (stop - start))
            if len(data) < 4 * dim * (stop - start):
                raise _cut_off(self.file)
            chunk = np.frombuffer(data, dtype="<f4").reshape(-1, dim)
            if needed is None:
                kept[start:stop] = chunk
            else:
                first, last = np.searchsorted(needed, [start, stop])
                kept[first:last] = chunk[needed[first:last] - start]
        return kept


def _cut_off(file: VectorsFile) -> InputError:
    return InputError(f"{file} is a fastText model that ends too early or is damaged. Delete it, and fetch it again.")


def is_fasttext(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a fastText model, new or old.

    An old model has no magic number, but a dimension, a window, … that can only be small, where text has letters.
    """
    if head[:4] == struct.pack("<i", MAGIC):
        return True
    if len(head) < 60:
        return False
    dim, window, epochs, min_count, negatives, _, loss, kind, buckets, _, _, _, threshold = struct.unpack(
        "<12id", head[:56]
    )
    return (
        all(0 < value < 100_000 for value in (dim, window, epochs))
        and all(0 <= value < 100_000 for value in (min_count, negatives))
        and loss in (1, 2, 3, 4)
        and kind in (1, 2, 3)
        and buckets >= 0
        and 0 <= threshold <= 1
    )
