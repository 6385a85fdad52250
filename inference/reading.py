"""Texts in files and pipes, row by row: any size, flat memory, and a bad row spoils no other."""

import codecs
import csv
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from glove_bilstm.inference import parquet
from glove_bilstm.inference.parquet import Row
from glove_bilstm.inference.text_formats import JSON_SPACE, READERS, SURROGATE, Found
from glove_bilstm.vectors.errors import InputError

FORMATS = ("txt", "csv", "tsv", "jsonl", "parquet")
PIPED_FORMATS = FORMATS[:-1]
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
HEAD = 100
"""Rows of a .jsonl file that may lack a column before it is said that the file does."""
WHICH = "Name the right one with --text_column or --text_pair_column."
NO_TEXT = {b"\x1f\x8b": "compressed (gzip); unpack it first."} | dict.fromkeys(
    (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "UTF-16; save it as UTF-8."
)
"""How files begin that would be read as text, and be none."""


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
            unpack = " Unpack it first." if path.suffix.lower() in PACKED else ""
            raise InputError(f"{path} ends in none of {endings}, so its format is unknown.{unpack}")
        return cls(path, path.suffix.lower().removeprefix("."))


@dataclass(frozen=True)
class BadRow:
    """A row that can't be read as it should.

    Attributes:
        row: Those of its columns that could be read; of a line that has none, the line in the column of the text.
        error: Where it stands, and what is wrong.
    """

    row: Row
    error: str


def read_rows(
    source: TextFile,
    text_columns: Sequence[str],
    added: Iterable[str],
    same_columns: bool = False,
    texts_alone: bool = False,
) -> Iterator[Row | BadRow]:
    """Read texts.

    Args:
        source: ``txt``, one text a line; or ``csv`` or ``tsv`` (with a header; quotes mean in both what they mean in
            csv), ``jsonl`` or ``parquet``.
        text_columns: The columns that must hold a text in every row. ``txt`` has the first and no other.
        added: The columns that the output adds, which must not be there yet.
        same_columns: Whether every row must have the columns of the first good one, as in a table.
        texts_alone: Whether the rows of a parquet file may come without its other columns, which needn't be readable
            then.

    Yields:
        Each row with its columns, or what is wrong with it.

    Raises:
        InputError: The file isn't there, isn't what its name says, holds no rows or lacks a column (of .jsonl: in all
            rows, or the first hundred), or it has one that the output adds.
    """
    name = str(source.path or "Standard input")
    unit = "row" if source.format == "parquet" else "line"
    found = False
    named = False  # whether the columns that must be there have been
    columns: Collection[str] = ()  # of the first good row
    lacking: list[BadRow] = []  # the first rows, of which it isn't known yet whether the file lacks a column
    lack = ""
    try:
        with _opened(source) as file:
            if source.format == "parquet":
                names = parquet.column_names(file)
                if told := _lacking(name, names, text_columns) or _taking(name, names, added):
                    raise InputError(told)
            for number, row, error in _read(source.format, file, text_columns, texts_alone):
                found = True
                where = f"{name}, {unit} {number:,}"
                if error:
                    bad = _bad(row, f"{where} {error}")
                    if lacking:
                        lacking.append(bad)
                    else:
                        yield bad
                    continue
                if not named and (told := _lacking(name, row, text_columns)):
                    lack = lack or told
                    if source.format != "jsonl" or len(lacking) >= HEAD:
                        raise InputError(_printable(lack))
                    lacking.append(_bad(row, f"{where}{_wrong(row, text_columns, (), ())}"))
                    continue
                if not named and (told := _taking(name, row, added)):
                    raise InputError(told)
                named = True
                yield from lacking
                lacking = []
                try:
                    wrong = _wrong(row, text_columns, added, columns if same_columns else ())
                except RecursionError:
                    wrong = " is nested too deeply."
                if wrong:
                    yield _bad(row, f"{where}{wrong}")
                    continue
                columns = columns or row.keys()
                yield row
    except (csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{name} can't be read as {source.format}: {error}") from error
    except OSError as error:
        if error.filename is not None:  # else it would be taken for one of the output
            raise
        raise InputError(f"{name} can't be read: {error}") from error
    if lacking:
        raise InputError(_printable(lack))
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
                return sum(1 for line in file if line.strip(JSON_SPACE.encode()))
            return sum(1 for _ in READERS[source.format](file, ""))
    except (csv.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:  # it says itself what is wrong
            raise
        raise InputError(f"{source.path} can't be read as {source.format}: {error}") from error


def _read(kind: str, file: BinaryIO, text_columns: Sequence[str], texts_alone: bool) -> Iterator[Found]:
    if kind == "parquet":
        return parquet.read_rows(file, text_columns if texts_alone else None)
    return READERS[kind](file, text_columns[0])


def _lacking(name: str, columns: Collection[str], text_columns: Sequence[str]) -> str:
    missing = [column for column in text_columns if column not in columns]
    return f"{name} has no column {missing[0]!r}; it has: {', '.join(columns)}. {WHICH}" if missing else ""


def _taking(name: str, columns: Iterable[str], added: Iterable[str]) -> str:
    taken = sorted(set(added) & set(columns))
    return f"{name}{_taken(taken[0])} Rename yours." if taken else ""


def _bad(row: Row, error: str) -> BadRow:
    try:
        return BadRow(_printable(row), _printable(error))
    except RecursionError:  # it couldn't be written either
        return BadRow({}, _printable(error))


def _wrong(row: Row, text_columns: Sequence[str], added: Iterable[str], columns: Collection[str]) -> str:
    """What is wrong with a row, or nothing. Of a pair, the second text may be missing, as in training."""
    for column in text_columns:
        if column not in row:
            return f" has no column {column!r}; it has: {', '.join(row)}."
        if not isinstance(row[column], str) and (row[column] is not None or column == text_columns[0]):
            return f": {column!r} holds {row[column]!r}, which is no text."
    if _has_surrogates(row):
        return " isn't all UTF-8."
    if taken := sorted(set(added) & set(row)):
        return _taken(taken[0])
    if columns and row.keys() != columns:
        return (
            f" has the columns {', '.join(row)}, and the first row {', '.join(columns)}; a table needs the same in "
            "every row. Write .jsonl instead."
        )
    return ""


def _taken(column: str) -> str:
    return f" has a column {column!r}, which the output adds with the model's own values."


def _has_surrogates(value: Any) -> bool:
    """Whether some text in a value, however deep, holds what is no character."""
    if isinstance(value, str):
        return not value.isascii() and SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(_has_surrogates(key) or _has_surrogates(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_surrogates, value))


def _printable(value: Any) -> Any:
    """A value with a replacement character for what is none."""
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return list(map(_printable, value)) if isinstance(value, list) else value


@contextmanager
def _opened(source: TextFile) -> Iterator[BinaryIO]:
    if source.path is None:
        yield sys.stdin.buffer
        return
    if not source.path.is_file():
        raise InputError(f"There is no file {source.path}.")
    with source.path.open("rb") as file:
        kind = NO_TEXT.get(file.read(2))
        if kind is not None and source.format != "parquet":
            raise InputError(f"{source.path} is {kind}")
        file.seek(0)
        yield file
