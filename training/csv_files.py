"""Reading csv and tsv files, strictly: what can't be understood is refused and not guessed."""

import csv
import gzip
import sys
import zlib
from collections.abc import Mapping
from itertools import filterfalse, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, Value
from datasets.fingerprint import generate_random_fingerprint
from datasets.table import InMemoryTable

from glove_bilstm.vectors.errors import InputError

BATCH = 10_000
"""Rows that are kept as Python strings at a time."""


def read_csv_splits(files: dict[str, list[str]], features: Mapping[str, Any]) -> DatasetDict:
    """Read csv and tsv files, each by its own header, and put those of a split together.

    Args:
        files: The files of each split.
        features: What a data card says of columns; the classes that it names are taken over.

    Raises:
        InputError: A file can't be read, or those of a split differ in their columns.
    """
    tables = {split: _read_files(of_split) for split, of_split in files.items()}
    # YAML takes unquoted names for numbers, and "no" for false.
    named = {
        column: ClassLabel(names=[str(name) for name in feature.names])
        for column, feature in features.items()
        if isinstance(feature, ClassLabel) and not any(isinstance(name, bool) for name in feature.names or [True])
    }
    # A card may be out of date. Its classes are left alone then, and the cells stay text.
    named = {column: feature for column, feature in named.items() if _replace_by_ids(tables, column, feature.names)}
    splits = {}
    for split, table in tables.items():
        kinds = Features({column: named.get(column, Value("large_string")) for column in table.column_names})
        # Without a fingerprint, `Dataset` makes one from a copy of the rows.
        splits[split] = Dataset(
            InMemoryTable(table), info=DatasetInfo(features=kinds), fingerprint=generate_random_fingerprint()
        )
    return DatasetDict(splits)


def _read_files(files: list[str]) -> pa.Table:
    """The rows of one split's files."""
    tables = [_read_csv(Path(file)) for file in files]
    names = tables[0].column_names
    for file, table in zip(files, tables, strict=True):
        if set(table.column_names) != set(names):
            raise InputError(
                f"{file} has the columns {', '.join(table.column_names)}, and {files[0]} has {', '.join(names)}. The "
                "files of a split need the same ones; change one, or take it away."
            )
    return pa.concat_tables([table.select(names) for table in tables])


def _read_csv(file: Path) -> pa.Table:
    """A csv or tsv file as text, so that "NA" and "1984" stay what they are. Rows may lack their last fields.

    Raises:
        InputError: It isn't a row of column names and then rows of at most as many fields.
    """
    kind = "tsv" if file.name.lower().removesuffix(".gz").endswith(".tsv") else "csv"
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    csv.field_size_limit(sys.maxsize)
    batches: list[pa.Table] = []
    rows: list[list[str]] = []
    begin = 1  # the line that the next row begins at
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as lines:
            # Not strict, it takes a stray quote for one around all that follows, other rows included.
            reader = csv.reader(lines, delimiter="\t" if kind == "tsv" else ",", strict=True)
            header = next(filterfalse(_is_blank, reader), [])
            names = [name for name in header if name]
            if not names or len(set(names)) < len(names):
                raise InputError(
                    f"{file} must begin with a row of column names, each once; it begins with: {', '.join(header)}."
                )
            begin = reader.line_num + 1
            for row in reader:
                begin = reader.line_num + 1
                if _is_blank(row):
                    continue
                if len(row) > len(header):
                    raise InputError(
                        f"{file}, row {len(batches) * BATCH + len(rows) + 1:,}: there are {len(row)} fields and "
                        f"{len(header)} column names. Quote texts that hold the mark between fields."
                    )
                rows.append(row)
                if len(rows) == BATCH:
                    batches.append(_as_table(header, rows))
                    rows = []
    except csv.Error as error:
        lost = f", and with it all up to line {reader.line_num:,}" if reader.line_num > begin else ""
        raise InputError(
            f"{file}, line {begin:,} can't be read as {kind}: {error}{lost}. Put a text that holds quotes "
            "in quotes, and write each quote in it twice; or save the file as .jsonl."
        ) from error
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise InputError(f"{file} isn't UTF-8 text: {error}. Save it as UTF-8.") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{file} is damaged ({error}). Get it again.") from error
    if not (batches or rows):
        raise InputError(f"{file} has no rows. Fill it, or take it away.")
    return pa.concat_tables([*batches, *([_as_table(header, rows)] if rows else [])])


def _is_blank(row: list[str]) -> bool:
    """Whether a line has nothing in it but space; a quoted nothing is a field."""
    return not row or (len(row) == 1 and row[0].isspace())


def _as_table(header: list[str], rows: list[list[str]]) -> pa.Table:
    """Rows as columns, without those that have no name: pandas writes its row numbers so."""
    columns = zip_longest(header, *rows)
    return pa.table({name: pa.array(cells, pa.large_string()) for name, *cells in columns if name})


def _replace_by_ids(tables: dict[str, pa.Table], column: str, names: list[str]) -> bool:
    """Put ids in the place of a column's cells, which hold class names or, in all splits, ids; whether they do."""
    holders = [split for split, table in tables.items() if column in table.column_names]
    cells = {cell for split in holders for cell in tables[split][column].unique().to_pylist()}
    no_class = {None: None, "": None, "-1": -1}
    by_name = no_class | {name: number for number, name in enumerate(names)}
    by_number = no_class | {str(number): number for number in range(len(names))}
    ids = next((ids for ids in (by_name, by_number) if cells <= ids.keys()), None)
    if ids is None:
        return False
    for split in holders:
        values = pa.array([ids[cell] for cell in tables[split][column].to_pylist()], pa.int64())
        place = tables[split].column_names.index(column)
        tables[split] = tables[split].set_column(place, column, values)
    return True
