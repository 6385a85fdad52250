"""What a Trainer's training rows hold: any data set with a length, or a list of rows."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, cast

import datasets
import numpy as np
import torch

from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from glove_bilstm.vectors.errors import InputError

LABELS = ("label", "labels", "label_ids")
"""What transformers' collators call `labels`."""

logger = logging.getLogger(__name__)


def lengths_of(dataset: Any) -> list[int]:
    """How many tokens each row has.

    Raises:
        InputError: They aren't tokenized.
    """
    if len(dataset) and not (isinstance(dataset[0], Mapping) and "input_ids" in dataset[0]):
        raise InputError(
            "The training rows have no input_ids, by whose number they could be grouped: tokenize them first, or set "
            "train_sampling_strategy to random."
        )
    return list(map(len, _values(dataset, "input_ids")))


def labels_of(dataset: Any) -> torch.Tensor:
    """The labels of all rows, ``[N]`` or ``[N, C]``.

    Raises:
        InputError: They hold none under the names that transformers knows.
    """
    name = _label_column(dataset)
    if name is None:
        raise InputError(f"The training rows have none of {', '.join(LABELS)}, from which classes could be weighed.")
    values = _values(dataset, name)
    if isinstance(values, datasets.arrow_dataset.Column):
        return torch.as_tensor(values[:])
    return torch.stack([torch.as_tensor(label) for label in values])


def check_labels(config: GloveBiLSTMConfig, dataset: Any) -> None:
    """See that the labels are those of the model's task, which a model that was loaded brings along.

    Raises:
        InputError: They are lists where the task has one label a text, or the other way round.
    """
    task, name = config.problem_type, _label_column(dataset)
    if name is None:  # a collator of the user's own makes them
        return
    if task in (SINGLE_LABEL, MULTI_LABEL):
        dimensions = np.ndim(dataset[0][name])
        if dimensions != (task == MULTI_LABEL):
            raise InputError(
                f"The model's task is {task}, and the first training row has {'a list' if dimensions else 'one'} for "
                "its label. Load the model with the problem_type that is meant, or mend the labels."
            )
    elif task == REGRESSION:
        targets = labels_of(dataset).double()
        mean, deviation = float(targets.mean()), float(targets.std(correction=0))
        away = abs(mean - config.target_mean) / config.target_std
        wider = deviation / config.target_std
        if away > 3 or (deviation and not 0.1 < wider < 10):
            logger.warning(
                f"The training targets have a mean of {mean:.6g} and a standard deviation of {deviation:.6g}, and the "
                f"model is made for {config.target_mean:.6g} and {config.target_std:.6g}: it will hardly learn. Set "
                "target_mean and target_std in its configuration to those of the targets."
            )


def _values(dataset: Any, name: str) -> Iterable[Any]:
    """What all rows hold under a name."""
    # Read as a column where there is one: row by row takes seconds. (A transform may make what is in none.)
    if isinstance(dataset, datasets.Dataset) and name in dataset.column_names:
        return cast(Iterable[Any], dataset[name])
    return (row[name] for row in dataset)


def _label_column(dataset: Any) -> str | None:
    first = dataset[0] if len(dataset) else None
    return next((name for name in LABELS if name in first), None) if isinstance(first, Mapping) else None
