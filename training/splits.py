"""Reading data sets as they come, before their columns are looked at."""

import csv
import gzip
import re
import sys
import zlib
from dataclasses import dataclass
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, Features, Value, load_dataset, load_from_disk
from datasets.data_files import DataFilesDict, get_data_patterns

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.sources import DEMO

BUILDERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
"""File endings, before any .gz, and the `datasets` builder that reads them."""


@dataclass(frozen=True)
class RawSplit:
    """A split as it was found: the columns are not looked at yet.

    Attributes:
        name: The split's name.
        rows: Its rows.
        file: The file that holds it, where it is one file; errors name it.
        untyped: Whether the format tells no types, as csv doesn't: numbers are strings then.
    """

    name: str
    rows: Dataset
    file: Path | None
    untyped: bool = False

    def at(self, row: int) -> str:
        """Where a row (counted from 0) stands, for a message."""
        return f"{self.file or f'split {self.name!r}'}, row {row + 1:,}"

    def column(self, name: str) -> pa.ChunkedArray:
        """The values of a column.

        Raises:
            InputError: There is no such column, or a value isn't UTF-8.
        """
        if name not in self.rows.column_names:
            raise InputError(
                f"{self.file or f'Split {self.name!r}'} has no column {name!r}; it has: "
                f"{', '.join(self.rows.column_names)}. Name the right one with --text_column, "
                "--text_pair_column or --label_column."
            )
        values = self.rows.with_format("arrow")[:][name]
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            row = next(row for row, value in enumerate(values) if not _is_utf8(value))
            raise InputError(f"{self.at(row)}: {name!r} isn't UTF-8 text. Save the file as UTF-8.") from error
        return values

    def texts(self, column: str, empty_allowed: bool = False) -> pa.ChunkedArray:
        """The column of texts.

        Raises:
            InputError: There is no such column, or a value isn't a string or (unless allowed) holds nothing but space.
        """
        values = self.column(column)
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            mixed = self.rows[column][:]
            for row, text in enumerate(mixed):
                if not isinstance(text, str | None):
                    raise InputError(
                        f"{self.at(row)}: {column!r} holds {text!r}, a {type(text).__name__} and not a text. "
                        "Write it as a string, or name the column of texts with --text_column."
                    )
            values = pa.chunked_array([mixed], pa.large_string())
        texts = pc.fill_null(values, "")
        if not empty_allowed:
            empty = pc.or_(pc.equal(texts, ""), pc.utf8_is_space(texts))
            row = pc.index(empty, True).as_py()
            if row >= 0:
                raise InputError(
                    f"{self.at(row)}: {column!r} is empty. There is nothing to learn from it; remove the row."
                )
        return texts

    def inputs(self, text_column: str, pair_column: str | None = None) -> list[Any]:
        """What a trained model can read, texts without words included: the texts, or pairs of them.

        Raises:
            InputError: There is no such column, or a value isn't a string.
        """
        texts = self.texts(text_column, empty_allowed=True).to_pylist()
        if pair_column is None:
            return texts
        return list(zip(texts, self.texts(pair_column, empty_allowed=True).to_pylist(), strict=True))


def find_split(dataset: str | Path, name: str | None, default: str) -> RawSplit:
    """One split of a data set: the one named; without a name the only one there is, or the default.

    Raises:
        InputError: There is no such split, or no such data set.
    """
    splits = load_raw_splits(dataset)
    name = name or (next(iter(splits)) if len(splits) == 1 else default)
    if name not in splits:
        raise InputError(f"{dataset} has no split {name!r}; it has: {', '.join(splits)}. Name one with --split.")
    return splits[name]


def is_file_alone(dataset: str) -> bool:
    """Whether a data set is one file: a "train" split to the library that reads it, as if it had been trained on."""
    return dataset != DEMO and Path(dataset).expanduser().is_file()


def load_raw_splits(dataset: str | Path) -> dict[str, RawSplit]:
    """Load a data set without looking into it.

    Args:
        dataset: "demo", a Hub id, a folder (what `save_to_disk` wrote, too), or a file (csv, tsv, json, jsonl or
            parquet; gzip too), which becomes "train".

    Raises:
        InputError: It isn't there or can't be read; the message says what was looked for.
    """
    files: dict[str, list[str]] = {}
    untyped = False
    path = Path(dataset).expanduser()
    if dataset == DEMO:
        folder = Path(str(resource_files("glove_bilstm.demo")))
        files = {split: [str(folder / f"{split}.jsonl")] for split in ("train", "validation", "test")}
        loaded = load_dataset("json", data_files=files)
    elif path.is_file():
        builder = BUILDERS.get(_ending(path))
        if builder is None:
            raise InputError(
                f"{path} ends in none of {', '.join(BUILDERS)} (and .gz after it), so its format is unknown."
            )
        _check_filled(path, path)
        files = {"train": [str(path)]}
        untyped = builder == "csv"
        loaded = _load(builder, path, data_files=files, **_csv_options(path))
    elif path.is_dir():
        files = _files_by_split(path)
        all_files = [Path(file) for of_split in files.values() for file in of_split]
        untyped = bool(all_files) and all(_ending(file) in (".csv", ".tsv") for file in all_files)
        if untyped:
            options = [_csv_options(file) for file in all_files]
            loaded = _load("csv", path, data_files=files, **options[0])
        else:
            loaded = _load(str(path.resolve()), path)  # "." is no name for it
    elif re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", str(dataset)) and not Path(str(dataset)).suffix:
        loaded = _load(str(dataset), None)
    else:
        raise InputError(f"There is no file or folder {path}. Give one that exists, a data set's Hub id, or '{DEMO}'.")
    return {
        str(name): RawSplit(str(name), rows, Path(files[name][0]) if len(files.get(name, [])) == 1 else None, untyped)
        for name, rows in loaded.items()
    }


def _is_utf8(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _was_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder, of several splits or of one."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def _load(builder: str, path: Path | None, **kwargs: Any) -> DatasetDict:
    """`load_dataset`, or `load_from_disk` of a folder that was saved so; their failures are turned into sentences."""
    try:
        if path is not None and _was_saved(path):
            saved = load_from_disk(path).with_format(None)
            # One split has no name.
            return saved if isinstance(saved, DatasetDict) else DatasetDict(train=saved)
        return load_dataset(builder, **kwargs)
    except ConnectionError as error:
        raise InputError(
            f"There is no folder {builder}, and the Hub, where a data set of that name might be, can't be reached: "
            f"{error}"
        ) from error
    except Exception as error:  # each builder raises its own
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise InputError(f"{path or builder} can't be read as a data set: {cause}") from error


def _ending(file: Path) -> str:
    """What a file's name ends in, before any .gz."""
    return Path(file.name.lower().removesuffix(".gz")).suffix


def _csv_options(file: Path) -> dict[str, Any]:
    """How to read a csv or tsv file (nothing for others): as text, so that "NA" and "1984" stay what they are.

    Raises:
        InputError: It isn't a row of column names and then rows of at most as many fields.
    """
    if _ending(file) not in (".csv", ".tsv"):
        return {}
    mark = {".csv": ",", ".tsv": "\t"}[_ending(file)]
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as lines:
            csv.field_size_limit(sys.maxsize)
            rows = csv.reader(lines, delimiter=mark)
            header = next(rows, [])
            number = 0
            # Where all rows have a field too many, pandas takes the first for an index, and says nothing.
            for number, row in enumerate(rows, 1):
                if len(row) > len(header) > 0:
                    raise InputError(
                        f"{file}, row {number}: there are {len(row)} fields and {len(header)} column names. Quote "
                        "texts that hold the mark between fields."
                    )
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise InputError(f"{file} isn't UTF-8 text: {error}. Save it as UTF-8.") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{file} is damaged ({error}). Get it again.") from error
    if header and not number:
        raise InputError(f"{file} has no rows. Fill it, or take it away.")
    if not header or len(set(header)) < len(header):
        raise InputError(
            f"{file} must begin with a row of column names, each once; it begins with: {', '.join(header)}."
        )
    return {"sep": mark, "keep_default_na": False, "features": Features({name: Value("string") for name in header})}


def _files_by_split(folder: Path) -> dict[str, list[str]]:
    """The files that `load_dataset(folder)` takes for each split, for messages."""
    base = folder.resolve()
    try:
        found = DataFilesDict.from_patterns(get_data_patterns(str(base)), base_path=str(base))
    except FileNotFoundError:  # no data files; loading says so
        return {}
    for file in (Path(file) for files in found.values() for file in files):
        _check_filled(file, folder / file.relative_to(base))
    return {
        str(split): [str(folder / Path(file).relative_to(base)) for file in files] for split, files in found.items()
    }


def _check_filled(file: Path, name: Path) -> None:
    """Refuse a file without rows, of which a loader says something else, or nothing."""
    empty = file.stat().st_size == 0
    if not empty and _ending(file) == ".parquet":
        try:
            empty = pq.read_metadata(file).num_rows == 0
        except pa.ArrowInvalid:  # the loader says what is wrong with it
            return
    if empty:
        raise InputError(f"{name} is empty. Fill it, or take it away.")
