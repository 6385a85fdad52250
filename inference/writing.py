"""Rows with their predictions, into files and pipes."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from glove_bilstm.inference.journal import beside
from glove_bilstm.inference.reading import PARQUET_ROWS, PARQUET_SIZE, Row, TextFile
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
        target: The file, which must be claimed, or the pipe. ``txt`` gets each row's ``prediction`` alone. There and
            in ``csv`` and ``tsv``, a list becomes a JSON array.
        added: The columns that the rows have and those read hadn't, and their types.
        like: What the rows were read from. From parquet to parquet, columns keep their types.

    Yields:
        A function that takes all the rows.

    Raises:
        InputError: Values of a parquet file's column would be of several types.
    """
    if target.path is None:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as pipe:
            yield lambda rows: TEXT_WRITERS[target.format](pipe, rows)
        return
    # One name, which nobody else uses while the output is claimed: what a killed process left is replaced.
    incomplete = beside(target.path, "incomplete")

    def write(rows: Iterable[Row]) -> None:
        if target.format == "parquet":
            _write_parquet(incomplete, rows, added, like)
            return
        with incomplete.open("w", encoding="utf-8", newline="") as file:
            TEXT_WRITERS[target.format](file, rows)

    try:
        yield write
        os.replace(incomplete, target.path)
    finally:
        incomplete.unlink(missing_ok=True)


def _write_txt(file: TextIO, rows: Iterable[Row]) -> None:
    for row in rows:
        value = row["prediction"]
        file.write("\n" if value is None else f"{_as_cell(value)}\n")


def _write_csv(file: TextIO, rows: Iterable[Row], delimiter: str = ",") -> None:
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, fieldnames=list(row), delimiter=delimiter)
            writer.writeheader()
        writer.writerow({column: _as_cell(value) for column, value in row.items()})


def _as_cell(value: Any) -> Any:
    """A list or an object as JSON, which a program can read again whatever stands in it."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


def _write_jsonl(file: TextIO, rows: Iterable[Row]) -> None:
    for row in rows:
        # default: dates and times of a parquet file
        file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


TEXT_WRITERS: dict[str, Callable[[TextIO, Iterable[Row]], None]] = {
    "txt": _write_txt,
    "csv": _write_csv,
    "tsv": partial(_write_csv, delimiter="\t"),
    "jsonl": _write_jsonl,
}


def _write_parquet(path: Path, rows: Iterable[Row], added: dict[str, pa.DataType], like: TextFile) -> None:
    remaining = iter(rows)
    writer: pq.ParquetWriter | None = None
    schema: pa.Schema | None = None
    if like.format == "parquet":
        schema = pq.read_schema(like.path)
        for name, kind in added.items():
            schema = schema.append(pa.field(name, kind))
    try:
        while group := _next_group(remaining):
            table = _as_table(group, added) if schema is None else pa.Table.from_pylist(group, schema=schema)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema)
            table = table.select(writer.schema.names)  # an object's keys may stand in any order
            for place, (new, old) in enumerate(zip(table.schema, writer.schema, strict=True)):
                if pa.types.is_null(new.type):
                    table = table.set_column(place, old, table.column(place).cast(old.type))
                elif new.type != old.type:
                    raise InputError(
                        f"Column {new.name!r} is of another type in later rows ({new.type}) than in the first "
                        f"ones ({old.type}); parquet needs one. Write .jsonl instead."
                    )
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _next_group(rows: Iterator[Row]) -> list[Row]:
    """The rows of a parquet file's next group: so many, or fewer of long ones."""
    group: list[Row] = []
    size = 0
    for row in islice(rows, PARQUET_ROWS):
        group.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if size >= PARQUET_SIZE:
            break
    return group


def _as_table(group: Sequence[Row], added: dict[str, pa.DataType]) -> pa.Table:
    """Rows as a table, whose types they tell; but of columns that are added, empty lists don't tell what of.

    Raises:
        InputError: A column's values are of several types.
    """
    columns = {}
    for name in group[0]:
        try:
            columns[name] = pa.array([row[name] for row in group], added.get(name))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(
                f"Column {name!r} holds values of several types ({error}); parquet needs one. Write .jsonl instead."
            ) from error
    return pa.table(columns)
