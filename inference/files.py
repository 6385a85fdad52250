"""Texts in files: reading them row by row, and writing rows with their predictions. Any size, flat memory."""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from glove_bilstm.vectors.errors import InputError

Row = dict[str, Any]

FORMATS = (".txt", ".csv", ".jsonl", ".parquet")
PARQUET_ROWS = 10_000
"""Rows in a group of a parquet file."""


def read_rows(path: Path, text_column: str) -> Iterator[Row]:
    """Read a file of texts.

    Args:
        path: A ``.txt`` file, one text a line; or ``.csv`` (with a header), ``.jsonl`` or ``.parquet``.
        text_column: The column that must hold a text in every row. A ``.txt`` file has no other.

    Yields:
        Each row with all its columns.

    Raises:
        InputError: The file isn't there, isn't what its name says, lacks the column, or a row's text isn't a string.
    """
    readers: dict[str, Callable[[Path], Iterator[Row]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    _check_ending(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        rows = _read_txt(path, text_column) if path.suffix == ".txt" else readers[path.suffix](path)
        for number, row in enumerate(rows, 1):
            if text_column not in row:
                raise InputError(
                    f"{path}, row {number:,} has no column {text_column!r}; it has: {', '.join(row)}. "
                    "Name the column of texts with --text_column."
                )
            if not isinstance(row[text_column], str):
                raise InputError(
                    f"{path}, row {number:,}: {text_column!r} holds {row[text_column]!r}, which is no text."
                )
            yield row
    except (UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{path} can't be read as {path.suffix[1:]}: {error}") from error


@contextmanager
def row_writer(path: Path) -> Iterator[Callable[[Iterable[Row]], None]]:
    """Write rows to a file, beside it first: the file appears, or is replaced, only when everything is written.

    Args:
        path: Its ending says the format. A ``.txt`` file gets each row's ``prediction`` alone.

    Yields:
        A function that takes all the rows.

    Raises:
        InputError: The ending is of no format that can be written, or there is no such folder.
    """
    _check_ending(path)
    if not path.absolute().parent.is_dir():
        raise InputError(f"There is no folder {path.parent} to write {path.name} into.")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    os.close(handle)
    beside = Path(name)
    writers = {".txt": _write_txt, ".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    try:
        yield lambda rows: writers[path.suffix](beside, rows)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _check_ending(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise InputError(f"{path} ends in none of {', '.join(FORMATS)}, so its format is unknown.")


def _read_txt(path: Path, column: str) -> Iterator[Row]:
    # Lines end at \n alone: texts may hold the other characters that str.splitlines() breaks at.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for line in file:
            yield {column: line.rstrip("\r\n")}


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            if None in row or None in row.values():
                raise csv.Error("a row has more or fewer fields than the header")
            yield row


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {number:,} isn't JSON: {error}. Mend or remove the line.") from None
            if not isinstance(row, dict):
                raise InputError(f'{path}, line {number:,} isn\'t an object with columns, such as {{"text": "…"}}.')
            yield row


def _read_parquet(path: Path) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=PARQUET_ROWS):
            yield from batch.to_pylist()


def _write_txt(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(f"{row['prediction']}\n")


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, fieldnames=list(row))
                writer.writeheader()
            writer.writerow(row)


def _write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, rows: Iterable[Row]) -> None:
    remaining = iter(rows)
    writer: pq.ParquetWriter | None = None
    try:
        while group := list(islice(remaining, PARQUET_ROWS)):
            table = pa.Table.from_pylist(group, schema=None if writer is None else writer.schema)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
