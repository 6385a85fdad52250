"""Rows with their predictions, into files and pipes."""

import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from glove_bilstm.inference.reading import PARQUET_ROWS, BadRow, Row, TextFile
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION
from glove_bilstm.vectors.errors import InputError

ERROR = "error"
"""The column of what was wrong with a row, where bad ones are skipped."""
Write = Callable[[Iterable[Row]], None]


def predicted_columns(problem_type: str | None) -> dict[str, pa.DataType]:
    """The columns that a model's answers become: "prediction", and "score" except for regression; and their types."""
    if problem_type == REGRESSION:
        return {"prediction": pa.float64()}
    if problem_type == MULTI_LABEL:
        return {"prediction": pa.list_(pa.string()), "score": pa.list_(pa.float64())}
    return {"prediction": pa.string(), "score": pa.float64()}


def as_columns(answer: dict[str, Any], problem_type: str | None) -> Row:
    """An answer of `classify_texts` as those columns: a label, a list of labels, or a number."""
    if problem_type == REGRESSION:
        return {"prediction": answer["score"]}
    if problem_type == MULTI_LABEL:
        return {"prediction": answer["labels"], "score": answer["scores"]}
    return {"prediction": answer["label"], "score": answer["score"]}


def check_target(target: TextFile) -> None:
    """See that a file can be written, before there is anything to write.

    Raises:
        InputError: It is a folder, or lies in none.
    """
    if target.path is not None and target.path.is_dir():
        raise InputError(f"{target.path} is a folder; name a file to write.")
    if target.path is not None and not target.path.absolute().parent.is_dir():
        raise InputError(f"There is no folder {target.path.parent} to write {target.path.name} into.")


@contextmanager
def row_writer(target: TextFile, added: dict[str, pa.DataType], like: TextFile) -> Iterator[Write]:
    """Write rows. A file is written beside first: it appears, or is replaced, only when everything is written.

    Args:
        target: The file or pipe. ``txt`` gets each row's ``prediction`` alone. There and in ``csv``, a list becomes a
            JSON array.
        added: The columns that the rows have and those read hadn't, and their types.
        like: What the rows were read from. From parquet to parquet, columns keep their types.

    Yields:
        A function that takes all the rows.

    Raises:
        InputError: A table would have rows of several shapes.
    """
    if target.path is None:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as pipe:
            yield lambda rows: TEXT_WRITERS[target.format](pipe, rows)
        return
    path = target.path
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    os.close(handle)
    beside = Path(name)
    mask = os.umask(0)  # it can't be read without being set
    os.umask(mask)
    beside.chmod(0o666 & ~mask)  # mkstemp's files are their owner's alone

    def write(rows: Iterable[Row]) -> None:
        if target.format == "parquet":
            _write_parquet(beside, rows, added, like)
            return
        with beside.open("w", encoding="utf-8", newline="") as file:
            TEXT_WRITERS[target.format](file, rows)

    try:
        yield write
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_txt(file: TextIO, rows: Iterable[Row]) -> None:
    for row in rows:
        value = row["prediction"]
        file.write("\n" if value is None else f"{_as_cell(value)}\n")


def _write_csv(file: TextIO, rows: Iterable[Row]) -> None:
    writer: csv.DictWriter[str] | None = None
    for row in same_columns(rows):
        if writer is None:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
        writer.writerow({column: _as_cell(value) for column, value in row.items()})


def _as_cell(value: Any) -> Any:
    """A list as JSON, which a program can read again whatever stands in it."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list) else value


def _write_jsonl(file: TextIO, rows: Iterable[Row]) -> None:
    for row in rows:
        # default: dates and times of a parquet file
        file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


TEXT_WRITERS: dict[str, Callable[[TextIO, Iterable[Row]], None]] = {
    "txt": _write_txt,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}


def same_columns(rows: Iterable[Any]) -> Iterator[Any]:
    """Pass rows on as long as all have the columns of the first, which a table needs; bad rows are let through.

    Raises:
        InputError: One hasn't.
    """
    columns: list[str] | None = None
    for number, row in enumerate(rows, 1):
        if isinstance(row, BadRow):
            yield row
            continue
        columns = columns or list(row)
        if set(row) != set(columns):
            raise InputError(
                f"Row {number:,} has the columns {', '.join(row)}, the first one {', '.join(columns)}; a table "
                "needs the same in every row. Write .jsonl instead."
            )
        yield row


def _write_parquet(path: Path, rows: Iterable[Row], added: dict[str, pa.DataType], like: TextFile) -> None:
    remaining = same_columns(rows)
    writer: pq.ParquetWriter | None = None
    try:
        while group := list(islice(remaining, PARQUET_ROWS)):
            if like.format == "parquet":
                schema = pq.read_schema(like.path)
                for name, kind in added.items():
                    schema = schema.append(pa.field(name, kind))
                table = pa.Table.from_pylist(group, schema=schema)
            else:  # the rows tell, but empty lists alone don't tell what they are of
                found = pa.Table.from_pylist(group)
                table = found.cast(pa.schema([(one.name, added.get(one.name, one.type)) for one in found.schema]))
            writer = writer or pq.ParquetWriter(path, table.schema)
            if table.schema != writer.schema:
                changed = next(new for new, old in zip(table.schema, writer.schema, strict=True) if new != old)
                raise InputError(
                    f"Column {changed.name!r} is of another type in later rows ({changed.type}) than in the first "
                    f"{PARQUET_ROWS:,}; parquet needs one. Write .jsonl instead."
                )
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
