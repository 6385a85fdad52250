"""The model card: `model_card.md`, filled in with what a run measured."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from glove_bilstm.hub.assessment import (
    TIMED,
    calibrate,
    choose_examples,
    count_confusions,
    find_worst_answers,
    time_model,
)
from glove_bilstm.hub.pictures import MOST_LABELS, draw_confusions, draw_reliability, draw_values
from glove_bilstm.training.arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.training.checkpoints import decisive_options
from glove_bilstm.training.metrics import thresholds_of
from glove_bilstm.training.run import TrainingResult
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from glove_bilstm.vectors.drift import Drift
from glove_bilstm.vectors.named_sets import NAMED_SETS
from glove_bilstm.vectors.sources import DEMO

TASK = "text-classification"
METRICS: dict[ProblemType, dict[str, str]] = {
    SINGLE_LABEL: {"accuracy": "accuracy", "f1": "f1", "matthews_correlation": "matthews_correlation"},
    MULTI_LABEL: {"accuracy": "accuracy", "f1": "f1"},
    REGRESSION: {"mse": "mse", "mae": "mae", "r2": "r_squared", "pearson": "pearsonr", "spearman": "spearmanr"},
}
"""Those of our figures that the Hub knows → its names for them."""
FIGURES_SAY = {
    SINGLE_LABEL: "`f1` is the mean over the classes.",
    MULTI_LABEL: "`accuracy` is the share of texts with all labels right, `f1` the mean over the labels.",
    REGRESSION: "The loss is that of standardised targets.",
}
IN_FULL = {"f1": {SINGLE_LABEL: "F1, the mean over the classes", MULTI_LABEL: "F1, the mean over the labels"}}
"""Of figures that the Hub's name doesn't tell all of."""
KINDS = ("precision", "recall", "f1")
RELIABILITY, CONFUSIONS, VALUES = PICTURES = ("reliability.png", "confusion_matrix.png", "predictions.png")
VOCABULARY = ("min_frequency", "min_frequency_without_vector", "max_vocabulary", "extra_words", "oov")
ARCHITECTURE = (
    *("embedding_dim", "hidden_size", "num_hidden_layers", "bidirectional", "pooling"),
    *("embedding_dropout", "lstm_dropout", "classifier_dropout"),
)
LONGEST_TEXT = 300
"""Characters of a text that is shown."""
MEASURED_ON = re.compile(r"^<!-- Measured on weights with the SHA-256: ([0-9a-f]{64}) -->$", re.MULTILINE)
"""The last line of a card, which no reader sees."""
EXAMPLE = "I didn't expect much, and was wrong."
SECOND = "I expected little."


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


def make_card(
    result: TrainingResult, model_id: str, about: CardArguments, pictures: Collection[str] = ()
) -> ModelCard:
    """Fill in the card of a model that was just trained. Nothing stands in it that the run didn't measure.

    Args:
        result: The run.
        model_id: What to load it by: the folder's name (never its path, which is nobody's business) or a Hub id.
        about: What the run can't know.
        pictures: The files that `draw_pictures` made beside the card.
    """
    data, model, training = result.arguments
    config = result.model.config
    problem_type = result.data.problem_type
    vectors = cast(dict[str, Any], config.word_vectors)
    known = NAMED_SETS.get(vectors["name"])
    epochs, told_epochs = result.metrics["epoch"], training.num_train_epochs
    embedding_share = result.model.get_input_embeddings().weight.numel() / result.model.num_parameters()
    return ModelCard.from_template(
        _metadata(result, model_id, about),
        template_str=(files("glove_bilstm.hub") / "model_card.md").read_text(encoding="utf-8"),
        version=version("glove-bilstm"),
        model_name=Path(model_id).name,
        model_id=model_id,
        size=f"{_two_digits(result.model.get_memory_footprint() / 1e6)} MB",
        parameters=f"{result.model.num_parameters():,}",
        embedding_share="more than 99%" if 0.995 <= embedding_share else f"{embedding_share:.0%}",
        problem_type=problem_type,
        labels=[_cell(label) for label in result.data.labels],
        target=f"mean {config.target_mean:.6g} and standard deviation {config.target_std:.6g}",
        pairs=result.data.are_pairs,
        example=json.dumps({"text": EXAMPLE, "text_pair": SECOND}) if result.data.are_pairs else json.dumps(EXAMPLE),
        figures_say=" ".join(filter(None, (FIGURES_SAY[problem_type], _loss_says(training)))),
        measured_on=" and ".join(f"the {len(result.data.splits[split]):,} {split} texts" for split in result.figures),
        **_results(result),
        pictures=pictures,
        speed=_speed(result),
        dataset=_dataset_name(result),
        validation_share=None if result.data.own_validation else f"{100 * data.validation_share:g}%",
        split_sizes=", ".join(f"{len(split):,} {name}" for name, split in result.data.splits.items()),
        vectors=vectors,
        vectors_paper=known.archive.paper if known is not None else None,
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
        longest=f"{training.max_steps:,} steps" if training.max_steps > 0 else f"{told_epochs:,g} epochs",
        epochs=f"{epochs:.3g}" if epochs < 99.5 else f"{epochs:,.0f}",
        best_metric=str(training.metric_for_best_model).removeprefix("eval_"),
        step_size=training.train_batch_size * training.gradient_accumulation_steps * training.world_size,
        steps=f"{result.steps:,}",
        best_step=None if result.best_step is None else f"{result.best_step:,}",
        options={
            name: value
            for name, value in {
                "max_length": data.max_length,
                **decisive_options(training),
                "early_stopping_patience": training.early_stopping_patience,
            }.items()
            if (value not in (None, False, {}) or name == "seed")  # what is 0 is off, but for a seed
            and name != ("num_train_epochs" if training.max_steps > 0 else "max_steps")
            and not (name.startswith("adam_") and "adam" not in training.optim)
        },
        drift=None if result.drift is None else _drift(result.drift),
        architecture={
            **{name: getattr(model, name) for name in VOCABULARY if getattr(model, name) is not None},
            **{name: getattr(config, name) for name in ARCHITECTURE},
        },
    )


def draw_pictures(result: TrainingResult, folder: Path) -> list[str]:
    """Draw the pictures of the card.

    Returns:
        The names of the files.
    """
    answers = result.answers["validation"]
    if result.data.problem_type == REGRESSION:
        values, references = answers.logits.reshape(-1), answers.references.reshape(-1)
        draw_values(values, references, result.data.labels[0], folder / VALUES)
        return [VALUES]
    draw_reliability(calibrate(result), result.data.problem_type == MULTI_LABEL, folder / RELIABILITY)
    if result.data.problem_type == MULTI_LABEL or len(result.data.labels) > MOST_LABELS:
        return [RELIABILITY]
    draw_confusions(count_confusions(result), result.data.labels, folder / CONFUSIONS)
    return [RELIABILITY, CONFUSIONS]


def _metadata(result: TrainingResult, model_id: str, about: CardArguments) -> ModelCardData:
    """What the Hub reads."""
    metrics = METRICS[result.data.problem_type]
    name = _dataset_name(result)
    dataset = str(result.arguments[0].dataset)
    on_the_hub = dataset != DEMO and not Path(dataset).exists()
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
                dataset_type=dataset if on_the_hub else name,
                dataset_name=name,
                dataset_split=split,
                metric_type=hub_name,
                metric_name=IN_FULL.get(metric, {}).get(result.data.problem_type),
                metric_value=float(_figure(metric, figures[metric])),
            )
            for split, figures in result.figures.items()
            for metric, hub_name in metrics.items()
        ],
    )


def _dataset_name(result: TrainingResult) -> str:
    dataset = str(result.arguments[0].dataset)
    return "the bundled demo reviews" if dataset == DEMO else Path(dataset).name


def _results(result: TrainingResult) -> dict[str, Any]:
    """The figures as tables, and what stands behind them."""
    figures, labels = result.figures, result.data.labels
    classes = [f"{kind}_{label}" for label in labels for kind in KINDS]
    whole = [name for name in figures["validation"] if name not in classes]
    shown: dict[str, Any] = {
        "results": {
            "columns": list(figures),
            "rows": [[name, *(_figure(name, of_split[name]) for of_split in figures.values())] for name in whole],
        },
        "worst": [
            [
                _word(_shorten(wrong.text)),
                _cell(wrong.right),
                _cell(wrong.answer),
                *([] if wrong.probability is None else [f"{wrong.probability:.3f}"]),
            ]
            for wrong in find_worst_answers(result)
        ],
    }
    if result.data.problem_type == REGRESSION:
        return shown
    several = result.data.problem_type == MULTI_LABEL
    thresholds = [[f"{threshold:.4f}"] if several else [] for threshold in thresholds_of(result.model.config)]
    shown["classes"] = {
        "columns": ["threshold"] * several + [f"{split}: {kind}" for split in figures for kind in KINDS],
        "rows": [
            [
                _cell(label),
                *threshold,
                *(f"{of_split[f'{kind}_{label}']:.4f}" for of_split in figures.values() for kind in KINDS),
            ]
            for label, threshold in zip(labels, thresholds, strict=True)
        ],
    }
    counts = count_confusions(result)
    if several:
        rows = [[both, said, right, neither] for (neither, said), (right, both) in counts.tolist()]
    else:
        rows = counts.tolist()
    if several or len(labels) <= MOST_LABELS:
        shown["confusions"] = [
            [_cell(label), *(f"{count:,}" for count in row)] for label, row in zip(labels, rows, strict=True)
        ]
    else:  # the whole table grows with the square of the classes
        shown["most_confused"], shown["confusions_in_all"] = _most_confused(counts, labels)
    calibration = calibrate(result)
    shown["calibration"] = {
        "error": f"{calibration.error:.3f}",
        "rows": [
            [f"{confidence:.3f}", f"{right:.3f}", f"{count:,}"]
            for confidence, right, count in zip(
                calibration.confidence, calibration.right, calibration.counts, strict=True
            )
        ],
    }
    return shown


def _most_confused(counts: np.ndarray, labels: list[str]) -> tuple[list[list[str]], int]:
    """The most frequent confusions (what is right, what was said, and how often), and how many there are."""
    wrong = counts - np.diag(np.diag(counts))
    most = np.argsort(-wrong, axis=None, kind="stable")[:MOST_LABELS]
    rows = [
        [_cell(labels[true]), _cell(labels[said]), f"{wrong[true, said]:,}"]
        for true, said in zip(*np.unravel_index(most, wrong.shape), strict=True)
        if wrong[true, said]
    ]
    return rows, int(np.count_nonzero(wrong))


def _loss_says(training: GloveBiLSTMTrainingArguments) -> str:
    """What the loss counts besides the plain one, which its reader would compute."""
    counted = {
        "class weights": training.class_weights is not None,
        "label smoothing": bool(training.label_smoothing_factor),
        "the focal factor": bool(training.focal_gamma),
    }
    names = [name for name, used in counted.items() if used]
    return f"The loss is that of training, with {' and '.join(names)}." if names else ""


def _speed(result: TrainingResult) -> dict[str, str]:
    speed = time_model(result)
    return {
        "cpu": speed.cpu,
        "threads": "1 thread" if speed.threads == 1 else f"{speed.threads} threads",
        "one": f"{_two_digits(speed.one)} ms",
        "many": f"{speed.many:,.0f}",
        "words": f"{speed.words:g}",
        "texts": f"the first {min(TIMED, len(result.data.splits['validation']))}",
    }


def _two_digits(value: float) -> str:
    return f"{value:.2g}" if value < 99.5 else f"{value:,.0f}"


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"


def _figure(name: str, value: float) -> str:
    """A figure as the card shows it; errors are in the target's own units, which may be small."""
    return f"{value:.6g}" if name in ("mse", "mae") else f"{value:.4f}"


def _cell(text: str) -> str:
    """A label as a cell of a Markdown table shows it."""
    return _word(" ".join(text.split()))


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
                "the same"
                if moved.nearest_after and moved.nearest_after == moved.nearest_before
                else " · ".join(map(_word, moved.nearest_after)),
            ]
            for moved in drift.most_moved
        ],
    }


def _word(word: str) -> str:
    """A word as a cell of a Markdown table shows it, such as "*", "`" or "<br>"."""
    return re.sub(r"[\\`*_~<>\[\]|&$]", r"\\\g<0>", word)
