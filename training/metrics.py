"""Metrics of a classifier, as an `evaluate` metric that needs no network."""

import warnings
from typing import Any, cast

import datasets
import evaluate
import numpy as np
from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support
from transformers import EvalPrediction, PreTrainedConfig


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
        # A class that never occurs and is never predicted counts as 0, which is what scikit-learn does with a warning.
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
        for position, label in enumerate(self.labels):
            figures[f"precision_{label}"] = float(precision[position])
            figures[f"recall_{label}"] = float(recall[position])
            figures[f"f1_{label}"] = float(f1[position])
        return figures


def label_names(config: PreTrainedConfig) -> list[str]:
    """The classes' names, in the order of their ids."""
    names = cast(dict[int, str], config.id2label)
    return [names[position] for position in range(len(names))]


def compute_metrics(labels: list[str], prediction: EvalPrediction) -> dict[str, float]:
    """The metrics of a Trainer's evaluation: logits ``[N, C]`` against class ids ``[N]``."""
    predictions = np.asarray(prediction.predictions).argmax(axis=-1)
    return ClassificationMetrics(labels).compute(predictions=predictions, references=prediction.label_ids)
