"""Labelled texts for training, and refusing with a sentence what can't be trained on."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from glove_bilstm.training.labels import (
    YES_AND_NO,
    Labels,
    guess_problem_type,
    read_labels,
    read_targets,
    shortened,
    yes_or_no,
)
from glove_bilstm.training.splits import RawSplit, load_raw_splits
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)

GUESSED = {MULTI_LABEL: "holds lists", REGRESSION: "holds numbers that aren't all whole"}
AT_RANDOM = "at random"
CUT = {SINGLE_LABEL: "by class", MULTI_LABEL: "by the rarest label of each", REGRESSION: AT_RANDOM}
UNLABELLED = {"", "-1", "-1.0", "[]"}
"""What published test splits hold in the place of labels."""


@dataclass(frozen=True)
class LabelledTexts:
    """A checked data set.

    Attributes:
        name: What the user called it.
        splits: "train", "validation" and, where it is labelled, "test". Columns: "text", of pairs also "text_pair";
            and "label": a class id, floats ``[C]`` of 0 and 1 for multi-label classification, or a float for
            regression.
        labels: The classes' names, in the order of their ids; for regression the one name of the label column.
        problem_type: The task.
        own_validation: Whether the data set came with its validation split; otherwise that was cut off train.
    """

    name: str
    splits: DatasetDict
    labels: list[str]
    problem_type: ProblemType
    own_validation: bool

    def texts(self, split: str) -> Sequence[str]:
        """All texts of a split; of pairs all the first ones, then all the second."""
        rows = self.splits[split]
        return [*rows["text"], *rows["text_pair"]] if "text_pair" in rows.column_names else rows["text"]

    @property
    def are_pairs(self) -> bool:
        """Whether each row has two texts."""
        return "text_pair" in self.splits["train"].column_names


def load_labelled_texts(
    dataset: str | Path,
    text_column: str,
    label_column: str,
    validation_share: float,
    seed: int,
    problem_type: ProblemType | None = None,
    text_pair_column: str | None = None,
) -> LabelledTexts:
    """Load and check a data set for training.

    Where there is no validation split, one is cut from the training split, and the log says so: class by class; for
    multi-label classification by each row's rarest label; for regression at random. A test split without labels is
    left out, and the log says so.

    Args:
        dataset: See `load_raw_splits`.
        text_column: The column of texts.
        label_column: The column of labels.
        validation_share: How much (of each class) is cut off for validation.
        seed: Of that cut.
        problem_type: The task. None: the labels of the training split tell; see `guess_problem_type`.
        text_pair_column: The column of second texts, where each row has a pair. They may be empty.

    Raises:
        InputError: A column, text, label or split can't be used; the message says which and where.
    """
    columns_told = [column for column in (text_column, text_pair_column, label_column) if column is not None]
    if len(set(columns_told)) < len(columns_told):
        raise InputError(f"Texts and labels stand in columns of their own; told were {', '.join(columns_told)}.")
    raw = load_raw_splits(dataset)
    if "train" not in raw:
        raise InputError(f"{dataset} has no split 'train'; it has: {', '.join(raw)}.")
    splits: dict[str, RawSplit] = {name: raw[name] for name in ("train", "validation", "test") if name in raw}
    unused = [name for name in raw if name not in splits]
    if unused:
        logger.info(f"Neither trained nor measured on: {shortened(unused)}.")
    if "test" in splits and not _is_labelled(splits["test"], splits["train"], label_column):
        logger.info("The test split has no labels, so nothing is measured on it.")
        del splits["test"]
    if problem_type is None:
        problem_type = guess_problem_type(splits["train"], label_column)
        if problem_type in GUESSED:
            logger.info(
                f"Column {label_column!r} {GUESSED[problem_type]}: {problem_type} (--problem_type tells otherwise)"
            )

    # A text without words is nothing to learn from, but it can be predicted.
    columns: dict[str, dict[str, Any]] = {
        name: {"text": split.texts(text_column, empty_allowed=name == "test")} for name, split in splits.items()
    }
    if text_pair_column is not None:
        for name, split in splits.items():
            columns[name]["text_pair"] = split.texts(text_pair_column, empty_allowed=True)
    if len(splits["train"].rows) == 0:
        raise InputError(f"{splits['train'].file or dataset} has no rows.")
    if problem_type == REGRESSION:
        labels, kind, encoded = _targets(splits, label_column)
    else:
        labels, kind, encoded = _classes(splits, label_column, problem_type == MULTI_LABEL)
    features = Features({**dict.fromkeys(columns["train"], Value("large_string")), "label": kind})
    checked = {
        name: Dataset.from_dict({**columns[name], "label": _to_arrow(encoded[name])}, features=features)
        for name in splits
    }
    if problem_type == SINGLE_LABEL:
        _warn_of_many_classes(encoded["train"], label_column)
    own_validation = "validation" in checked
    if not own_validation:
        kept, cut, by_class = _stratified_split(
            _groups(encoded["train"], problem_type), validation_share, seed, may_lose=problem_type == MULTI_LABEL
        )
        checked["validation"] = checked["train"].select(cut)
        checked["train"] = checked["train"].select(kept)
        encoded["train"], encoded["validation"] = encoded["train"][kept], encoded["train"][cut]
        logger.info(
            f"There is no validation split: {len(cut):,} of the {len(kept) + len(cut):,} training rows are held out "
            f"as one ({CUT[problem_type] if by_class else AT_RANDOM}, seed {seed})."
        )
    in_order = DatasetDict({name: checked[name] for name in ("train", "validation", "test") if name in checked})
    _log_duplicates(in_order)
    if problem_type != REGRESSION:
        _warn_of_absent_classes(encoded, labels)
    return LabelledTexts(str(dataset), in_order, labels, problem_type, own_validation)


def _classes(
    splits: dict[str, RawSplit], column: str, multi_label: bool
) -> tuple[list[str], Any, dict[str, np.ndarray]]:
    """The classes' names, the kind of the label column, and each split's ids ``[N]`` or 0s and 1s ``[N, C]``."""
    found = {name: read_labels(split, column, multi_label) for name, split in splits.items()}
    train = splits["train"]
    feature = train.rows.features[column]
    if multi_label:
        feature = getattr(feature, "feature", None)
    labels = list(feature.names) if isinstance(feature, ClassLabel) else _in_order(set(found["train"].names))
    if multi_label and not found["train"].names:
        raise InputError(f"{train.file or train.name}: not one list in column {column!r} names a label.")
    if not multi_label and len(found["train"].names) < 2:
        raise InputError(
            f"{train.file or train.name}: every label in column {column!r} is {found['train'].names[0]!r}. "
            "A classifier needs two classes or more to tell apart."
        )
    for name, split in splits.items():
        unknown = found[name].first_unknown(labels)
        if unknown is not None:
            row, label = unknown
            raise InputError(
                f"{split.at(row)}: the label {label!r} doesn't occur in the training split, which has: "
                f"{shortened(labels)}. The splits must share their labels."
            )
    kind = List(Value("float32"), length=len(labels)) if multi_label else ClassLabel(names=labels)

    def encode(of_split: Labels) -> np.ndarray:
        return of_split.vectors(labels) if multi_label else of_split.class_ids(labels)

    encoded = {name: encode(of_split) for name, of_split in found.items()}
    if multi_label and encoded["train"].all():
        if set(labels) <= YES_AND_NO:
            raise yes_or_no(train, column, 0)
        raise InputError(
            f"{train.file or train.name}: every row has every label of column {column!r}. There is nothing to tell "
            "apart."
        )
    return labels, kind, encoded


def _targets(splits: dict[str, RawSplit], column: str) -> tuple[list[str], Any, dict[str, np.ndarray]]:
    """The target's name, the kind of the label column, and each split's values ``[N]``."""
    found = {name: read_targets(split, column) for name, split in splits.items()}
    if np.ptp(found["train"]) == 0:
        train = splits["train"]
        raise InputError(
            f"{train.file or train.name}: every value in column {column!r} is {found['train'][0]}. There is nothing "
            "to predict."
        )
    # The model computes in single precision; coarser steps than a hundredth of the spread would hide its errors.
    step, spread = float(np.spacing(np.float32(np.abs(found["train"]).max()))), float(found["train"].std())
    if step > spread / 100:
        train = splits["train"]
        raise InputError(
            f"{train.file or train.name}: the values in column {column!r} lie around {found['train'].mean():.10g} and "
            f"deviate from it by {spread:.3g}, which single precision, whose numbers lie {step:.3g} apart there, "
            "can't tell. Subtract a constant from all of them."
        )
    return [column], Value("float64"), found


def _to_arrow(encoded: np.ndarray) -> pa.Array:
    """Values ``[N]``, or vectors ``[N, C]`` as lists."""
    if encoded.ndim == 1:
        return pa.array(encoded)
    return pa.FixedSizeListArray.from_arrays(pa.array(encoded.reshape(-1)), encoded.shape[1])


def _is_labelled(split: RawSplit, train: RawSplit, column: str) -> bool:
    """Whether a test split has labels at all; published ones often hold none, or -1 throughout."""
    if column not in split.rows.column_names:
        return False
    found = set()
    for label in split.rows[column]:
        found.add("" if label is None else str(label).strip())
        if not found <= UNLABELLED:
            return True
    # Where training knows numbers below 0, -1 may well be one.
    return not found.isdisjoint({"-1", "-1.0"}) and any(_is_negative(label) for label in train.rows[column])


def _is_negative(label: Any) -> bool:
    try:
        return float(label) < 0
    except (TypeError, ValueError):
        return False


def _log_duplicates(splits: DatasetDict) -> None:
    """Say how many texts a model is measured on that it was trained on too."""
    columns = [column for column in ("text", "text_pair") if column in splits["train"].column_names]

    def texts(split: Dataset) -> Iterator[tuple[str, ...]]:
        table = split.select_columns(columns).with_format("arrow")[:]  # many times as fast as row by row
        return zip(*(table.column(column).to_pylist() for column in columns), strict=True)

    known = set(texts(splits["train"]))
    for name in ("validation", "test"):
        if name in splits:
            again = sum(text in known for text in texts(splits[name]))
            if again:
                stand = "stands" if again == 1 else "stand"
                logger.info(f"{again:,} of the {len(splits[name]):,} {name} texts {stand} in the training split too.")


def _warn_of_many_classes(ids: np.ndarray, column: str) -> None:
    """Say whether the column looks like one of classes at all, by the training rows' ids ``[N]``."""
    number = len(np.unique(ids))
    if number > max(len(ids) / 2, 2):
        logger.warning(
            f"Column {column!r} has {number:,} different values in {len(ids):,} training rows. If these are no "
            "classes, name the column of labels with --label_column; if they are numbers, say --problem_type "
            f"{REGRESSION}."
        )


def _warn_of_absent_classes(encoded: dict[str, np.ndarray], labels: list[str]) -> None:
    """Say which labels the training split lacks, and which of the others another one does."""

    def there(split: str) -> np.ndarray:
        ids = encoded[split]  # [N], or 0s and 1s [N, C]
        return np.asarray(ids.any(axis=0)) if ids.ndim == 2 else np.isin(np.arange(len(labels)), ids)

    known = there("train")
    for name in encoded:
        lacking = np.flatnonzero(~known if name == "train" else known & ~there(name)).tolist()
        if not lacking or not len(encoded[name]):
            continue
        what = f"{len(lacking):,} of the {len(labels):,} labels ({shortened([labels[label] for label in lacking])})"
        if name == "train":
            logger.warning(f"No training text has {what}, so the model can't learn them.")
        else:
            logger.warning(f"No {name} text has {what}: their figures there are 0, and count in the macro F1.")


def _in_order(names: set[str]) -> list[str]:
    """Class names in the order of their ids: numbers by value, names by the alphabet."""
    if all(name.removeprefix("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _groups(encoded: np.ndarray, problem_type: ProblemType) -> np.ndarray:
    """What rows are held out by, ``[N]``: their class; their rarest label (-1: they have none); nothing."""
    if problem_type == REGRESSION:
        return np.zeros(len(encoded), dtype=np.int64)
    if problem_type == SINGLE_LABEL:
        return encoded
    rarest_first = np.argsort(encoded.sum(axis=0), kind="stable")  # [C]
    rarest = rarest_first[encoded[:, rarest_first].argmax(axis=1)]  # [N]
    return np.where(encoded.any(axis=1), rarest, -1)


def _stratified_split(
    classes: np.ndarray, share: float, seed: int, may_lose: bool
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Divide rows into those kept and those cut off, taking the same share of each class.

    Args:
        classes: Of each row, ``[N]``.
        share: Of the rows, to cut off.
        seed: Of the choice.
        may_lose: Whether a class may lose its last row where rows are cut at random.

    Returns:
        Those kept; those cut off; and whether by class: many classes of few rows each are cut at random.
    """
    generator = np.random.default_rng(seed)
    starts = np.flatnonzero(np.diff(np.sort(classes))) + 1
    of_classes = np.split(np.argsort(classes, kind="stable"), starts)
    shuffled = [generator.permutation(rows) for rows in of_classes]
    cut = np.concatenate([rows[: min(round(len(rows) * share), len(rows) - 1)] for rows in shuffled])
    by_class = len(cut) >= len(classes) * share / 2
    if not by_class:  # the shares of many classes are rounded to nothing
        others = generator.permutation(np.concatenate([rows[1:] for rows in shuffled]))
        wanted = round(len(classes) * share)
        if may_lose:
            others = np.concatenate([others, generator.permutation([rows[0] for rows in shuffled])])
        cut = others[:wanted]
    if not 0 < len(cut) < len(classes):
        raise InputError(
            f"{100 * share:g}% of {len(classes)} training rows can't be held out for validation. Add rows or a "
            "validation split, or set --validation_share."
        )
    return np.setdiff1d(np.arange(len(classes)), cut, assume_unique=True), np.sort(cut), by_class
