"""The figures of each task, computed offline, and the thresholds of multi-label classification."""

import warnings
from typing import Any, cast

import datasets
import evaluate
import numpy as np
from scipy.special import expit
from scipy.stats import rankdata
from sklearn.metrics import (
    accuracy_score,
    matthews_corrcoef,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)
from transformers import EvalPrediction, PreTrainedConfig

from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION

FEWEST_TEXTS = 5
"""With fewer, a label has no threshold of its own."""


class ClassificationMetrics(evaluate.Metric):
    """Accuracy, macro F1, Matthews correlation, and precision, recall and F1 of every class.

    `evaluate.load("accuracy")` fetches a script from the Hub; this computes the same with scikit-learn, offline.
    """

    def __init__(self, labels: list[str], **kwargs: Any) -> None:
        """Make the metrics for these classes, named in the order of their ids."""
        self.labels = labels
        # In memory: figures of one process's evaluation need no file on disk.
        super().__init__(keep_in_memory=True, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Metrics of a single-label classifier.",
            citation="",
            inputs_description="predictions and references: class ids",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        ids = list(range(len(self.labels)))
        # A class that never occurs counts as 0, as in scikit-learn with all `labels` given; left out, as it does by
        # itself, it would let two splits be means over different classes.
        precision, recall, f1, _ = precision_recall_fscore_support(
            references, predictions, labels=ids, average=None, zero_division=0.0
        )
        figures = {
            "accuracy": float(accuracy_score(references, predictions)),
            "f1": float(np.mean(f1)),
        }
        with warnings.catch_warnings():
            # With one class alone the coefficient is 0 by definition; scikit-learn warns of its confusion matrix.
            warnings.filterwarnings("ignore", "A single label was found", UserWarning)
            figures["matthews_correlation"] = float(matthews_corrcoef(references, predictions))
        return figures | _by_label(self.labels, precision, recall, f1)


def _by_label(labels: list[str], precision: np.ndarray, recall: np.ndarray, f1: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_{label}": float(values[position])
        for position, label in enumerate(labels)
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1))
    }


def label_names(config: PreTrainedConfig) -> list[str]:
    """The classes' names, in the order of their ids."""
    names = cast(dict[int, str], config.id2label)
    return [names[position] for position in range(len(names))]


def thresholds_of(config: PreTrainedConfig) -> np.ndarray:
    """The probability from which on each label of a multi-label classifier applies, ``[C]``."""
    # Other models' configurations have no such field.
    thresholds = getattr(config, "thresholds", None)
    return np.full(len(label_names(config)), 0.5) if thresholds is None else np.array(thresholds, dtype=np.float64)


def applying(config: PreTrainedConfig, logits: np.ndarray, thresholds: np.ndarray | None = None) -> np.ndarray:
    """Which labels a multi-label classifier gives each text, ``[N, C]``, by its logits ``[N, C]``.

    Args:
        config: Its configuration.
        logits: Its answers.
        thresholds: ``[C]``. None: those of the configuration.
    """
    return expit(logits) >= (thresholds_of(config) if thresholds is None else thresholds)


def measure(
    config: PreTrainedConfig, logits: np.ndarray, references: np.ndarray, thresholds: np.ndarray | None = None
) -> dict[str, float]:
    """The figures of a model's task.

    Args:
        config: The model's configuration: `problem_type` (None counts as single-label classification) and labels.
        logits: The model's answers, ``[N, C]``.
        references: What is right: class ids ``[N]``, 0s and 1s ``[N, C]``, or values ``[N]`` (several of a
            text, ``[N, C]``, are measured together).
        thresholds: Of multi-label classification, ``[C]``. None: those of the configuration.

    Returns:
        Single-label: those of `ClassificationMetrics`. Multi-label: those of `multi_label_figures`. Regression: those
        of `regression_figures`.
    """
    if config.problem_type == REGRESSION:
        return regression_figures(logits.reshape(-1), references.reshape(-1))
    if config.problem_type == MULTI_LABEL:
        return multi_label_figures(label_names(config), applying(config, logits, thresholds), references)
    return ClassificationMetrics(label_names(config)).compute(
        predictions=logits.argmax(axis=-1), references=references
    )


def multi_label_figures(labels: list[str], predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Accuracy (all labels of a text right), macro and micro F1, and precision, recall and F1 of every label.

    Args:
        labels: The labels' names, in the order of the columns.
        predictions: Which labels were predicted, ``[N, C]``.
        references: Which are right, ``[N, C]``.
    """
    references = references.astype(bool)  # [N, C]
    hits, predicted, right = (which.sum(axis=0) for which in (predictions & references, predictions, references))
    # Like a class, a label that never occurs and is never predicted counts as 0.
    f1 = 2 * hits / np.maximum(predicted + right, 1)  # [C]
    figures = {
        "accuracy": float((predictions == references).all(axis=1).mean()),
        "f1": float(f1.mean()),
        # Not "f1_micro", which is the F1 of a label called "micro".
        "micro_f1": float(2 * hits.sum() / max(predicted.sum() + right.sum(), 1)),
    }
    return figures | _by_label(labels, hits / np.maximum(predicted, 1), hits / np.maximum(right, 1), f1)


def regression_figures(predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Mean squared and mean absolute error, R², and Pearson's and Spearman's correlation; ``[N]`` and ``[N]``.

    Where predictions or references are all the same, the correlations are 0.
    """
    predictions, references = predictions.astype(np.float64), references.astype(np.float64)
    return {
        "mse": float(mean_squared_error(references, predictions)),
        "mae": float(mean_absolute_error(references, predictions)),
        "r2": float(r2_score(references, predictions)) if len(references) > 1 else 0.0,
        "pearson": _correlation(predictions, references),
        "spearman": _correlation(rankdata(predictions), rankdata(references)),
    }


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return 0.0 if np.ptp(one) == 0 or np.ptp(other) == 0 else float(np.corrcoef(one, other)[0, 1])


def tune_thresholds(logits: np.ndarray, references: np.ndarray) -> np.ndarray:
    """For each label the threshold with the highest F1; of several equally good ones that nearest 0.5.

    Every cut halfway between two neighbouring probabilities is tried. Labels that fewer than `FEWEST_TEXTS` texts have
    share the threshold with the highest F1 of all their answers together, or of all labels' where they are as few even
    so: its own would rest on next to nothing, and let the label apply to far too many texts. A label that no text has
    keeps 0.5.

    Args:
        logits: A multi-label classifier's answers, ``[N, C]``.
        references: Which labels are right, as 0s and 1s, ``[N, C]``.

    Returns:
        Thresholds ``[C]``, from 0 to 1.
    """
    texts = references.sum(axis=0)  # [C]
    thresholds = _thresholds(logits, references)
    rare = (texts > 0) & (texts < FEWEST_TEXTS)
    if rare.any():
        pool = rare if texts[rare].sum() >= FEWEST_TEXTS else texts > 0
        thresholds[rare] = _thresholds(logits[:, pool].reshape(-1, 1), references[:, pool].reshape(-1, 1))
    return thresholds


def _thresholds(logits: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The best of each column, ``[C]``."""
    scores = expit(logits.astype(np.float64))  # [N, C]
    order = np.argsort(-scores, axis=0, kind="stable")
    scores = np.take_along_axis(scores, order, axis=0)
    hits = np.take_along_axis(references, order, axis=0).cumsum(axis=0, dtype=np.int64)  # among the first n texts
    predicted = np.arange(1, len(scores) + 1)[:, None]
    f1 = 2 * hits / (predicted + hits[-1])  # [N, C]
    next_lower = np.vstack([scores[1:], np.zeros_like(scores[:1])])
    cuts = (scores + next_lower) / 2  # [N, C]
    f1[:-1][scores[:-1] == scores[1:]] = -1.0  # no threshold parts equals
    distance = np.where(f1 == f1.max(axis=0), np.abs(cuts - 0.5), np.inf)
    best = np.take_along_axis(cuts, distance.argmin(axis=0)[None], axis=0)[0]  # [C]
    return np.where(hits[-1] > 0, best, 0.5)


def logits_of(predictions: Any) -> np.ndarray:
    """A Trainer's predictions without the hidden states that may come with them, ``[N, C]``."""
    return np.asarray(predictions[0] if isinstance(predictions, tuple) else predictions)


def compute_metrics(config: PreTrainedConfig, prediction: EvalPrediction) -> dict[str, float]:
    """The figures of a Trainer's evaluation: `measure`, of logits ``[N, C]``.

    While a multi-label classifier has no thresholds yet, which is so until training is over, its figures are those of
    the thresholds that are the best for this very evaluation.
    """
    logits, references = logits_of(prediction.predictions), np.asarray(prediction.label_ids)
    if config.problem_type == MULTI_LABEL and config.thresholds is None:
        return measure(config, logits, references, tune_thresholds(logits, references))
    return measure(config, logits, references)
