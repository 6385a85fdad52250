"""A column of labels: which task it means, and what stands in it.

Columns are read as Arrow arrays, and Python looks at their distinct values only: a data set may have 500,000 rows.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel

from glove_bilstm.training.splits import RawSplit
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from glove_bilstm.vectors.errors import InputError

PRINTED_LIST = re.compile(r"\[\s*'.*'\s*,?\s*\]", re.DOTALL)
FLOAT32_MAX = float(np.finfo(np.float32).max)
YES_AND_NO = {"0", "1", "True", "False"}
SHOWN = 20
"""How many names a message lists at most."""


@dataclass(frozen=True)
class Labels:
    """The labels of a split, by name.

    Attributes:
        names: The distinct ones, in the order in which they come first.
        ids: Each label of each row, as a position in `names`; ``[M]``.
        rows: The row that it belongs to; ``[M]``. With one label a row these are 0, 1, 2, …
        num_rows: N. A row may have no label.
    """

    names: list[str]
    ids: np.ndarray
    rows: np.ndarray
    num_rows: int

    def first_unknown(self, known: list[str]) -> tuple[int, str] | None:
        """The first row with a label that isn't among the known ones, and that label."""
        others = set(self.names).difference(known)
        unknown = np.array([name in others for name in self.names], dtype=bool)
        if not unknown.any():
            return None
        first = int(unknown[self.ids].argmax())
        return int(self.rows[first]), self.names[self.ids[first]]

    def class_ids(self, known: list[str]) -> np.ndarray:
        """Each label of each row, as a position in `known`; ``[M]``."""
        positions = {name: position for position, name in enumerate(known)}
        return np.array([positions[name] for name in self.names], dtype=np.int64)[self.ids]

    def vectors(self, known: list[str]) -> np.ndarray:
        """Each row's labels as 0s and 1s, float32 ``[N, C]``, in the order of `known`."""
        vectors = np.zeros((self.num_rows, len(known)), dtype=np.float32)
        vectors[self.rows, self.class_ids(known)] = 1
        return vectors

    def by_row(self) -> list[list[str]]:
        """Each row's labels."""
        lists: list[list[str]] = [[] for _ in range(self.num_rows)]
        for row, position in zip(self.rows.tolist(), self.ids.tolist(), strict=True):
            lists[row].append(self.names[position])
        return lists


def shortened(names: Sequence[str]) -> str:
    """Names in a row, the first of many."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def yes_or_no(split: RawSplit, column: str, row: int) -> InputError:
    """What to say of lists that don't hold names."""
    return InputError(
        f"{split.at(row)}: {column!r} holds {split.rows[row][column]!r}, which looks like a yes or no for every "
        "label. A list of labels holds the names of those that apply."
    )


def guess_problem_type(split: RawSplit, column: str) -> ProblemType:
    """The task that a column of labels means: lists, numbers that aren't all whole, or classes.

    Of text, what every cell holds counts: a JSON array, or in csv, where all is text, a number.

    Raises:
        InputError: There is no such column, or it holds lists as Python prints them.
    """
    values = split.column(column)
    if _is_list(values.type):
        return MULTI_LABEL
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        numbers = values.cast(pa.float64()).to_numpy()
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        distinct = pc.value_counts(pc.drop_null(values)).to_pylist()
        cells = {one["values"]: one["counts"] for one in distinct if one["values"].strip()}
        if cells and all(_as_list(cell) is not None for cell in cells):
            return MULTI_LABEL
        printed = next((cell for cell in cells if PRINTED_LIST.fullmatch(cell.strip())), None)
        if printed is not None:
            raise InputError(
                f"{split.at(pc.index(values, printed).as_py())}: {column!r} holds {printed!r}, a list as Python "
                "prints it. Write lists of labels as JSON, as json.dumps does; or say --problem_type "
                f"{SINGLE_LABEL} if that is the name of a class."
            )
        numbers = np.array([_as_number(cell) for cell in cells])
        # A few that are no numbers, such as "n/a", are named when they are read.
        others = sum(count for count, number in zip(cells.values(), numbers, strict=True) if np.isnan(number))
        if not (split.untyped and cells) or others > 0.1 * sum(cells.values()):
            return SINGLE_LABEL
    else:
        return SINGLE_LABEL
    return REGRESSION if (np.isfinite(numbers) & (numbers != np.floor(numbers))).any() else SINGLE_LABEL


def read_labels(split: RawSplit, column: str, multi_label: bool) -> Labels:
    """The labels of a column: names, numbers or a `ClassLabel`, or lists of them.

    Args:
        split: Where the column is.
        column: Its name.
        multi_label: Whether a row has a list of labels. In csv the lists are JSON arrays.

    Raises:
        InputError: There is no such column, or a row doesn't hold one class, or a list of them.
    """
    values, feature = split.column(column).combine_chunks(), split.rows.features[column]
    rows = np.arange(len(values))
    if multi_label and not pa.types.is_nested(values.type):
        values = _parse_lists(split, column, values)
    if multi_label and _is_list(values.type):
        absent = pc.index(pc.is_null(values), True).as_py()
        if absent >= 0:
            raise _no_class(split, column, absent, multi_label)
        feature = getattr(feature, "feature", None)  # what the lists are of; a parsed column has names
        rows = pc.list_parent_indices(values).to_numpy()
        values = pc.list_flatten(values)
    if pa.types.is_nested(values.type) and len(values):
        raise _no_class(split, column, int(rows[0]), multi_label)

    distinct, which = _distinct(values)
    names = [_name(value, feature) for value in distinct]
    if None in names:
        first = int((which == names.index(None)).argmax())
        raise _no_class(split, column, int(rows[first]), multi_label)
    positions = {name: position for position, name in enumerate(dict.fromkeys(names))}
    ids = np.array([positions[name] for name in names], dtype=np.int64)[which]
    if multi_label and positions.keys() <= YES_AND_NO:
        pairs, times = np.unique(np.stack([rows, ids]), axis=1, return_counts=True)
        if (times > 1).any():
            row = int(pairs[0, (times > 1).argmax()])
            raise yes_or_no(split, column, row)
    return Labels([str(name) for name in positions], ids, rows, len(split.rows))


def read_known_labels(split: RawSplit, column: str, known: list[str], problem_type: str | None) -> list[Any]:
    """What is right for each row of a split that a model is measured on: a name, a list of names, or a number.

    Args:
        split: Where the column is.
        column: Its name.
        known: The model's labels.
        problem_type: Its task; None counts as single-label classification.

    Raises:
        InputError: There is no such column, or a row holds no label for the task, or one that the model doesn't know.
    """
    if problem_type == REGRESSION:
        return read_targets(split, column).tolist()
    labels = read_labels(split, column, problem_type == MULTI_LABEL)
    unknown = labels.first_unknown(known)
    if unknown is not None:
        row, label = unknown
        raise InputError(f"{split.at(row)}: the model doesn't know the label {label!r}; it knows: {shortened(known)}.")
    by_row = labels.by_row()
    return by_row if problem_type == MULTI_LABEL else [label for (label,) in by_row]


def read_targets(split: RawSplit, column: str) -> np.ndarray:
    """The numbers of a column, float64 ``[N]``.

    Raises:
        InputError: There is no such column, or a row holds no finite number.
    """
    values = split.column(column)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        targets = values.cast(pa.float64(), safe=False).to_numpy()
    else:
        targets = np.array([_as_number(value) for value in split.rows[column]], dtype=np.float64)
    usable = np.abs(targets) <= FLOAT32_MAX  # not NaN
    if not usable.all():
        row = int(usable.argmin())
        raise InputError(
            f"{split.at(row)}: {column!r} holds {split.rows[row][column]!r}, which is no finite number in single "
            "precision. Regression needs one in every row; mend or remove the row, or name the column with "
            "--label_column."
        )
    return targets


def _no_class(split: RawSplit, column: str, row: int, multi_label: bool) -> InputError:
    expected = (
        "a list of classes. Labels are a list of names or whole numbers, which may be empty; in csv it is a JSON array"
        if multi_label
        else "one class. A label is a name or a whole number"
    )
    return InputError(
        f"{split.at(row)}: {column!r} holds {split.rows[row][column]!r}, which isn't {expected}; mend or remove the "
        "row, or name the column of labels with --label_column."
    )


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _distinct(values: pa.Array) -> tuple[list[Any], np.ndarray]:
    """The distinct values in the order in which they come first, and which of them stands where."""
    mixed = isinstance(values.type, pa.JsonType)  # strings and numbers in one column
    encoded = (values.storage if mixed else values).dictionary_encode(null_encoding="encode")
    distinct = encoded.dictionary.to_pylist()
    if mixed:
        distinct = [value and json.loads(value) for value in distinct]
    return distinct, encoded.indices.to_numpy()


def _parse_lists(split: RawSplit, column: str, values: pa.Array) -> pa.Array:
    """A column of JSON arrays as lists of names."""
    distinct, which = _distinct(values)
    lists = [_as_list(value) for value in distinct]
    if None in lists:
        raise _no_class(split, column, int((which == lists.index(None)).argmax()), True)
    names = pa.array([[_name(label, None) for label in labels or []] for labels in lists], pa.list_(pa.string()))
    return names.take(pa.array(which))


def _name(value: Any, feature: Any) -> str | None:
    """The name of a class; None if it isn't one."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():  # whole numbers of a column with a gap in it
        value = int(value)
    if isinstance(value, str):
        value = value.strip()
    if isinstance(feature, ClassLabel) and isinstance(value, int):
        return feature.int2str(value) if value >= 0 else None  # -1 is "no label"
    return str(value) if (isinstance(value, str) and value) or isinstance(value, int) else None


def _as_list(value: Any) -> list[Any] | None:
    """A list, or the JSON text of one; None if it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return None
    return value if isinstance(value, list) else None


def _as_number(value: Any) -> float:
    """A number, or the text of one; NaN if it is neither."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
