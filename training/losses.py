"""Losses beyond the plain one: class weights, label smoothing, focal loss, R-Drop."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F

from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from glove_bilstm.vectors.errors import InputError


@dataclass(frozen=True)
class TaskLoss:
    """The loss of a batch, for each problem type.

    Attributes:
        problem_type: Class ids are compared by cross-entropy, 0s and 1s by binary cross-entropy, values by their
            squared differences.
        class_weights: Float32 ``[C]``, of each class, or of the positives of each label; see `make_class_weights`.
        label_smoothing: How much of a label is spread evenly over the classes, or over yes and no.
        focal_gamma: Multiplies an item's loss by (1 - its label's probability) to this power, so that what is learned
            already counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002). 0: not.
    """

    problem_type: ProblemType
    class_weights: torch.Tensor | None = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges, and that the parts go together.

        Raises:
            InputError: They don't.
        """
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing must be at least 0 and below 1; it is {self.label_smoothing}.")
        if not 0 <= self.focal_gamma < math.inf:
            raise InputError(f"focal_gamma must be a number of at least 0; it is {self.focal_gamma}.")
        if self.label_smoothing and self.focal_gamma:
            # And a smoothed label has no single probability that the focal loss could go by.
            raise InputError(
                f"label_smoothing {self.label_smoothing} and focal_gamma {self.focal_gamma} work against each other: "
                "one makes sure answers cost more, the other less. Set one of them to 0."
            )
        if self.problem_type == REGRESSION and (
            self.class_weights is not None or self.label_smoothing or self.focal_gamma
        ):
            raise InputError(
                "Class weights, label_smoothing and focal_gamma are for classes, and regression has none. Leave them "
                "out."
            )

    def __call__(
        self, logits: torch.Tensor, labels: torch.Tensor, num_items: int | torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the loss, a scalar in float32 at least.

        Args:
            logits: ``[B, C]``.
            labels: Class ids ``[B]``, 0s and 1s as floats ``[B, C]``, or values ``[B]`` or ``[B, C]``.
            num_items: By what to divide the sum, where the batch is only a part of what a step is taken for: the
                number of labels in all parts, which for multi-label classification are B x C in each. None: by those
                of this batch.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = None if self.class_weights is None else self.class_weights.to(logits)  # [C]
        losses = self._cross_entropy(logits, labels, weights)  # [B] or [B, C]
        if self.focal_gamma:
            improbable = -torch.expm1(-self._cross_entropy(logits, labels))  # 1 - the label's probability
            # At 0 a power below 1 is infinitely steep, and its gradient NaN.
            losses = improbable.clamp_min(torch.finfo(logits.dtype).tiny) ** self.focal_gamma * losses
        return losses.mean() if num_items is None else losses.sum() / num_items

    def disagreement(
        self, one: torch.Tensor, other: torch.Tensor, num_items: int | torch.Tensor | None = None
    ) -> torch.Tensor:
        """How far two passes over a batch are apart: R-Drop's term (Liang et al. 2021), a scalar.

        The mean of the Kullback-Leibler divergences in both directions, between the passes' distributions of each
        item: over the classes, over yes and no of each label, or, for values, normal ones of variance 1.

        Args:
            one: Logits ``[B, C]`` of one pass.
            other: Those of the other.
            num_items: By what to divide the sum; see `__call__`.
        """
        one, other = (logits.to(torch.promote_types(logits.dtype, torch.float32)) for logits in (one, other))
        if self.problem_type == REGRESSION:
            items = (one - other).square() / 2  # [B, C]
        else:
            # Both directions together are the sum of (p - q)(log p - log q).
            if self.problem_type == MULTI_LABEL:
                one, other = (torch.stack([logits, torch.zeros_like(logits)], -1) for logits in (one, other))
            logs = one.log_softmax(-1), other.log_softmax(-1)
            items = ((logs[0].exp() - logs[1].exp()) * (logs[0] - logs[1])).sum(-1) / 2  # [B] or [B, C]
        return items.mean() if num_items is None else items.sum() / num_items

    def _cross_entropy(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss of each item: ``[B]``, or ``[B, C]`` where the labels are; for regression the squared error."""
        if self.problem_type == SINGLE_LABEL:
            return F.cross_entropy(logits, labels, weights, reduction="none", label_smoothing=self.label_smoothing)
        if self.problem_type == MULTI_LABEL:
            smoothed = labels.to(logits) * (1 - self.label_smoothing) + self.label_smoothing / 2  # [B, C]
            return F.binary_cross_entropy_with_logits(logits, smoothed, reduction="none", pos_weight=weights)
        return F.mse_loss(logits.view_as(labels), labels.to(logits), reduction="none")


Balance = Literal["balanced", "balanced_sqrt"]
"""Class weights from the numbers of rows; see `make_class_weights`."""


def parse_class_weights(text: str) -> Mapping[str, float] | Balance:
    """Read class weights as the command line gives them.

    Args:
        text: "balanced", "balanced_sqrt", ``name=weight,name=weight``, or, where a name holds a comma, a JSON object:
            ``{"name": weight}``.

    Raises:
        InputError: It is none of these, a class is named twice, or a weight isn't a number above 0.
    """
    if text in get_args(Balance):
        return cast(Balance, text)
    if text.lstrip().startswith("{"):
        try:
            pairs = json.loads(text, object_pairs_hook=list)
        except ValueError as error:
            raise InputError(f"The class weights {text!r} aren't a JSON object: {error}.") from error
    else:
        pairs = []
        for part in text.split(","):
            name, equals, weight = part.rpartition("=")
            if not equals:
                raise InputError(
                    f"The class weights {text!r} have no '=' in {part!r}. Give 'balanced' or 'balanced_sqrt', or "
                    "'name=weight,name=weight', or, where a name holds a comma, '{\"name\": weight}'."
                )
            pairs.append((name.strip(), weight))
    weights: dict[str, float] = {}
    for name, weight in pairs:
        if name in weights:
            raise InputError(f"The class weights {text!r} name {name!r} twice; each class has one weight.")
        try:
            weights[name] = float(weight)
        except (TypeError, ValueError, OverflowError):
            weights[name] = math.nan
        if not 0 < weights[name] < math.inf:
            raise InputError(f"The class weight of {name!r} must be a finite number above 0; it is {weight!r}.")
    return weights


def make_class_weights(
    given: Mapping[str, float] | Balance,
    names: Sequence[str],
    labels: torch.Tensor,
    problem_type: ProblemType,
) -> torch.Tensor:
    """Make the weights that `TaskLoss` takes.

    For single-label classification their mean over the training labels is 1, so that the loss keeps its size and a
    mean over rows is all that it takes: weighted means of batches don't add up to that of their rows. Balanced, every
    class has the same weight in all, as in scikit-learn. For multi-label classification a weight is that of a label's
    positives; balanced, they have as much of it as its negatives. What has no rows to balance has weight 1.
    "balanced_sqrt" goes half of the way: the square roots of those weights, scaled to the same mean where each row has
    one class.

    Args:
        given: By name, where those not named have weight 1; or how to balance.
        names: The classes' names, in the order of their ids.
        labels: Of the training split: ids ``[N]``, or 0s and 1s ``[N, C]``.
        problem_type: Which of the two.

    Returns:
        Float32 ``[C]``.

    Raises:
        InputError: A class is named that there isn't, or the problem is regression.
    """
    if problem_type == REGRESSION:
        raise InputError("Class weights are for classes, and regression has none. Leave them out.")
    single = problem_type == SINGLE_LABEL
    rows = (torch.bincount(labels, minlength=len(names)) if single else labels.sum(dim=0)).double()  # [C]
    if isinstance(given, str):
        others = len(labels) / (rows > 0).sum().double() if single else len(labels) - rows
        weights = torch.where((rows > 0) & (others > 0), others / rows, 1.0)  # [C]
        if given == "balanced":
            return weights.float()
        return _scaled(weights.sqrt(), rows, single)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(f"There is no class {unknown[0]!r} to give a weight to; there are: {', '.join(names)}.")
    weights = torch.tensor([given.get(name, 1.0) for name in names], dtype=torch.float64)  # [C]
    return _scaled(weights, rows, single)


def _scaled(weights: torch.Tensor, rows: torch.Tensor, single: bool) -> torch.Tensor:
    """Weights ``[C]`` of which the mean over the rows is 1, where each row has one class."""
    return (weights * rows.sum() / (weights * rows).sum() if single else weights).float()
