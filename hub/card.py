"""The model card: `model_card.md`, filled in with what a run measured."""

import json
import re
from collections.abc import Collection
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np
from huggingface_hub import ModelCard

from glove_bilstm.hub.assessment import (
    TIMED,
    calibrate,
    count_confusions,
    find_worst_answers,
    time_model,
)
from glove_bilstm.hub.files import CONFUSIONS, RELIABILITY, VALUES
from glove_bilstm.hub.metadata import CardArguments, make_metadata, name_dataset
from glove_bilstm.hub.pictures import MOST_LABELS, draw_confusions, draw_reliability, draw_values
from glove_bilstm.training.checkpoints import decisive_options
from glove_bilstm.training.metrics import thresholds_of
from glove_bilstm.training.run import TrainingResult
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, figure_text
from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.vectors.drift import Drift
from glove_bilstm.vectors.named_sets import NAMED_SETS

FIGURES_SAY = {
    SINGLE_LABEL: "`f1` is the mean over the classes.",
    MULTI_LABEL: "`accuracy` is the share of texts with all labels right, `f1` the mean over the labels.",
    REGRESSION: "The loss is that of standardised targets.",
}
KINDS = ("precision", "recall", "f1")
VOCABULARY = ("min_frequency", "min_frequency_without_vector", "max_vocabulary", "extra_words", "oov")
ARCHITECTURE = (
    *("embedding_dim", "hidden_size", "num_hidden_layers", "bidirectional", "pooling"),
    *("embedding_dropout", "lstm_dropout", "classifier_dropout"),
)
LONGEST_TEXT = 300
"""Characters of a text that is shown."""
EXAMPLE = "I didn't expect much, and was wrong."
SECOND = "I expected little."


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
        make_metadata(result, model_id, about),
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
        dataset=name_dataset(data.dataset)[0],
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
            # What is 0 is off, but for a seed.
            if (value not in (None, False, {}) or (value == 0 and name.endswith("seed")))
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


def _results(result: TrainingResult) -> dict[str, Any]:
    """The figures as tables, and what stands behind them."""
    figures, labels = result.figures, result.data.labels
    classes = [f"{kind}_{label}" for label in labels for kind in KINDS]
    whole = [name for name in figures["validation"] if name not in classes]
    shown: dict[str, Any] = {
        "results": {
            "columns": list(figures),
            "rows": [[name, *(figure_text(name, of_split[name]) for of_split in figures.values())] for name in whole],
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
        rows = [[both, predicted, true, neither] for (neither, predicted), (true, both) in counts.tolist()]
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
    """The most frequent confusions (true, predicted, and how often), and how many there are."""
    wrong = counts - np.diag(np.diag(counts))
    most = np.argsort(-wrong, axis=None, kind="stable")[:MOST_LABELS]
    rows = [
        [_cell(labels[true]), _cell(labels[predicted]), f"{wrong[true, predicted]:,}"]
        for true, predicted in zip(*np.unravel_index(most, wrong.shape), strict=True)
        if wrong[true, predicted]
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


def _cell(text: str) -> str:
    """A label as a cell of a Markdown table shows it."""
    return _word(" ".join(text.split()))


def _drift(drift: Drift) -> dict[str, Any]:
    """How far the word vectors moved, in words and as rows of tables."""
    return {
        "summary": str(drift),
        "bands": drift.band_rows(),
        "words": [
            [
                _word(moved.word),
                *moved.cells(),
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
