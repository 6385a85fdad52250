"""Rows of text: GloVe's format, and word2vec's and fastText's, which begin with a header."""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
import pyarrow
from pyarrow import csv

from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.streams import HEAD

HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})[ \t]*\r?\n?")
ENOUGH = 100
"""Rows that are looked at to tell their dimension."""
BATCH = 1024
"""Rows that are parsed together."""
LEAF = 16
"""Rows that are looked at one by one, once something among them can't be parsed."""

Block = tuple[list[str], np.ndarray]
"""Words, and their vectors: float32 ``[words, dim]``."""


def decode(word: bytes) -> str:
    r"""A word as text; bytes that aren't UTF-8 are spelled ``\xe9``, so that different words stay different."""
    return word.decode("utf-8", errors="backslashreplace")


def decode_all(words: list[bytes]) -> list[str]:
    """Words as text; all at once where nothing is amiss."""
    try:
        return b"\n".join(words).decode().split("\n")
    except UnicodeDecodeError:
        return [decode(word) for word in words]


def encode(word: str) -> bytes:
    """A word as bytes; half of a surrogate pair, which JSON can hold, becomes some that no file has."""
    return word.encode("utf-8", errors="surrogatepass")


def count_undecodable(words: list[bytes]) -> int:
    """How many of the words hold bytes that aren't UTF-8."""
    try:
        b"\n".join(words).decode()
    except UnicodeDecodeError:
        return sum(decode(word).encode() != word for word in words)
    return 0


def find_header(line: bytes) -> tuple[int, int] | None:
    """The (rows, dimension) of a header line; None where the line is something else."""
    found = HEADER.fullmatch(line)
    return (int(found[1]), int(found[2])) if found else None


def describe_lie(header: tuple[int, int], rows: int, dim: int) -> str | None:
    """What a header says and the file doesn't; None where they agree."""
    if header == (rows, dim):
        return None
    return f"the header says {header[0]:,} rows of {header[1]:,} numbers, but there are {rows:,} of {dim:,}"


def find_dimension(head: bytes) -> int:
    """The dimension of the rows in the first bytes of a file: what most of them have. 0: these are no rows of text."""
    lines = head.removeprefix(codecs.BOM_UTF8).split(b"\n", ENOUGH)
    if len(lines) > ENOUGH or (len(lines) > 1 and not lines[-1]):
        lines.pop()  # the rest, or what follows the last row's end
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # perhaps cut
    header = find_header(lines[0])
    if header:
        del lines[0]
    dimensions: Counter[int] = Counter()
    for line in lines:
        # The word itself may look like a number, so it is never counted.
        fields = line.rstrip(b" \r").split(b" ")[1:]
        dimensions[next((n for n, field in enumerate(reversed(fields)) if not is_number(field)), len(fields))] += 1
    ((dimension, _),) = dimensions.most_common(1) or [(0, 0)]
    # A word and one number is a word count more likely than a vector, unless a header says so.
    return dimension if dimension > 1 or header and header[1] == dimension else 0


def is_number(field: bytes) -> bool:
    """Whether Python reads the field as a number."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def read_text(
    stream: io.BufferedReader, dim: int, report: ReadReport, wanted: frozenset[str] | None, limit: int | None
) -> Iterator[Block]:
    r"""Stream the rows of a text file.

    Rows end with ``\n`` alone and fields are divided by one ASCII space; the LAST `dim` fields are the vector, because
    GloVe 840B has words that contain spaces. Spaces before a word, or more than one behind it, are none of its own. A
    row is told apart by its first field, before anything in it is parsed.

    Args:
        stream: At the start of the content.
        dim: The dimension, as `find_dimension` tells it.
        report: Filled in as the rows go by.
        wanted: Parse and yield only the rows of these words. None: all rows.
        limit: Look at the first `limit` rows only.

    Raises:
        InputError: More than a small share of the rows that were parsed is malformed.
    """
    parser = _RowParser(dim, report)
    # The first field is empty where spaces stand before the word.
    first_fields = None if wanted is None else {encode(word).split(b" ", 1)[0] for word in wanted} | {b""}
    first = stream.readline().removeprefix(codecs.BOM_UTF8)
    report.header = find_header(first)
    lines: Iterator[bytes] = stream if report.header else chain([first], stream)
    number = 2 if report.header else 1  # of the next row in the file
    pending: list[tuple[int, bytes]] = []
    yield [], np.empty((0, dim), dtype=np.float32)  # where no row is wanted, there is a dimension all the same
    ended = False
    while not ended:
        wished = BATCH if limit is None else min(BATCH, limit - report.rows_read)
        batch = list(islice(lines, wished))
        if not batch:
            ended = wished > 0
            break
        keys = [line[: line.find(b" ")] for line in batch]
        report.undecodable += count_undecodable(keys)
        if first_fields is None:
            pending += enumerate(batch, number)
        else:
            pending += [(number + at, batch[at]) for at, key in enumerate(keys) if key in first_fields]
        report.rows_read += len(batch)
        if b"" in keys or b"\r" in keys:  # a blank line, or a row whose word is empty
            report.rows_read -= sum(map(_is_blank, batch))
            pending = [row for row in pending if not _is_blank(row[1])]
        number += len(batch)
        if len(pending) >= BATCH:
            yield from parser.parse(pending, wanted)
            pending = []
    yield from parser.parse(pending, wanted)
    if report.header is not None:
        # Where the rest wasn't looked at, it may hold as many rows as the header says.
        rows = report.rows_read if ended else report.header[0]
        report.header_lied = describe_lie(report.header, rows, dim)


def _is_blank(line: bytes) -> bool:
    return line in (b"\n", b"\r\n", b"\r", b"")


def _ends_in_numbers(word: bytes) -> bool:
    """Whether what stands before a row's last numbers is a word and numbers, so that the row has too many."""
    numbers = word.split()[1:] if b" " in word else []
    return bool(numbers) and all(map(is_number, numbers))


def _trim(word: bytes) -> bytes:
    """A word without the spaces around it, unless it is made of them."""
    return word.strip(b" ") or word


class _RowParser:
    """Parses rows many at a time; looks closer only where that fails."""

    def __init__(self, dim: int, report: ReadReport) -> None:
        self.dim = dim
        self.report = report
        self.parsed = 0
        names = [str(column) for column in range(dim)]
        self._parsing = csv.ParseOptions(delimiter=" ", quote_char=False)
        # Doubles, then rounded to float32: so do gensim, numpy and everybody else, and the same bits come out.
        self._conversion = csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.float64()))
        self._names = names
        # Arrow's own keeps tens of megabytes that were freed.
        self._pool = pyarrow.system_memory_pool()

    def parse(self, rows: list[tuple[int, bytes]], wanted: frozenset[str] | None) -> Iterator[Block]:
        """Parse (number, line) rows and yield those wanted; those that are malformed go into the report."""
        self.parsed += len(rows)
        for words, matrix in self._parse([(number, line.rstrip(b" \r\n")) for number, line in rows]):
            if wanted is not None and not wanted.issuperset(words):
                kept = [position for position, word in enumerate(words) if word in wanted]
                words, matrix = [words[position] for position in kept], matrix[kept]
            yield words, matrix
        self.report.check_malformed(self.parsed)

    def _parse(self, rows: list[tuple[int, bytes]]) -> Iterator[Block]:
        if not rows:
            return
        lines = [line for _, line in rows]
        block = self._parse_together([line[: line.find(b" ")] for line in lines], lines)
        if block is None:  # a word with spaces, perhaps
            words = [line.rsplit(b" ", self.dim)[0] for line in lines]
            if not any(map(_ends_in_numbers, words)):
                block = self._parse_together(words, lines)
        if block is not None:
            yield block
        elif len(rows) > LEAF:
            middle = len(rows) // 2
            yield from self._parse(rows[:middle])
            yield from self._parse(rows[middle:])
        else:
            for number, line in rows:
                parsed = self._parse_row(number, line)
                if parsed is not None:
                    yield [parsed[0]], parsed[1][None]

    def _parse_together(self, words: list[bytes], lines: list[bytes]) -> Block | None:
        """Parse rows that are all their word and `dim` numbers; None where one isn't."""
        values = b"\n".join([line[len(word) + 1 :] for line, word in zip(lines, words, strict=True)])
        # Arrow leaves out empty lines, and takes a carriage return for the end of one.
        if b"\r" in values or b"\n\n" in values or values[:1] == b"\n" or values[-1:] in (b"\n", b""):
            return None
        # With threads of Arrow's own the process may abort at its exit (pyarrow 26.0.1).
        reading = csv.ReadOptions(column_names=self._names, block_size=len(values) + 1, use_threads=False)
        try:
            table = csv.read_csv(pyarrow.py_buffer(values), reading, self._parsing, self._conversion, self._pool)
        except pyarrow.ArrowInvalid:
            return None
        if any(numbers.null_count for numbers in table.columns):
            return None
        (batch,) = table.combine_chunks().to_batches()
        with np.errstate(over="ignore"):  # becomes infinite, which is seen below
            matrix = batch.to_tensor(row_major=True).to_numpy().astype(np.float32)
        if not np.isfinite(matrix).all():
            return None
        return decode_all([_trim(word) for word in words]), matrix

    def _parse_row(self, number: int, line: bytes) -> tuple[str, np.ndarray] | None:
        """Parse one row, or say in the report why it can't be."""
        fields = line.split(b" ")
        word, values = fields[: -self.dim], fields[-self.dim :]
        if not word or _ends_in_numbers(b" ".join(word)):
            self.report.add_malformed(number, f"{len(fields) - 1} values where the other rows have {self.dim}")
            return None
        try:
            with np.errstate(over="ignore"):
                vector = np.array(values, dtype=np.float32)
        except ValueError:
            wrong = decode(next(value for value in values if not is_number(value)))
            self.report.add_malformed(number, f"{wrong!r} is not a number")
            return None
        finite = np.isfinite(vector)
        if not finite.all():
            wrong = decode(values[int(finite.argmin())])
            self.report.add_malformed(number, f"{wrong} is not a finite float32 number")
            return None
        return decode(_trim(b" ".join(word))), vector
