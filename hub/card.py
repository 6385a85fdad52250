"""The model card: `model_card.md`, filled in with what a run measured."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from glove_bilstm.training.run import TrainingResult
from glove_bilstm.vectors.drift import Drift
from glove_bilstm.vectors.sources import DEMO

TASK = "text-classification"
METRICS = ["accuracy", "f1", "matthews_correlation"]
"""Those of our figures that the Hub knows, by its names for them."""
EXAMPLE = "I didn't expect much, and was wrong."


def make_card(result: TrainingResult, model_id: str) -> ModelCard:
    """Fill in the card of a model that was just trained. Nothing stands in it that the run didn't measure.

    Args:
        result: The run.
        model_id: What to load it by: the folder's name (never its path, which is nobody's business) or a Hub id.
    """
    data, _, training = result.arguments
    config = result.model.config
    dataset_name = "the bundled demo reviews" if data.dataset == DEMO else Path(str(data.dataset)).name
    card_data = ModelCardData(
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["glove-bilstm", "bilstm", "word-vectors", "text-classification"],
        metrics=METRICS,
        model_name=Path(model_id).name,
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=dataset_name,
                dataset_name=dataset_name,
                dataset_split=split,
                metric_type=metric,
                metric_value=round(figures[metric], 4),
            )
            for split, figures in result.figures.items()
            for metric in METRICS
        ],
    )
    return ModelCard.from_template(
        card_data,
        template_str=(files("glove_bilstm.hub") / "model_card.md").read_text(encoding="utf-8"),
        model_name=Path(model_id).name,
        model_id=model_id,
        size=f"{result.model.get_memory_footprint() / 1e6:.2g} MB",
        labels=[_cell(label) for label in result.data.labels],
        example=EXAMPLE,
        results={
            "columns": list(result.figures),
            "rows": [
                [_cell(metric), *(f"{figures[metric]:.4f}" for figures in result.figures.values())]
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
        steps=f"{result.steps:,}",
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
