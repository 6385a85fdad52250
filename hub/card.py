"""The model card: `model_card.md`, filled in with what a run measured."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from glove_bilstm.training.checkpoints import decisive_options
from glove_bilstm.training.metrics import thresholds_of
from glove_bilstm.training.run import TrainingResult
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from glove_bilstm.vectors.drift import Drift
from glove_bilstm.vectors.sources import DEMO

TASK = "text-classification"
METRICS: dict[ProblemType, dict[str, str]] = {
    SINGLE_LABEL: {"accuracy": "accuracy", "f1": "f1", "matthews_correlation": "matthews_correlation"},
    MULTI_LABEL: {"accuracy": "accuracy", "f1": "f1"},
    REGRESSION: {"mse": "mse", "mae": "mae", "r2": "r_squared", "pearson": "pearsonr", "spearman": "spearmanr"},
}
"""Those of our figures that the Hub knows → its names for them."""
FIGURES_SAY = {
    SINGLE_LABEL: "",
    MULTI_LABEL: "`accuracy` is the share of texts with all labels right, `f1` the mean over the labels.",
    REGRESSION: "The loss is that of standardised targets.",
}
EXAMPLE = "I didn't expect much, and was wrong."
SECOND = "I expected little."


def make_card(result: TrainingResult, model_id: str) -> ModelCard:
    """Fill in the card of a model that was just trained. Nothing stands in it that the run didn't measure.

    Args:
        result: The run.
        model_id: What to load it by: the folder's name (never its path, which is nobody's business) or a Hub id.
    """
    data, _, training = result.arguments
    config = result.model.config
    problem_type = result.data.problem_type
    metrics = METRICS[problem_type]
    dataset_name = "the bundled demo reviews" if data.dataset == DEMO else Path(str(data.dataset)).name
    card_data = ModelCardData(
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["glove-bilstm", "bilstm", "word-vectors", "text-classification"],
        metrics=list(metrics.values()),
        model_name=Path(model_id).name,
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=dataset_name,
                dataset_name=dataset_name,
                dataset_split=split,
                metric_type=hub_name,
                metric_value=float(_figure(metric, figures[metric])),
            )
            for split, figures in result.figures.items()
            for metric, hub_name in metrics.items()
        ],
    )
    return ModelCard.from_template(
        card_data,
        template_str=(files("glove_bilstm.hub") / "model_card.md").read_text(encoding="utf-8"),
        model_name=Path(model_id).name,
        model_id=model_id,
        size=f"{result.model.get_memory_footprint() / 1e6:.2g} MB",
        problem_type=problem_type,
        labels=[_cell(label) for label in result.data.labels],
        thresholds=(
            [f"{threshold:.4f}" for threshold in thresholds_of(config)] if problem_type == MULTI_LABEL else None
        ),
        target=f"mean {config.target_mean:.6g} and standard deviation {config.target_std:.6g}",
        pairs=result.data.are_pairs,
        example=json.dumps({"text": EXAMPLE, "text_pair": SECOND}) if result.data.are_pairs else json.dumps(EXAMPLE),
        figures_say=FIGURES_SAY[problem_type],
        results={
            "columns": list(result.figures),
            "rows": [
                [_cell(metric), *(_figure(metric, figures[metric]) for figures in result.figures.values())]
                for metric in result.figures["validation"]
            ],
        },
        measured_on=" and ".join(f"the {len(result.data.splits[split]):,} {split} texts" for split in result.figures),
        dataset=dataset_name,
        split_sizes=", ".join(f"{len(split):,} {name}" for name, split in result.data.splits.items()),
        vectors=config.word_vectors,
        coverage=[
            [
                name,
                f"{measure.type_share:.1%}",
                f"{measure.token_share:.1%}",
                *(f"{share:.1%}" for way, share in measure.shares(by_token=True).items() if way != "missing"),
            ]
            for name, measure in result.coverage.items()
        ],
        vocabulary=f"{config.vocab_size:,}",
        strategy=result.strategy,
        arguments=training.to_dict(),
        step_size=training.train_batch_size * training.gradient_accumulation_steps * training.world_size,
        steps=f"{result.steps:,}",
        best_step=None if result.best_step is None else f"{result.best_step:,}",
        options={
            name: value
            for name, value in {"max_length": data.max_length, **decisive_options(training)}.items()
            if value not in (None, False, {})
        },
        drift=None if result.drift is None else _drift(result.drift),
        architecture={
            name: getattr(config, name)
            for name in (
                "embedding_dim",
                "hidden_size",
                "num_hidden_layers",
                "pooling",
                "embedding_dropout",
                "lstm_dropout",
                "classifier_dropout",
            )
        },
    )


def name_after_repository(card: str, repo_id: str) -> str:
    """A card whose title and example name the repository rather than the folder that the model was trained in."""
    example = re.search(r'model="([^"\n]+)"', card)
    if example is None:
        return card
    title = re.compile(rf"^# {re.escape(Path(example[1]).name)}$", re.MULTILINE)
    renamed = card.replace(f'"{example[1]}"', f'"{repo_id}"')
    return title.sub(lambda _: f"# {Path(repo_id).name}", renamed, count=1)


def _figure(name: str, value: float) -> str:
    """A figure as the card shows it; errors are in the target's own units, which may be small."""
    return f"{value:.6g}" if name in ("mse", "mae") else f"{value:.4f}"


def _cell(text: str) -> str:
    """A label as a cell of a Markdown table can hold it."""
    return " ".join(text.split()).replace("|", "\\|")


def _drift(drift: Drift) -> dict[str, Any]:
    """How far the word vectors moved, in words and as rows of tables."""
    return {
        "summary": str(drift),
        "bands": [[name, f"{band.words:,}", f"{band.mean_distance:.3g}"] for name, band in drift.by_count.items()],
        "words": [
            [
                _word(moved.word),
                "" if moved.count is None else f"{moved.count:,}",
                f"{moved.distance:.3g}",
                "" if moved.cosine is None else f"{moved.cosine:.3f}",
                " · ".join(map(_word, moved.nearest_before)),
                " · ".join(map(_word, moved.nearest_after)),
            ]
            for moved in drift.most_moved
        ],
    }


def _word(word: str) -> str:
    """A word as a cell of a Markdown table shows it, such as "*", "`" or "<br>"."""
    return re.sub(r"[\\`*_~<>\[\]|&$]", r"\\\g<0>", word)
