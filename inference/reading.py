"""Texts in files and pipes, row by row: any size, flat memory, and a bad row spoils no other."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from glove_bilstm.vectors.errors import InputError

Row = dict[str, Any]
Found = tuple[int, Row, str]
"""The number of a row, or of the line that it ends on; its columns; what is wrong with it, or nothing."""

FORMATS = ("txt", "csv", "jsonl", "parquet")
PIPED_FORMATS = FORMATS[:-1]
PARQUET_ROWS = 10_000
"""Rows in a group of a parquet file."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""No character: what Python keeps of bytes that aren't UTF-8, and what a JSON escape may hold half of."""


@dataclass(frozen=True)
class TextFile:
    """A file of texts, or a pipe.

    Attributes:
        path: The file. None: standard input or output.
        format: Of `FORMATS`; of a pipe, of `PIPED_FORMATS`.
    """

    path: Path | None
    format: str

    @classmethod
    def at(cls, path: Path) -> "TextFile":
        """A file whose ending tells its format.

        Raises:
            InputError: It tells none.
        """
        if path.suffix.lower().removeprefix(".") not in FORMATS:
            endings = ", ".join(f".{name}" for name in FORMATS)
            raise InputError(f"{path} ends in none of {endings}, so its format is unknown.")
        return cls(path, path.suffix.lower().removeprefix("."))


@dataclass(frozen=True)
class BadRow:
    """A row that can't be read as it should.

    Attributes:
        row: Those of its columns that could be read.
        error: Where it stands, and what is wrong.
    """

    row: Row
    error: str


def read_rows(source: TextFile, text_columns: Sequence[str], added: Iterable[str]) -> Iterator[Row | BadRow]:
    """Read texts.

    Args:
        source: ``txt``, one text a line; or ``csv`` (with a header), ``jsonl`` or ``parquet``.
        text_columns: The columns that must hold a text in every row. ``txt`` has the first and no other.
        added: The columns that the output adds, which must not be there yet.

    Yields:
        Each row with all its columns, or what is wrong with it.

    Raises:
        InputError: The file isn't there, isn't what its name says, holds no rows or lacks a column from the first row
            on, or it has one that the output adds.
    """
    name = str(source.path or "Standard input")
    unit = "row" if source.format == "parquet" else "line"
    found = columns_found = False
    try:
        with _opened(source) as file:
            for number, row, error in READERS[source.format](file, text_columns[0]):
                found = True
                where = f"{name}, {unit} {number:,}"
                if error:
                    yield BadRow(_printable(row), f"{where} {error}")
                    continue
                missing = [column for column in text_columns if column not in row]
                if missing and not columns_found:
                    raise InputError(
                        f"{name} has no column {missing[0]!r}; it has: {', '.join(row)}. "
                        "Name the right one with --text_column or --text_pair_column."
                    )
                if taken := sorted(set(added) & set(row)):
                    raise InputError(
                        f"{name} has a column {taken[0]!r}, which the output adds with the model's own values. "
                        "Rename yours."
                    )
                columns_found = True
                if wrong := _wrong(row, text_columns, missing):
                    yield BadRow(_printable(row), f"{where}{wrong}")
                else:
                    yield row
    except (csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{name} can't be read as {source.format}: {error}") from error
    if not found:
        raise InputError(f"{name} holds no rows.")


def count_rows(source: TextFile) -> int:
    """How many rows a file has, good and bad.

    Raises:
        InputError: The file isn't there or isn't what its name says.
    """
    try:
        with _opened(source) as file:
            if source.format == "parquet":
                return pq.ParquetFile(file).metadata.num_rows
            if source.format == "jsonl":
                return sum(1 for line in file if line.strip())
            return sum(1 for _ in READERS[source.format](file, ""))
    except (csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{source.path} can't be read as {source.format}: {error}") from error


def _wrong(row: Row, text_columns: Sequence[str], missing: list[str]) -> str:
    """What is wrong with a row, or nothing. Of a pair, the second text may be missing, as in training."""
    if missing:
        return f" has no column {missing[0]!r}; it has: {', '.join(row)}."
    for column in text_columns:
        if row[column] is None and column != text_columns[0]:
            row[column] = ""
        if not isinstance(row[column], str):
            return f": {column!r} holds {row[column]!r}, which is no text."
    if any(isinstance(value, str) and not value.isascii() and SURROGATE.search(value) for value in row.values()):
        return " isn't all UTF-8."
    return ""


def _printable(row: Row) -> Row:
    """A row with a replacement character for what is none."""
    return {
        column: SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value for column, value in row.items()
    }


@contextmanager
def _opened(source: TextFile) -> Iterator[BinaryIO]:
    if source.path is None:
        yield sys.stdin.buffer
        return
    if not source.path.is_file():
        raise InputError(f"There is no file {source.path}.")
    with source.path.open("rb") as file:
        yield file


@contextmanager
def _as_text(file: BinaryIO) -> Iterator[TextIO]:
    # Lines end at \n alone: texts may hold the other characters that str.splitlines() breaks at.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
    try:
        yield text
    finally:
        text.detach()  # the file isn't its own to close


def _read_txt(file: BinaryIO, column: str) -> Iterator[Found]:
    with _as_text(file) as lines:
        for number, line in enumerate(lines, 1):
            yield number, {column: line.rstrip("\r\n")}, ""


def _read_csv(file: BinaryIO, _: str) -> Iterator[Found]:
    csv.field_size_limit(sys.maxsize)
    with _as_text(file) as lines:
        reader = csv.reader(lines, strict=True)
        header = next(reader, [])
        if SURROGATE.search("".join(header)):
            raise csv.Error("the header isn't UTF-8; save the file as UTF-8")
        if len(set(header)) < len(header):
            raise csv.Error(f"a column name occurs twice in the header: {', '.join(header)}")
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, {}, f"can't be read as csv: {error}."
                continue
            if fields:  # a line without anything is none
                fits = len(fields) == len(header)
                wrong = "" if fits else f"has {len(fields)} fields, and the header {len(header)}."
                yield reader.line_num, dict(zip(header, fields, strict=False)), wrong


def _read_jsonl(file: BinaryIO, _: str) -> Iterator[Found]:
    with _as_text(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                yield number, {}, f"isn't JSON: {error}."
                continue
            if isinstance(row, dict):
                yield number, row, ""
            else:
                yield number, {}, 'isn\'t an object with columns, such as {"text": "…"}.'


def _read_parquet(file: BinaryIO, _: str) -> Iterator[Found]:
    with pq.ParquetFile(file) as opened:
        batches = opened.iter_batches(batch_size=PARQUET_ROWS)
        for number, row in enumerate((row for batch in batches for row in batch.to_pylist()), 1):
            yield number, row, ""


READERS: dict[str, Callable[[BinaryIO, str], Iterator[Found]]] = {
    "txt": _read_txt,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
}
"""Format → what reads it, given the file and what the column of a format without column names is called."""
