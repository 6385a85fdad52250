"""Class weights, label smoothing, focal loss."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from glove_bilstm.training.losses import TaskLoss, make_class_weights, parse_class_weights
from glove_bilstm.vectors.errors import InputError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
BATCH, CLASSES = 13, 5
WEIGHTS = torch.tensor([0.25, 0.5, 1.0, 2.0, 8.0])
OPTIONS: list[dict[str, Any]] = [
    {**weights, **other}
    for weights, other in itertools.product(
        ({}, {"class_weights": WEIGHTS}),
        ({}, {"label_smoothing": 0.1}, {"focal_gamma": 0.5}, {"focal_gamma": 2}),
    )
]


def make_batch(problem_type: str, seed: int = 0, rows: int = BATCH) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``[rows, CLASSES]`` (of a regression ``[rows, 1]``) and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, CLASSES, generator=generator)
    if problem_type == SINGLE:
        return logits, torch.randint(CLASSES, (rows,), generator=generator)
    if problem_type == MULTI:
        return logits, (torch.rand(rows, CLASSES, generator=generator) < 0.3).float()
    return logits[:, :1], torch.randn(rows, generator=generator)


def by_hand(problem_type: str, logits: torch.Tensor, labels: torch.Tensor, options: dict[str, Any]) -> float:
    """The loss from its definition, one item after the other, in Python's floats."""
    weights = options.get("class_weights", torch.ones(CLASSES)).tolist()
    smoothing, gamma = options.get("label_smoothing", 0), options.get("focal_gamma", 0)
    losses = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        if problem_type == SINGLE:
            total = sum(map(math.exp, row))
            p = [math.exp(logit) / total for logit in row]
            targets = [(1 - smoothing) * (label == c) + smoothing / CLASSES for c in range(CLASSES)]
            entropy = sum(-w * t * math.log(q) for w, t, q in zip(weights, targets, p, strict=True))
            losses.append((1 - p[label]) ** gamma * entropy)
        else:
            for logit, y, weight in zip(row, label, weights, strict=True):
                p_yes = 1 / (1 + math.exp(-logit))
                target = y * (1 - smoothing) + smoothing / 2
                entropy = -weight * target * math.log(p_yes) - (1 - target) * math.log(1 - p_yes)
                losses.append((1 - (p_yes if y else 1 - p_yes)) ** gamma * entropy)
    return sum(losses) / len(losses)


class TestTaskLoss:
    @pytest.mark.parametrize("options", OPTIONS)
    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
    def test_from_the_definition(self, problem_type: Any, options: dict[str, Any]) -> None:
        logits, labels = make_batch(problem_type)
        loss = TaskLoss(problem_type, **options)(logits, labels)
        assert loss.shape == () and loss.dtype == torch.float32
        assert loss.item() == pytest.approx(by_hand(problem_type, logits, labels, options), rel=1e-5)

    def test_against_torch(self) -> None:
        logits, labels = make_batch(SINGLE)
        assert TaskLoss(SINGLE)(logits, labels).item() == pytest.approx(F.cross_entropy(logits, labels).item())
        smoothed = F.cross_entropy(logits, labels, label_smoothing=0.1)
        assert TaskLoss(SINGLE, label_smoothing=0.1)(logits, labels).item() == pytest.approx(smoothed.item())
        logits, labels = make_batch(MULTI)
        assert torch.equal(TaskLoss(MULTI)(logits, labels), F.binary_cross_entropy_with_logits(logits, labels))
        weighted = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=WEIGHTS)
        assert torch.equal(TaskLoss(MULTI, WEIGHTS)(logits, labels), weighted)
        logits, labels = make_batch(REGRESSION)
        assert torch.equal(TaskLoss(REGRESSION)(logits, labels), F.mse_loss(logits.squeeze(1), labels))

    def test_regression_of_several_values(self) -> None:
        logits, labels = make_batch(MULTI)
        assert torch.equal(TaskLoss(REGRESSION)(logits, labels), F.mse_loss(logits, labels))
        with pytest.raises(RuntimeError):  # rather than each value against each other one
            TaskLoss(REGRESSION)(logits, labels[:, 0])

    @pytest.mark.parametrize("options", [{}, {"class_weights": WEIGHTS}])
    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
    def test_a_focal_loss_without_power_is_none(self, problem_type: Any, options: dict[str, Any]) -> None:
        logits, labels = make_batch(problem_type)
        plain = TaskLoss(problem_type, **options)(logits, labels)
        assert torch.equal(TaskLoss(problem_type, focal_gamma=0.0, **options)(logits, labels), plain)

    @pytest.mark.parametrize("options", OPTIONS)
    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
    def test_parts_of_a_batch_add_up(self, problem_type: Any, options: dict[str, Any]) -> None:
        logits, labels = make_batch(problem_type)
        loss = TaskLoss(problem_type, **options)
        whole = loss(logits, labels)
        for count in (labels.numel(), torch.tensor(labels.numel())):
            parts = [loss(*part, num_items=count) for part in ((logits[:4], labels[:4]), (logits[4:], labels[4:]))]
            assert parts[0].shape == ()
            assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-6)

    def test_parts_of_a_regression_add_up(self) -> None:
        logits, labels = make_batch(REGRESSION)
        loss = TaskLoss(REGRESSION)
        parts = loss(logits[:4], labels[:4], BATCH) + loss(logits[4:], labels[4:], BATCH)
        assert parts.item() == pytest.approx(loss(logits, labels).item(), rel=1e-6)

    @pytest.mark.parametrize("options", OPTIONS)
    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
    def test_gradients(self, problem_type: Any, options: dict[str, Any]) -> None:
        logits, labels = make_batch(problem_type)
        loss = TaskLoss(problem_type, **options)
        logits = logits.double().requires_grad_()
        assert loss(logits, labels).dtype == torch.float64
        assert torch.autograd.gradcheck(lambda x: loss(x, labels), logits)

    @pytest.mark.parametrize("options", OPTIONS)
    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_extreme_logits(self, problem_type: Any, options: dict[str, Any], dtype: torch.dtype) -> None:
        """Sure and right, sure and wrong, and in between: finite losses, and gradients that point the right way."""
        values = torch.tensor([-1e4, -100, -17, 0, 17, 100, 1e4], dtype=dtype)
        logits = torch.zeros(2 * len(values), CLASSES, dtype=dtype)
        logits[:, 1] = values.repeat(2)
        classes = torch.tensor([1, 3]).repeat_interleave(len(values))
        labels = classes if problem_type == SINGLE else F.one_hot(classes, CLASSES).float()
        logits.requires_grad_()
        loss = TaskLoss(problem_type, **options)(logits, labels)
        loss.backward()
        assert loss.dtype == torch.float32 and loss.isfinite() and loss > 0
        assert logits.grad.dtype == dtype and logits.grad.isfinite().all()
        if "label_smoothing" not in options:
            assert (logits.grad[: len(values), 1] <= 0).all() and (logits.grad[len(values) :, 1] >= 0).all()
            assert logits.grad[0, 1] < 0 and logits.grad[-1, 1] > 0

    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
    @pytest.mark.parametrize("gamma", [0.01, 0.5, 1, 2])
    def test_focal_gradient_where_nothing_is_left_to_learn(self, problem_type: Any, gamma: float) -> None:
        logits = torch.full((3, CLASSES), -1e4)
        logits[:, 2] = 1e4
        labels = torch.full((3,), 2) if problem_type == SINGLE else (logits > 0).float()
        logits.requires_grad_()
        loss = TaskLoss(problem_type, focal_gamma=gamma)(logits, labels)
        loss.backward()
        assert loss == 0 and not logits.grad.any()

    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
    def test_half_precision_loses_nothing_of_the_logits(self, problem_type: Any) -> None:
        logits, labels = make_batch(problem_type)
        half = logits.bfloat16()
        assert torch.equal(TaskLoss(problem_type)(half, labels), TaskLoss(problem_type)(half.float(), labels))

    @pytest.mark.parametrize(
        ("problem_type", "options", "message"),
        [
            (SINGLE, {"label_smoothing": 1}, "label_smoothing must be at least 0 and below 1; it is 1."),
            (MULTI, {"label_smoothing": -0.1}, "label_smoothing must be"),
            (SINGLE, {"label_smoothing": math.nan}, "label_smoothing must be"),
            (SINGLE, {"focal_gamma": -1}, "focal_gamma must be a number of at least 0; it is -1."),
            (SINGLE, {"focal_gamma": math.inf}, "focal_gamma must be"),
            (SINGLE, {"label_smoothing": 0.1, "focal_gamma": 2}, "work against each other.*Set one of them to 0"),
            (REGRESSION, {"label_smoothing": 0.1}, "regression has none. Leave them out"),
            (REGRESSION, {"focal_gamma": 2}, "regression has none"),
            (REGRESSION, {"class_weights": WEIGHTS}, "regression has none"),
        ],
    )
    def test_what_makes_no_sense(self, problem_type: Any, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            TaskLoss(problem_type, **options)


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "weights"),
        [
            ("balanced", "balanced"),
            ("balanced_sqrt", "balanced_sqrt"),
            ("pos=2,neg=0.5", {"pos": 2, "neg": 0.5}),
            (" pos = 2 , neg=1e-3 ", {"pos": 2, "neg": 0.001}),
            ("balanced=3", {"balanced": 3}),
            ("a=b=2", {"a=b": 2}),
            ("=2", {"": 2}),
            ('{"a, b": 2, "c=1": 0.5}', {"a, b": 2, "c=1": 0.5}),
            (' {"{": 1}', {"{": 1}),
            ("{}", {}),
        ],
    )
    def test_forms(self, text: str, weights: Any) -> None:
        assert parse_class_weights(text) == weights

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "have no '=' in ''. Give 'balanced' or"),
            ("Balanced", "have no '=' in 'Balanced'"),
            ("pos=2,", "have no '=' in ''"),
            ("a, b=2", "have no '=' in 'a'"),
            ("pos=2,pos=3", "name 'pos' twice; each class has one weight"),
            ('{"pos": 2, "pos": 3}', "name 'pos' twice"),
            ("pos=two", "class weight of 'pos' must be a finite number above 0; it is 'two'"),
            ("pos=", "it is ''"),
            ("pos=0", "it is '0'"),
            ("pos=-1", "it is '-1'"),
            ("pos=nan", "it is 'nan'"),
            ("pos=inf", "it is 'inf'"),
            ('{"pos": NaN}', "it is nan"),
            ('{"pos": 1e999}', "it is inf"),
            ('{"pos": 1' + 400 * "0" + "}", "it is 1000"),
            ('{"pos": [2]}', r"it is \[2\]"),
            ('{"pos": null}', "it is None"),
            ('{"pos": 2', "aren't a JSON object: Expecting"),
            ("{pos: 2}", "aren't a JSON object"),
            ('{"pos": 2} x', "aren't a JSON object"),
        ],
    )
    def test_errors(self, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            parse_class_weights(text)


class TestClassWeights:
    names = [f"class {number}" for number in range(CLASSES)]

    @given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=99), st.booleans())
    @settings(max_examples=50, deadline=None)
    def test_their_mean_over_the_training_labels_is_one(self, ids: list[int], balanced: bool) -> None:
        labels = torch.tensor(ids)
        weights = make_class_weights(
            "balanced" if balanced else {"class 1": 7.0, "class 4": 0.1}, self.names, labels, SINGLE
        )
        assert weights.shape == (CLASSES,) and weights.dtype == torch.float32
        assert weights.isfinite().all() and (weights > 0).all()
        assert weights[labels].mean().item() == pytest.approx(1, rel=1e-5)
        if balanced:
            present = sorted(set(ids))
            expected = compute_class_weight("balanced", classes=np.array(present), y=np.array(ids))
            assert weights[present].tolist() == pytest.approx(expected, rel=1e-5)
            assert all(weights[row] == 1 for row in range(CLASSES) if row not in present)
        else:
            assert (weights / weights[0]).tolist() == pytest.approx([1, 7, 1, 1, 0.1], rel=1e-5)

    def test_half_of_the_way(self) -> None:
        labels = torch.tensor([0] * 9 + [1] * 4)
        weights = make_class_weights("balanced_sqrt", ["often", "seldom"], labels, SINGLE)
        assert weights[1] / weights[0] == pytest.approx(9**0.5 / 4**0.5)
        assert weights[labels].mean() == pytest.approx(1)

    def test_the_weighted_loss_is_torchs_over_all_rows(self) -> None:
        """A mean of its own over each batch would be another; that of the whole training split is the same."""
        logits, labels = make_batch(SINGLE, rows=99)
        weights = make_class_weights("balanced", self.names, labels, SINGLE)
        expected = F.cross_entropy(logits, labels, weights)
        assert TaskLoss(SINGLE, weights)(logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)

    def test_multi_label(self) -> None:
        labels = torch.tensor([[1, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]).float()
        weights = make_class_weights("balanced", self.names, labels, MULTI)
        assert weights.dtype == torch.float32
        # Of the second label there are no positives, of the fourth no negatives.
        assert weights.tolist() == [3, 1, 3, 1, pytest.approx(1 / 3)]
        half = make_class_weights("balanced_sqrt", self.names, labels, MULTI)
        assert half.tolist() == pytest.approx([3**0.5, 1, 3**0.5, 1, 3**-0.5])
        assert make_class_weights({"class 1": 7}, self.names, labels, MULTI).tolist() == [1, 7, 1, 1, 1]

    def test_classes_that_there_are_not(self) -> None:
        _, labels = make_batch(SINGLE)
        with pytest.raises(InputError, match="no class 'class 9' to give a weight to; there are: class 0, class 1, "):
            make_class_weights({"class 1": 2, "class 9": 2}, self.names, labels, SINGLE)

    @pytest.mark.parametrize("given_weights", ["balanced", "balanced_sqrt", {"class 1": 2.0}])
    def test_not_for_regression(self, given_weights: Any) -> None:
        with pytest.raises(InputError, match="regression has none. Leave them out"):
            make_class_weights(given_weights, ["value"], torch.randn(13), REGRESSION)


class TestDisagreement:
    @pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
    def test_is_the_mean_divergence_of_both_directions(self, problem_type: str) -> None:
        one, other = make_batch(problem_type, 1)[0], make_batch(problem_type, 2)[0]
        if problem_type == SINGLE:
            distributions = [Categorical(logits=logits) for logits in (one, other)]
        elif problem_type == MULTI:
            distributions = [Bernoulli(logits=logits) for logits in (one, other)]
        else:
            distributions = [Normal(logits, 1.0) for logits in (one, other)]
        both = kl_divergence(*distributions) + kl_divergence(*reversed(distributions))  # [B] or [B, C]
        loss = TaskLoss(problem_type)
        assert loss.disagreement(one, other) == pytest.approx(float(both.mean()) / 2, rel=1e-4)
        assert loss.disagreement(one, other, 2) == pytest.approx(float(both.sum()) / 4, rel=1e-4)
        assert loss.disagreement(one, one) == 0
        assert torch.isfinite(loss.disagreement(1e4 * one, -1e4 * one))
