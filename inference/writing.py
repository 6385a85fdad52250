"""Rows with their predictions, into files and pipes."""

import base64
import csv
import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TextIO

import pyarrow as pa

from glove_bilstm.hub.files import new_file
from glove_bilstm.inference import parquet
from glove_bilstm.inference.parquet import Row, Types
from glove_bilstm.inference.reading import TextFile
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION
from glove_bilstm.vectors.errors import InputError

LINE_END = re.compile("[\r\n]")
ERROR = "error"
"""The column of what was wrong with a row, where bad ones are skipped."""


def predicted_columns(problem_type: str | None) -> Types:
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


def write_rows(target: TextFile, rows: Iterable[Row], types: Types) -> None:
    """Write rows.

    Args:
        target: The file, which must be claimed, or the pipe. ``txt`` gets each row's ``prediction`` alone, a
            label of several lines as a JSON string. There and in ``csv`` and ``tsv``, a list becomes a JSON array.
            What JSON lacks becomes null or text there, and bytes base64: see `as_json`.
        rows: All of them.
        types: Those of a parquet file's columns, as far as they are known; of the others the first rows tell.

    Raises:
        InputError: Values of a parquet file's column would be of several types.
    """
    if target.path is None:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as pipe:
            TEXT_WRITERS[target.format](pipe, rows)
        return
    with new_file(target.path) as path:
        if target.format == "parquet":
            parquet.write_rows(path, rows, types)
            return
        with path.open("w", encoding="utf-8", newline="") as file:
            TEXT_WRITERS[target.format](file, rows)


def _write_txt(file: TextIO, rows: Iterable[Row]) -> None:
    for row in rows:
        value = row["prediction"]
        several = isinstance(value, str) and LINE_END.search(value)  # and each text has one
        file.write("\n" if value is None else f"{as_json(value) if several else _as_cell(value)}\n")


def _write_csv(file: TextIO, rows: Iterable[Row], delimiter: str = ",") -> None:
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(file, fieldnames=list(row), delimiter=delimiter)
            writer.writeheader()
        writer.writerow({column: _as_cell(value) for column, value in row.items()})


def _write_jsonl(file: TextIO, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(f"{as_json(row)}\n")


def _as_cell(value: Any) -> Any:
    """A list or an object as JSON, which a program can read again whatever stands in it."""
    if isinstance(value, list | dict):
        return as_json(value)
    return _as_string(value) if isinstance(value, bytes) else value


def as_json(value: Any) -> str:
    """A value as JSON. Of what JSON has not, NaN and infinities become null, and other objects strings."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_as_string, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_as_string)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_finite, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_string(value: Any) -> str:
    """What a parquet file holds besides JSON's types: bytes in base64; times, decimals and others as they print."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


TEXT_WRITERS: dict[str, Callable[[TextIO, Iterable[Row]], None]] = {
    "txt": _write_txt,
    "csv": _write_csv,
    "tsv": partial(_write_csv, delimiter="\t"),
    "jsonl": _write_jsonl,
}
