"""word2vec's binary format: a header line, then each word, a space and its float32 numbers."""

import codecs
import io
import re
from collections.abc import Iterator

import numpy as np

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.text import Block, count_undecodable, decode, describe_lie, encode, find_header

CHUNK = 1 << 20
"""Bytes that are searched together."""
NOT_IN_WORDS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""What numbers that are taken for words are full of, and words hardly ever hold."""
LOOKED_AT = 50
"""Rows that tell whether a dimension is right."""
WIDEST_TRIED = 2_000
"""The largest dimension that is tried where the header's is wrong."""
LONGEST_WORD = 1 << 14
"""Bytes. Where no space comes for so long, what is read isn't a word."""


def find_binary_dimension(head: bytes) -> int:
    """The dimension of the rows in the first bytes of a file: what the header says, unless the rows show otherwise.

    With a wrong one, words hold parts of numbers, and numbers parts of words: a letter as a number's last byte makes
    it huge. Where no dimension fits, the header's is given.
    """
    line, _, data = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")
    header = find_header(line)
    assert header is not None  # or the format would have been another
    if _share_of_rows(data, header[1]) >= 0.9:
        return header[1]
    return next((dim for dim in range(1, WIDEST_TRIED) if _share_of_rows(data, dim) >= 0.95), header[1])


def _share_of_rows(data: bytes, dim: int) -> float:
    """The share of the first rows that look like rows of this dimension; 0 where there is none."""
    good = rows = start = 0
    while rows < LOOKED_AT and (space := data.find(b" ", start, start + LONGEST_WORD)) != -1:
        word = data[start:space]
        start = space + 1 + 4 * dim
        if start > len(data):
            break
        numbers = np.abs(np.frombuffer(data[space + 1 : start], dtype="<f4"))
        plausible = np.isfinite(numbers) & ((numbers == 0) | ((numbers > 1e-12) & (numbers < 1e6)))
        good += bool(plausible.mean() > 0.99) and NOT_IN_WORDS.search(word) is None
        rows += 1
    return good / rows if rows else 0.0


def read_binary(
    stream: io.BufferedReader, dim: int, report: ReadReport, wanted: frozenset[str] | None, limit: int | None
) -> Iterator[Block]:
    """Stream the rows of a word2vec binary file, with or without a newline after each vector.

    Args:
        stream: At the start of the content, which has a header.
        dim: The dimension, as `find_binary_dimension` tells it.
        report: Filled in as the rows go by.
        wanted: Yield only the rows of these words. None: all rows.
        limit: Look at the first `limit` rows only.

    Raises:
        InputError: More than a small share of the rows is malformed, or they aren't what the header says.
    """
    header = find_header(stream.readline().removeprefix(codecs.BOM_UTF8))
    assert header is not None
    report.header = header
    wanted_bytes = None if wanted is None else {encode(word) for word in wanted}
    for first, words, vectors in _split_rows(stream, 4 * dim, report):
        if limit is not None:
            words = words[: max(limit - report.rows_read, 0)]
        report.rows_read += len(words)
        report.undecodable += count_undecodable(words)
        if sum(NOT_IN_WORDS.search(word) is not None for word in words) > len(words) / 2:
            raise InputError(
                f"{report.file} isn't what its header says, {header[0]:,} rows of {header[1]:,} numbers: where words "
                "should be, there is something else. Is it damaged, or has it another dimension?"
            )
        hits = [position for position, word in enumerate(words) if wanted_bytes is None or word in wanted_bytes]
        # Files are little-endian, whatever machine reads them.
        matrix = np.frombuffer(b"".join([vectors[position] for position in hits]), dtype="<f4")
        matrix = matrix.astype(np.float32, copy=False).reshape(-1, dim)
        finite = np.atleast_1d(np.isfinite(matrix).all(axis=1))
        for position, good in zip(hits, finite, strict=True):
            if not good:
                report.add_malformed(first + position, "not all of its values are finite numbers")
        yield [decode(words[position]) for position, good in zip(hits, finite, strict=True) if good], matrix[finite]
        report.check_malformed(report.rows_read)
        if limit is not None and report.rows_read >= limit:
            report.header_lied = describe_lie(header, header[0], dim)
            return
    report.check_malformed(report.rows_read)
    report.header_lied = describe_lie(header, report.rows_read, dim)


def _split_rows(
    stream: io.BufferedReader, size: int, report: ReadReport
) -> Iterator[tuple[int, list[bytes], list[bytes]]]:
    """Cut the content into rows: the number of the first, counted from 1, the words, and their `size` bytes each."""
    rest, number = b"", 1
    while chunk := stream.read(CHUNK + size):
        data = rest + chunk
        words: list[bytes] = []
        vectors: list[bytes] = []
        start = 0
        while (space := data.find(b" ", start)) != -1 and space + 1 + size <= len(data):
            # The word2vec program itself takes no newline into a word either.
            words.append(data[start:space].replace(b"\n", b""))
            vectors.append(data[space + 1 : space + 1 + size])
            start = space + 1 + size
        yield number, words, vectors
        number += len(words)
        rest = data[start:]
        if rest.find(b" ", 0, LONGEST_WORD) == -1 and len(rest) > LONGEST_WORD:
            report.add_malformed(number, f"no space in the {len(rest):,} bytes where its word should be")
            rest = b""
            break
    if rest.strip(b"\n"):
        report.add_malformed(number, "the file ends in the middle of it")
