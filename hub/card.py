"""The model card: `model_card.md`, filled in with what a run measured."""

from importlib.resources import files
from pathlib import Path

from glove_bilstm.training.run import TrainingResult
from glove_bilstm.vectors.sources import DEMO
from huggingface_hub import EvalResult, ModelCard, ModelCardData

TASK = "text-classification"
METRICS = {"accuracy": "accuracy", "f1": "f1", "matthews_correlation": "matthews_correlation"}
"""Our names of the metrics that the Hub lists, and the Hub's."""
NOT_METRICS = {"eval_runtime", "eval_samples_per_second", "eval_steps_per_second"}
EXAMPLE = "I didn't expect much, and was wrong."


def make_card(result: TrainingResult, model_id: str) -> ModelCard:
    """Fill in the card of a model that was just trained. Nothing stands in it that the run didn't measure.

    Args:
        result: The run.
        model_id: What to load it by: a folder's path or a Hub id.
    """
    data, _, training = result.arguments
    config = result.model.config
    measured = [split for split in ("eval", "test") if f"{split}_accuracy" in result.metrics]
    split_names = {"eval": "validation", "test": "test"}
    dataset_name = "the bundled demo reviews" if data.dataset == DEMO else Path(str(data.dataset)).name
    card_data = ModelCardData(
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["glove-bilstm", "bilstm", "word-vectors", "text-classification"],
        metrics=list(METRICS.values()),
        model_name=Path(model_id).name,
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=dataset_name,
                dataset_name=dataset_name,
                dataset_split=split_names[split],
                metric_type=theirs,
                metric_value=round(result.metrics[f"{split}_{ours}"], 4),
            )
            for split in measured
            for ours, theirs in METRICS.items()
        ],
    )
    return ModelCard.from_template(
        card_data,
        template_str=(files("glove_bilstm.hub") / "model_card.md").read_text(encoding="utf-8"),
        model_name=Path(model_id).name,
        model_id=model_id,
        size=f"{result.model.get_memory_footprint() / 1e6:.1f} MB",
        labels=result.data.labels,
        example=EXAMPLE,
        results={
            "columns": [split_names[split] for split in measured],
            "rows": [
                [
                    metric.removeprefix("eval_"),
                    *(f"{result.metrics[metric.replace('eval', split, 1)]:.4f}" for split in measured),
                ]
                for metric in result.metrics
                if metric.startswith("eval_") and metric not in NOT_METRICS
            ],
        },
        measured_on=" and ".join(
            f"the {len(result.data.splits[split_names[split]]):,} {split_names[split]} texts" for split in measured
        ),
        dataset=dataset_name,
        split_sizes=", ".join(f"{len(split):,} {name}" for name, split in result.data.splits.items()),
        vectors=config.word_vectors,
        coverage=[
            [name, f"{measure.type_share:.1%}", f"{measure.token_share:.1%}"]
            for name, measure in result.coverage.items()
        ],
        vocabulary=f"{config.vocab_size:,}",
        strategy={"frozen": "frozen: its vectors are those of the file", "finetune": "trained along from the start"}[
            training.embedding_strategy
        ],
        arguments=training,
        steps=f"{result.steps:,}",
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
