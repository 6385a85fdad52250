"""The three tasks, under transformers' names for them (`config.problem_type`)."""

from typing import Literal, get_args

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEM_TYPES: tuple[ProblemType, ...] = get_args(ProblemType)
SINGLE_LABEL, MULTI_LABEL, REGRESSION = PROBLEM_TYPES

BEST_METRIC = {SINGLE_LABEL: "accuracy", MULTI_LABEL: "f1", REGRESSION: "r2"}
"""What says which checkpoint is the best, unless told otherwise."""


def is_better_when_greater(metric: str) -> bool:
    """Whether a metric, with or without "eval_" in front, is one of which more is better."""
    name = metric.removeprefix("eval_")
    of_a_class = name.startswith(("precision_", "recall_", "f1_"))  # which may be called "loss"
    return of_a_class or not name.endswith(("loss", "mse", "mae"))


def figure_text(metric: str, value: float) -> str:
    """A figure as tables show it; errors are in the target's own units, which may be small."""
    return f"{value:.6g}" if metric in ("mse", "mae") else f"{value:.4f}"
