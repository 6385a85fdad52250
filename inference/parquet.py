"""Parquet files: read in batches, written in groups, and copied with columns added."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from glove_bilstm.vectors.errors import InputError

Row = dict[str, Any]
Types = dict[str, pa.DataType]

GROUP_ROWS = 10_000
"""Rows in a group of a file, and read at a time."""
GROUP_SIZE = 16_000_000
"""About how many bytes are read at a time, and characters written in a group; of long rows that is fewer."""
UNREADABLE = (ValueError, ArithmeticError, LookupError)
"""What pyarrow raises for a value that Python has no object for: no UTF-8, a date after 9999, an unknown time zone."""


def column_names(file: BinaryIO) -> list[str]:
    """The names of a file's columns.

    Raises:
        pa.ArrowInvalid: It is no parquet file, or one of them occurs twice.
    """
    names: list[str] = pq.read_schema(file).names
    if len(set(names)) < len(names):
        raise pa.ArrowInvalid(f"a column name occurs twice: {', '.join(names)}")
    return names


def read_rows(file: BinaryIO, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Row, str]]:
    """Read rows as Python objects.

    Args:
        file: The file.
        columns: Those to read; all by default.

    Yields:
        Each row's number, its columns, and what is wrong with it, if anything: then the columns are those that can be
        read.

    Raises:
        InputError: The file is damaged.
    """
    number = 0
    with pq.ParquetFile(file) as opened:
        for batch in _batches(file.name, opened, columns):
            values = {name: _as_objects(batch.column(name)) for name in batch.schema.names}
            for place in range(batch.num_rows):
                number += 1
                row = {name: column[place] for name, column in values.items()}
                unreadable = [name for name, value in row.items() if isinstance(value, Exception)]
                told = [f"column {name!r} ({row.pop(name)})" for name in unreadable]
                yield number, row, f"can't be read in {' and '.join(told)}." if told else ""


def _batches(name: str, opened: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    groups = map(opened.metadata.row_group, range(opened.metadata.num_row_groups))
    size = max(sum(group.total_byte_size for group in groups), 1)
    fitting = opened.metadata.num_rows * GROUP_SIZE // size
    try:
        yield from opened.iter_batches(batch_size=max(min(fitting, GROUP_ROWS), 1), columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} can't be read as parquet: {error}") from error


def _as_objects(column: pa.Array) -> list[Any]:
    """Values as Python objects, and an exception in the place of each that can't be one."""
    try:
        values: list[Any] = column.to_pylist()
        return values
    except UNREADABLE:
        return list(map(_as_object, column))


def _as_object(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except UNREADABLE as error:
        return error


def append_columns(
    source: Path, target: Path, added: Types, answers: Iterable[Row], rows: tuple[int, int] | None
) -> bool:
    """Copy a file with more columns. Those it has never become Python objects: they stay as they are.

    Args:
        source: The file.
        target: The file to write.
        added: The new columns and their types.
        answers: For each row, in order, its values in them; those that it lacks are null.
        rows: Which rows, counted from 0, the first and the one after the last. None: all.

    Returns:
        Whether there was an answer for each row, and a row for each answer.

    Raises:
        InputError: The file is damaged.
    """
    remaining = iter(answers)
    with pq.ParquetFile(source) as opened:
        schema = opened.schema_arrow
        for name, kind in added.items():
            schema = schema.append(pa.field(name, kind))
        first, end = rows or (0, opened.metadata.num_rows)
        begin = 0
        with pq.ParquetWriter(target, schema) as writer:
            for batch in _batches(str(source), opened):
                skipped = min(max(first - begin, 0), batch.num_rows)
                begin, batch = begin + batch.num_rows, batch.slice(skipped, max(end - begin - skipped, 0))
                group = list(islice(remaining, batch.num_rows))
                if len(group) < batch.num_rows:
                    return False
                if group:
                    columns = [pa.array([answer.get(name) for answer in group], added[name]) for name in added]
                    writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema))
                if begin >= end:
                    break
    return begin >= end and next(remaining, None) is None


def find_types(rows: Iterable[Row]) -> Types:
    """The types of columns, which all rows' values tell: 1 and 2.5 are double; an object has the keys of all.

    Args:
        rows: Those to be written, each with the same columns. They are read a group at a time.

    Raises:
        InputError: A column's values are of several types, or of one that a parquet file can't hold.
    """
    types: Types = {}
    for group in _groups(rows):
        for name in types or group[0]:
            kind = _as_array(name, [row[name] for row in group]).type
            types[name] = _unite(name, types[name], kind) if name in types else kind
    _schema(types)
    return types


def write_rows(file: Path, rows: Iterable[Row], types: Mapping[str, pa.DataType]) -> None:
    """Write rows.

    Args:
        file: The file.
        rows: The rows, each with the same columns.
        types: Those of columns that are known, the last ones. Of the others, the first group's rows tell.

    Raises:
        InputError: A column's values are of several types, or of one that a parquet file can't hold.
    """
    writer: pq.ParquetWriter | None = None
    try:
        for group in _groups(rows):
            columns = {}
            for name in [*(name for name in group[0] if name not in types), *types]:
                values = [row[name] for row in group]
                columns[name] = _as_array(name, values)
                kind = types.get(name, columns[name].type)
                if columns[name].type != kind:
                    # Not at once with this type: pyarrow drops the keys of an object that it lacks.
                    if (united := _unite(name, kind, columns[name].type)) != kind:
                        raise _of_several_types(name, kind, united)
                    columns[name] = _as_array(name, values, kind)
            if writer is None:
                types = {name: column.type for name, column in columns.items()}
                writer = pq.ParquetWriter(file, _schema(types))
            writer.write_table(pa.table(columns))
    finally:
        if writer is not None:
            writer.close()


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in groups of so many, or of fewer long ones."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(group) >= GROUP_ROWS or size >= GROUP_SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _as_array(name: str, values: Sequence[Any], kind: pa.DataType | None = None) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, UnicodeError) as error:
        raise _unfit(name, error) from error


def _unite(name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that values of both have, as pyarrow finds it for values that stand together."""
    schemas = [pa.schema([(name, kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").types[0]
    except pa.ArrowException as error:
        raise _of_several_types(name, one, other) from error


def _schema(types: Types) -> pa.Schema:
    """A schema that a file can be written with, and read."""
    for name, kind in types.items():
        trial = pa.BufferOutputStream()
        try:
            pq.ParquetWriter(trial, pa.schema([(name, kind)])).close()
            pq.read_schema(pa.BufferReader(trial.getvalue()))
        except (pa.ArrowException, OSError) as error:  # objects without any key; lists a hundred deep
            raise _unfit(name, error) from error
    return pa.schema(list(types.items()))


def _unfit(name: str, error: Exception) -> InputError:
    return InputError(
        f"Column {name!r} fits none of a parquet file, which is of one type ({error}). Write .jsonl instead."
    )


def _of_several_types(name: str, first: pa.DataType, later: pa.DataType) -> InputError:
    return InputError(
        f"Column {name!r} is of another type in later rows ({later}) than in the first ones ({first}); parquet needs "
        "one. Write .jsonl instead."
    )
