"""Texts in files: reading them row by row, and writing rows with their predictions. Any size, flat memory."""

import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedConfig

from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION
from glove_bilstm.vectors.errors import InputError

Row = dict[str, Any]

FORMATS = (".txt", ".csv", ".jsonl", ".parquet")
PARQUET_ROWS = 10_000
"""Rows in a group of a parquet file."""


def predicted_columns(config: PreTrainedConfig) -> dict[str, pa.DataType]:
    """The columns that a model's answers become: "prediction", and "score" except for regression; and their types."""
    if config.problem_type == REGRESSION:
        return {"prediction": pa.float64()}
    if config.problem_type == MULTI_LABEL:
        return {"prediction": pa.list_(pa.string()), "score": pa.list_(pa.float64())}
    return {"prediction": pa.string(), "score": pa.float64()}


def as_columns(answer: dict[str, Any], config: PreTrainedConfig) -> Row:
    """An answer of `classify_texts` as those columns: a label, a list of labels, or a number."""
    if config.problem_type == REGRESSION:
        return {"prediction": answer["score"]}
    if config.problem_type == MULTI_LABEL:
        return {"prediction": answer["labels"], "score": answer["scores"]}
    return {"prediction": answer["label"], "score": answer["score"]}


def read_rows(path: Path, text_columns: Sequence[str], added: Iterable[str]) -> Iterator[Row]:
    """Read a file of texts.

    Args:
        path: A ``.txt`` file, one text a line; or ``.csv`` (with a header), ``.jsonl`` or ``.parquet``.
        text_columns: The columns that must hold a text in every row. A ``.txt`` file has the first and no other.
        added: The columns that the output adds, which must not be there yet.

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
        ending = path.suffix.lower()
        rows = _read_txt(path, text_columns[0]) if ending == ".txt" else readers[ending](path)
        number = 0
        for number, row in enumerate(rows, 1):
            for column in text_columns:
                if column not in row:
                    raise InputError(
                        f"{path}, row {number:,} has no column {column!r}; it has: {', '.join(row)}. "
                        "Name the right one with --text_column or --text_pair_column."
                    )
                if row[column] is None and column != text_columns[0]:
                    row[column] = ""  # a pair without its second text, as in training
                if not isinstance(row[column], str):
                    raise InputError(f"{path}, row {number:,}: {column!r} holds {row[column]!r}, which is no text.")
            if taken := set(added) & set(row):
                raise InputError(
                    f"{path} has a column {sorted(taken)[0]!r}, which the output adds with the model's own values. "
                    "Rename yours."
                )
            yield row
        if number == 0:
            raise InputError(f"{path} holds no rows.")
    except (UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise InputError(f"{path} can't be read as {path.suffix[1:]}: {error}") from error


@contextmanager
def row_writer(path: Path, like: Path) -> Iterator[Callable[[Iterable[Row], dict[str, pa.DataType]], None]]:
    """Write rows to a file, beside it first: the file appears, or is replaced, only when everything is written.

    Args:
        path: Its ending says the format. A ``.txt`` file gets each row's ``prediction`` alone. There and in ``.csv``,
            a list becomes a JSON array.
        like: The file that the rows were read from. From parquet to parquet, columns keep their types.

    Yields:
        A function that takes all the rows, and the types of the columns that they have and the rows read hadn't.

    Raises:
        InputError: The ending is of no format that can be written, or there is no such folder.
    """
    _check_ending(path)
    if not path.absolute().parent.is_dir():
        raise InputError(f"There is no folder {path.parent} to write {path.name} into.")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    os.close(handle)
    beside = Path(name)
    mask = os.umask(0)  # it can't be read without being set
    os.umask(mask)
    beside.chmod(0o666 & ~mask)  # mkstemp's files are their owner's alone
    writers = {".txt": _write_txt, ".csv": _write_csv, ".jsonl": _write_jsonl}

    def write(rows: Iterable[Row], added: dict[str, pa.DataType]) -> None:
        if path.suffix.lower() == ".parquet":
            _write_parquet(beside, rows, added, like)
        else:
            writers[path.suffix.lower()](beside, rows)

    try:
        yield write
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _check_ending(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} ends in none of {', '.join(FORMATS)}, so its format is unknown.")


def _read_txt(path: Path, column: str) -> Iterator[Row]:
    # Lines end at \n alone: texts may hold the other characters that str.splitlines() breaks at.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for line in file:
            yield {column: line.rstrip("\r\n")}


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        csv.field_size_limit(sys.maxsize)
        reader = csv.DictReader(file, strict=True)
        names = reader.fieldnames or []
        if len(set(names)) < len(names):
            raise csv.Error(f"a column name occurs twice in the header: {', '.join(names)}")
        for row in reader:
            if None in row or None in row.values():
                raise csv.Error("a row has more or fewer fields than the header")
            yield row


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
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
            file.write(f"{_as_cell(row['prediction'])}\n")


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in _same_columns(rows):
            if writer is None:
                writer = csv.DictWriter(file, fieldnames=list(row))
                writer.writeheader()
            writer.writerow({column: _as_cell(value) for column, value in row.items()})


def _as_cell(value: Any) -> Any:
    """A list as JSON, which a program can read again whatever stands in it."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list) else value


def _write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            # default: dates and times of a parquet file
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _same_columns(rows: Iterable[Row]) -> Iterator[Row]:
    """Pass rows on as long as all have the columns of the first, which a table needs."""
    columns: list[str] | None = None
    for number, row in enumerate(rows, 1):
        columns = columns or list(row)
        if set(row) != set(columns):
            raise InputError(
                f"Row {number:,} has the columns {', '.join(row)}, the first one {', '.join(columns)}; a table "
                "needs the same in every row. Write .jsonl instead."
            )
        yield row


def _write_parquet(path: Path, rows: Iterable[Row], added: dict[str, pa.DataType], like: Path) -> None:
    remaining = _same_columns(rows)
    writer: pq.ParquetWriter | None = None
    try:
        while group := list(islice(remaining, PARQUET_ROWS)):
            if like.suffix.lower() == ".parquet":
                schema = pq.read_schema(like)
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
