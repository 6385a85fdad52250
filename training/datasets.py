"""Loading labelled texts, and refusing with a sentence what can't be trained on."""

import csv
import gzip
import logging
import re
from dataclasses import dataclass
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset
from datasets.data_files import DataFilesDict, get_data_patterns

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.sources import DEMO

logger = logging.getLogger(__name__)

BUILDERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
"""File endings, before any .gz, and the `datasets` builder that reads them."""


@dataclass(frozen=True)
class RawSplit:
    """A split as it was found: the columns are not looked at yet.

    Attributes:
        name: The split's name.
        rows: Its rows.
        file: The file that holds it, where it is one file; errors name it.
    """

    name: str
    rows: Dataset
    file: Path | None

    def at(self, row: int) -> str:
        """Where a row (counted from 0) stands, for a message."""
        return f"{self.file or f'split {self.name!r}'}, row {row + 1:,}"

    def column(self, name: str) -> list[Any]:
        """The values of a column.

        Raises:
            InputError: There is no such column.
        """
        if name not in self.rows.column_names:
            raise InputError(
                f"{self.file or f'Split {self.name!r}'} has no column {name!r}; it has: "
                f"{', '.join(self.rows.column_names)}. Name the right one with --text_column or --label_column."
            )
        return self.rows[name][:]

    def texts(self, column: str, empty_allowed: bool = False) -> list[str]:
        """The column of texts.

        Raises:
            InputError: There is no such column, or a value isn't a string or (unless allowed) holds nothing but space.
        """
        texts = self.column(column)
        for row, text in enumerate(texts):
            if text is None and empty_allowed:
                texts[row] = ""
            elif text is None or (isinstance(text, str) and not text.strip() and not empty_allowed):
                raise InputError(
                    f"{self.at(row)}: {column!r} is empty. There is nothing to learn from it; remove the row."
                )
            elif not isinstance(text, str):
                raise InputError(
                    f"{self.at(row)}: {column!r} holds {text!r}, a {type(text).__name__} and not a text. "
                    "Write it as a string, or name the column of texts with --text_column."
                )
        return texts

    def labels(self, column: str) -> list[str]:
        """The column of labels, by name.

        Raises:
            InputError: There is no such column, or a value isn't one class's name or number.
        """
        feature = self.rows.features.get(column)
        names = []
        for row, label in enumerate(self.column(column)):
            if isinstance(label, float) and label.is_integer():  # whole numbers of a csv column with a gap in it
                label = int(label)
            if isinstance(label, str):
                label = label.strip()
            if isinstance(feature, ClassLabel) and isinstance(label, int) and label >= 0:
                names.append(feature.int2str(label))
            elif isinstance(label, str) and label or isinstance(label, int):
                names.append(str(label))
            else:
                raise InputError(
                    f"{self.at(row)}: {column!r} holds {label!r}, which isn't one class. A label is a name or a whole "
                    "number; mend or remove the row, or name the column of labels with --label_column."
                )
        return names


@dataclass(frozen=True)
class LabelledTexts:
    """A checked data set.

    Attributes:
        name: What the user called it.
        splits: "train", "validation" and, where it is labelled, "test"; columns "text" and "label" (a class id).
        labels: The classes' names, in the order of their ids.
    """

    name: str
    splits: DatasetDict
    labels: list[str]


def load_raw_splits(dataset: str | Path) -> dict[str, RawSplit]:
    """Load a data set without looking into it.

    Args:
        dataset: "demo", a Hub id, a folder, or a file (csv, tsv, json, jsonl or parquet; gzip too), which becomes
            "train".

    Raises:
        InputError: It isn't there or can't be read; the message says what was looked for.
    """
    files: dict[str, list[str]] = {}
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
        files = {"train": [str(path)]}
        loaded = _load(builder, path, data_files=files, **_csv_options(path))
    elif path.is_dir():
        files = _files_by_split(path)
        all_files = [Path(file) for of_split in files.values() for file in of_split]
        if all_files and all(_ending(file) in (".csv", ".tsv") for file in all_files):
            loaded = _load("csv", path, data_files=files, **_csv_options(all_files[0]))
        else:
            loaded = _load(str(path), path)
    elif re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", str(dataset)) and not Path(str(dataset)).suffix:
        loaded = _load(str(dataset), None)
    else:
        raise InputError(f"There is no file or folder {path}. Give one that exists, a data set's Hub id, or '{DEMO}'.")
    return {
        str(name): RawSplit(str(name), rows, Path(files[name][0]) if len(files.get(name, [])) == 1 else None)
        for name, rows in loaded.items()
    }


def load_labelled_texts(
    dataset: str | Path, text_column: str, label_column: str, validation_share: float, seed: int
) -> LabelledTexts:
    """Load and check a data set for training.

    Where there is no validation split, one is cut from the training split, class by class, and the log says so. A test
    split without labels is left out, and the log says so.

    Args:
        dataset: See `load_raw_splits`.
        text_column: The column of texts.
        label_column: The column of labels.
        validation_share: How much of each class is cut off for validation.
        seed: Of that cut.

    Raises:
        InputError: A column, text, label or split can't be used; the message says which and where.
    """
    raw = load_raw_splits(dataset)
    if "train" not in raw:
        raise InputError(f"{dataset} has no split 'train'; it has: {', '.join(raw)}.")
    splits = {name: raw[name] for name in ("train", "validation", "test") if name in raw}
    if "test" in splits and not _is_labelled(splits["test"], label_column):
        logger.info("The test split has no labels, so nothing is measured on it.")
        del splits["test"]

    # A text without words is nothing to learn from, but it can be predicted.
    texts = {name: split.texts(text_column, empty_allowed=name == "test") for name, split in splits.items()}
    names = {name: split.labels(label_column) for name, split in splits.items()}
    feature = raw["train"].rows.features[label_column]
    labels = list(feature.names) if isinstance(feature, ClassLabel) else _in_order(set(names["train"]))
    if len(set(names["train"])) < 2:
        raise InputError(
            f"{splits['train'].file or dataset}: every label in column {label_column!r} is {names['train'][0]!r}. "
            "A classifier needs two classes or more to tell apart."
            if names["train"]
            else f"{splits['train'].file or dataset} has no rows."
        )
    ids = {label: position for position, label in enumerate(labels)}
    for name, split in splits.items():
        for row, label in enumerate(names[name]):
            if label not in ids:
                raise InputError(
                    f"{split.at(row)}: the label {label!r} doesn't occur in the training split, which has: "
                    f"{', '.join(labels)}. The splits must share their labels."
                )

    features = Features({"text": Value("large_string"), "label": ClassLabel(names=labels)})
    checked = DatasetDict(
        {
            name: Dataset.from_dict(
                {"text": texts[name], "label": [ids[label] for label in names[name]]}, features=features
            )
            for name in splits
        }
    )
    if "validation" not in checked:
        kept, cut = _cut_by_class(np.array(checked["train"]["label"]), validation_share, seed)
        checked["validation"] = checked["train"].select(cut)
        checked["train"] = checked["train"].select(kept)
        logger.info(
            f"There is no validation split: {len(cut):,} of the {len(kept) + len(cut):,} training rows are held out "
            f"as one (by class, seed {seed})."
        )
    in_order = DatasetDict({name: checked[name] for name in ("train", "validation", "test") if name in checked})
    return LabelledTexts(str(dataset), in_order, labels)


def _load(builder: str, path: Path | None, **kwargs: Any) -> DatasetDict:
    """`load_dataset`, its failures turned into sentences."""
    try:
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
    """How to read a csv or tsv file (nothing for others): as text, so that "NA" and "1984" stay what they are."""
    if _ending(file) not in (".csv", ".tsv"):
        return {}
    mark = {".csv": ",", ".tsv": "\t"}[_ending(file)]
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines, delimiter=mark), [])
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise InputError(f"{file} isn't UTF-8 text: {error}. Save it as UTF-8.") from error
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
    return {
        str(split): [str(folder / Path(file).relative_to(base)) for file in files] for split, files in found.items()
    }


def _is_labelled(split: RawSplit, column: str) -> bool:
    """Whether a test split has labels at all; published ones often hold none, or -1 throughout."""
    return column in split.rows.column_names and any(label not in (None, "", -1) for label in split.rows[column])


def _in_order(names: set[str]) -> list[str]:
    """Class names in the order of their ids: numbers by value, names by the alphabet."""
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        return sorted(names, key=int)
    return sorted(names)


def _cut_by_class(labels: np.ndarray, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Divide rows into those kept and those cut off, taking the same share of each class."""
    generator = np.random.default_rng(seed)
    cut: list[int] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        cut += rows[: round(len(rows) * share)].tolist()
    if not cut:  # many classes of few rows each
        cut = generator.permutation(len(labels))[: round(len(labels) * share)].tolist()
    if not cut or len(cut) == len(labels):
        raise InputError(
            f"{share:.0%} of {len(labels)} training rows can't be held out for validation. Add rows or a validation "
            "split, or set --validation_share."
        )
    kept = np.setdiff1d(np.arange(len(labels)), cut)
    return kept.tolist(), sorted(cut)
