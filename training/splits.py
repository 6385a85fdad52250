"""Reading data sets, and the columns of their splits."""

import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from datasets.data_files import SPLIT_KEYWORDS, DataFilesDict, get_data_patterns, sanitize_patterns
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import metadata_load

from glove_bilstm.training.csv_files import read_csv_splits
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.sources import DEMO

BUILDERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
"""File endings, before any .gz, and the `datasets` builder of their format, or "csv", whose files are read here."""
USUAL_NAMES = {word: str(split) for split, words in SPLIT_KEYWORDS.items() for word in words}
"""What a split may be called → what it is called here."""


@dataclass(frozen=True)
class RawSplit:
    """A split as it was found.

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
    usual = name if name in splits else USUAL_NAMES.get(name)
    if usual not in splits:
        raise InputError(f"{dataset} has no split {name!r}; it has: {', '.join(splits)}. Name one with --split.")
    return splits[usual]


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
    builder: str | None = None
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
        loaded = read_csv_splits(files, {}) if builder == "csv" else _load(builder, path, data_files=files)
    elif path.is_dir():
        card = {} if _was_saved(path) else _configuration(path)
        files = {} if _was_saved(path) else _files_by_split(path, card)
        builder = _common_builder(path, files)
        if builder == "csv":
            _check_options(path, card)
        # "." is no name for a folder.
        loaded = read_csv_splits(files, card["features"]) if builder == "csv" else _load(str(path.resolve()), path)
    elif re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", str(dataset)) and _ending(path) not in BUILDERS:
        loaded = _load(str(dataset), None)
    else:
        raise InputError(f"There is no file or folder {path}. Give one that exists, a data set's Hub id, or '{DEMO}'.")
    return _under_usual_names(loaded, files, untyped=builder == "csv")


def _under_usual_names(loaded: DatasetDict, files: dict[str, list[str]], untyped: bool) -> dict[str, RawSplit]:
    """Splits as they were found; "dev" is "validation", as of a folder of files, unless that would be two splits."""
    splits = {}
    for found, rows in loaded.items():
        usual = USUAL_NAMES.get(found, found)
        name = found if any(other != found and USUAL_NAMES.get(other) == usual for other in loaded) else usual
        file = Path(files[found][0]) if len(files.get(found, [])) == 1 else None
        splits[name] = RawSplit(name, rows, file, untyped)
    return splits


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
            f"There is no file or folder {builder}, and the Hub, where a data set of that name might be, can't be "
            f"reached: {error}"
        ) from error
    except Exception as error:  # each builder raises its own
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise InputError(f"{path or builder} can't be read as a data set: {cause}") from error


def _ending(file: Path) -> str:
    """What a file's name ends in, before any .gz."""
    return Path(file.name.lower().removesuffix(".gz")).suffix


def _configuration(folder: Path) -> dict[str, Any]:
    """What a folder's data card, if any, says of its one configuration, or of the default one: "features" at least.

    Raises:
        InputError: The card can't be read, or has several configurations and no default.
    """
    card = folder / "README.md"
    head: Any = {}
    try:
        head = metadata_load(card) or {} if card.is_file() else {}
    except Exception as error:
        if re.search(r"^configs\s*:", card.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            raise _wrong_card(card, error) from error
        # Else a README that is no card.
    infos: dict[str, Any] = {}
    with suppress(Exception):  # what it says of columns may be left aside
        infos = DatasetInfosDict.from_dataset_card_data(head)
    try:
        configurations = MetadataConfigs.from_dataset_card_data(head)
        chosen = configurations.get_default_config_name()
    except Exception as error:  # each check raises its own
        raise _wrong_card(card, error) from error
    if configurations and chosen is None:
        raise InputError(
            f"{folder} holds several configurations: {', '.join(configurations)} ({card} lists their files). Name the "
            "folder or file of one."
        )
    if chosen is None and len(infos) == 1:
        chosen = next(iter(infos))
    features = infos[chosen].features if chosen in infos else None
    return {"features": features or {}, **configurations.get(chosen, {})}


def _wrong_card(card: Path, error: Exception) -> InputError:
    reason = str(error).partition("\n")[0].rstrip(". ")
    return InputError(f"{card}: its configs can't be read: {reason}. Correct it, or take the file away.")


def _files_by_split(folder: Path, configuration: dict[str, Any]) -> dict[str, list[str]]:
    """The files of each split as `load_dataset(folder)` finds them, of the formats known here."""
    base = folder.resolve()
    start = str(base / str(configuration.get("data_dir") or ""))
    try:
        listed = configuration.get("data_files")
        patterns = get_data_patterns(start) if listed is None else sanitize_patterns(listed)
        found = DataFilesDict.from_patterns(patterns, base_path=start)
    except Exception:  # no data files, or none that a card lists, or on the Hub; loading says so
        return {}

    def named(file: Path) -> Path:
        return folder / file.relative_to(base) if file.is_relative_to(base) else file

    by_split = {}
    for split, of_split in found.items():
        files = [Path(file) for file in of_split if _ending(Path(file)) in BUILDERS]
        for file in files:
            _check_filled(file, named(file))
        if files:  # not notes alone
            by_split[str(split)] = [str(named(file)) for file in files]
    return by_split


def _check_options(folder: Path, configuration: dict[str, Any]) -> None:
    """Refuse a card that says of csv files what isn't heeded here.

    Raises:
        InputError: It does.
    """
    others = sorted(configuration.keys() - {"features", "data_files", "data_dir", "default", "version", "description"})
    if others:
        raise InputError(
            f"{folder / 'README.md'} has its csv files read with {', '.join(others)}, which only datasets itself "
            "does. Load it with datasets, and name the folder that save_to_disk writes."
        )


def _common_builder(folder: Path, files: dict[str, list[str]]) -> str | None:
    """The builder for all files of a folder; None where there are none of a known format.

    Raises:
        InputError: The files need several, of which `load_dataset` would choose one without a word.
    """
    examples: dict[str, str] = {}
    for file in (file for of_split in files.values() for file in of_split):
        examples.setdefault(BUILDERS[_ending(Path(file))], file)
    if len(examples) > 1:
        one, other, *_ = examples.values()
        raise InputError(
            f"{folder} holds files of several formats, of which only one can be read: {one} and {other}. Take one "
            "away, or name a file."
        )
    return next(iter(examples), None)


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
