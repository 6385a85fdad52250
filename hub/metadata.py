"""The head of a model card, which the Hub reads."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from glove_bilstm.hub.assessment import choose_examples
from glove_bilstm.training.run import TrainingResult
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType, figure_text
from glove_bilstm.vectors.sources import DEMO

TASK = "text-classification"
METRICS: dict[ProblemType, dict[str, str]] = {
    SINGLE_LABEL: {"accuracy": "accuracy", "f1": "f1", "matthews_correlation": "matthews_correlation"},
    MULTI_LABEL: {"accuracy": "accuracy", "f1": "f1"},
    REGRESSION: {"mse": "mse", "mae": "mae", "r2": "r_squared", "pearson": "pearsonr", "spearman": "spearmanr"},
}
"""Those of our figures that the Hub knows → its names for them."""
IN_FULL = {"f1": {SINGLE_LABEL: "F1, the mean over the classes", MULTI_LABEL: "F1, the mean over the labels"}}
"""Of figures that the Hub's name doesn't tell all of."""


@dataclass
class CardArguments:
    """What only its maker knows of a model.

    Attributes:
        license: Of the model, as the Hub names it ("apache-2.0", "mit", …). None: the card names none.
        language: Of its texts, by the codes that the Hub uses ("en", "de", …). None: the card names none.
    """

    license: str | None = None
    language: str | None = None

    def metadata(self, **measured: Any) -> ModelCardData:
        """What the Hub reads of a card: this, what every model of the package has, and what a run measured."""
        return ModelCardData(
            license=self.license,
            language=self.language,
            library_name="transformers",
            pipeline_tag=TASK,
            tags=["glove-bilstm", "bilstm", "word-vectors", "text-classification"],
            **measured,
        )

    def head(self) -> str:
        """The head of a card, as far as it is known before the run."""
        return f"---\n{self.metadata().to_yaml()}\n---\n"


def make_metadata(result: TrainingResult, model_id: str, about: CardArguments) -> ModelCardData:
    """Fill in the head of the card of a model that was just trained; its arguments are those of `make_card`."""
    metrics = METRICS[result.data.problem_type]
    dataset, on_the_hub = name_dataset(result.arguments[0].dataset)
    return about.metadata(
        datasets=[dataset] if on_the_hub else None,
        metrics=list(metrics.values()),
        model_name=Path(model_id).name,
        widget=(
            None
            if result.data.are_pairs
            else [{"text": text, "example_title": title} for text, title in choose_examples(result)] or None
        ),
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=dataset,
                dataset_name=dataset,
                dataset_split=split,
                metric_type=hub_name,
                metric_name=IN_FULL.get(metric, {}).get(result.data.problem_type),
                metric_value=float(figure_text(metric, figures[metric])),
            )
            for split, figures in result.figures.items()
            for metric, hub_name in metrics.items()
        ],
    )


def name_dataset(dataset: str | Path) -> tuple[str, bool]:
    """What a card calls a data set, and whether it is one of the Hub's.

    Args:
        dataset: As `load_raw_splits` takes it. Of a folder or file the card tells the name alone: where it lies is
            nobody's business.
    """
    if dataset == DEMO:
        return "the bundled demo reviews", False
    place = Path(dataset).expanduser()
    # "." has no name, and a link's own name tells more than that of what it leads to.
    return (Path(os.path.abspath(place)).name or str(place), False) if place.exists() else (str(dataset), True)
