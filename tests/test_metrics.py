from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, classification_report, f1_score
from transformers import EvalPrediction

from glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.training.metrics import (
    ClassificationMetrics,
    compute_metrics,
    measure,
    multi_label_figures,
    regression_figures,
    tune_thresholds,
)
from glove_bilstm.training.tasks import is_better_when_greater


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


class TestMultiLabel:
    def test_against_scikit_learn(self) -> None:
        generator = np.random.default_rng(0)
        references, predictions = generator.random((2, 99, 3)) < 0.3
        labels = ["x", "y", "a, b"]
        figures = multi_label_figures(labels, predictions, references.astype(float))
        report = classification_report(references, predictions, target_names=labels, output_dict=True, zero_division=0)
        assert figures["accuracy"] == pytest.approx(accuracy_score(references, predictions))
        assert figures["f1"] == pytest.approx(report["macro avg"]["f1-score"])
        assert figures["micro_f1"] == pytest.approx(report["micro avg"]["f1-score"])
        for label in labels:
            for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                assert figures[f"{ours}_{label}"] == pytest.approx(report[label][theirs])

    def test_odd_labels(self) -> None:
        """One label alone; one that never occurs; one called as a figure is."""
        one = multi_label_figures(["x"], np.array([[True], [False], [True]]), np.array([[1], [0], [0]]))
        assert one["accuracy"] == pytest.approx(2 / 3) and one["f1"] == one["f1_x"] == pytest.approx(2 / 3)
        nothing = np.zeros((2, 2), dtype=bool)
        assert multi_label_figures(["x", "y"], nothing, nothing)["micro_f1"] == 0.0
        some = np.array([[True, False], [False, False]])
        figures = multi_label_figures(["x", "micro"], some, some)
        assert figures["micro_f1"] == 1.0 and figures["f1"] == 0.5 and figures["f1_micro"] == 0.0

    def test_thresholds_of_the_configuration_decide(self) -> None:
        config = GloveBiLSTMConfig(num_labels=2, problem_type="multi_label_classification")
        logits, references = np.array([[0.0, -1.0], [0.1, 1.0]]), np.array([[1, 0], [1, 1]])
        assert measure(config, logits, references)["accuracy"] == 1.0  # at or above 0.5
        config.thresholds = [0.51, 0.2]
        assert measure(config, logits, references)["accuracy"] == 0.5


class TestThresholds:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 29), st.booleans())
    def test_none_is_better(self, seed: int, texts: int, with_ties: bool) -> None:
        generator = np.random.default_rng(seed)
        logits = generator.normal(size=(texts, 3)).astype(np.float32)
        if with_ties:
            logits = logits.round()
        references = generator.random((texts, 3)) < 0.4
        thresholds = tune_thresholds(logits, references)
        scores = expit(logits.astype(np.float64))
        assert ((thresholds >= 0) & (thresholds <= 1)).all()
        rare = (references.sum(axis=0) < 5) & references.any(axis=0)
        # Those with few texts share one threshold, among themselves if that makes enough.
        pool = rare if references[:, rare].sum() >= 5 else references.any(axis=0)
        for label in range(3):
            of_label = pool if rare[label] else np.arange(3) == label
            right, score = references[:, of_label].ravel(), scores[:, of_label].ravel()
            cuts = np.array([(low + high) / 2 for low, high in pairwise(np.unique([0.0, *score]))])
            f1 = np.array([f1_score(right, score >= cut, zero_division=0) for cut in cuts])
            if right.any():
                best = cuts[f1 > f1.max() - 1e-9]
                assert thresholds[label] == pytest.approx(best[np.abs(best - 0.5).argmin()]), label
            else:
                assert thresholds[label] == 0.5

    def test_a_label_of_one_text_does_not_apply_to_most(self) -> None:
        generator = np.random.default_rng(0)
        logits, references = generator.normal(size=(999, 2)), np.zeros((999, 2), dtype=int)
        references[logits[:, 0] > 0, 0] = 1
        references[np.argsort(logits[:, 1])[300], 1] = 1  # its one text is nowhere near the top
        first, second = tune_thresholds(logits, references)
        assert 0.45 < first < 0.55 and (expit(logits[:, 1]) >= second).mean() < 0.6

    def test_extreme_logits(self) -> None:
        logits = np.array([[1e4, -1e4], [-1e4, -1e4]] * 5, dtype=np.float32)
        assert tune_thresholds(logits, np.array([[1, 1], [0, 1]] * 5)).tolist() == [0.5, 0.0]

    def test_an_evaluation_without_thresholds_tunes_its_own(self) -> None:
        config = GloveBiLSTMConfig(num_labels=1, problem_type="multi_label_classification")
        evaluation = EvalPrediction(np.array([[-3.0], [-2.0], [-1.0]]), np.array([[0.0], [1.0], [1.0]]))
        assert compute_metrics(config, evaluation)["f1"] == 1.0 and config.thresholds is None
        config.thresholds = [0.5]
        assert compute_metrics(config, evaluation)["f1"] == 0.0


class TestRegression:
    def test_against_scipy(self) -> None:
        references, predictions = np.random.default_rng(0).normal(size=(2, 99))
        figures = regression_figures(predictions, references)
        assert figures["pearson"] == pytest.approx(pearsonr(predictions, references).statistic)
        assert figures["spearman"] == pytest.approx(spearmanr(predictions, references).statistic)
        assert figures["mse"] == pytest.approx(((predictions - references) ** 2).mean())
        assert figures["mae"] == pytest.approx(np.abs(predictions - references).mean())
        assert figures["r2"] == pytest.approx(1 - figures["mse"] / references.var())

    @pytest.mark.parametrize(
        ("predictions", "references"), [([2, 2, 2], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([1], [2])]
    )
    def test_where_nothing_varies(self, predictions: list, references: list) -> None:
        figures = regression_figures(np.array(predictions, dtype=np.float32), np.array(references))
        assert figures["pearson"] == figures["spearman"] == figures["r2"] == 0.0


@pytest.mark.parametrize(
    ("metric", "greater"),
    [("loss", False), ("eval_loss", False), ("mse", False), ("eval_mae", False), ("eval_other_loss", False)]
    + [("r2", True), ("f1_loss", True)],
)
def test_which_metric_had_better_be_small(metric: str, greater: bool) -> None:
    assert is_better_when_greater(metric) == greater
