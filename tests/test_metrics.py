import numpy as np
import pytest
from sklearn.metrics import classification_report

from glove_bilstm.training.metrics import ClassificationMetrics


class TestMetrics:
    def test_against_scikit_learn(self) -> None:
        generator = np.random.default_rng(0)
        references, predictions = generator.integers(0, 3, (2, 99))
        labels = ["x", "y", "z"]
        figures = ClassificationMetrics(labels).compute(predictions=predictions, references=references)
        report = classification_report(references, predictions, target_names=labels, output_dict=True)
        assert figures["accuracy"] == pytest.approx(report["accuracy"])
        assert figures["f1"] == pytest.approx(report["macro avg"]["f1-score"])
        binary = ClassificationMetrics(["x", "y"]).compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
        assert binary["matthews_correlation"] == pytest.approx(np.corrcoef([0, 1, 1, 0], [0, 1, 0, 0])[0, 1])
        for label in labels:
            for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                assert figures[f"{ours}_{label}"] == pytest.approx(report[label][theirs])

    def test_a_class_that_never_occurs(self) -> None:
        figures = ClassificationMetrics(["x", "y", "z"]).compute(predictions=[0, 1], references=[0, 1])
        assert figures["accuracy"] == 1.0 and figures["f1_z"] == 0.0

    def test_is_an_evaluate_metric(self) -> None:
        metric = ClassificationMetrics(["x", "y"])
        metric.add_batch(predictions=[0, 1], references=[0, 0])
        metric.add_batch(predictions=[1], references=[1])
        assert metric.compute()["accuracy"] == pytest.approx(2 / 3)
