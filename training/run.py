"""One training run, from a data set and word vectors to a trained model."""

import logging
import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from huggingface_hub.errors import StrictDataclassError
from transformers import TokenizersBackend, set_seed

from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification, cpu_computes_in
from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.checkpoints import (
    RemoveCheckpoints,
    RunOptions,
    check_same_run,
    find_last_checkpoint,
    hash_of_rows,
    is_complete,
    options_of,
    prepare_output_dir,
)
from glove_bilstm.training.datasets import LabelledTexts, load_labelled_texts
from glove_bilstm.training.labels import shortened
from glove_bilstm.training.metrics import measure
from glove_bilstm.training.strategies import describe_strategy
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION
from glove_bilstm.training.trainer import GloveBiLSTMTrainer, has_finite_weights
from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.training.words import prepare_words
from glove_bilstm.vectors.alignment import Coverage
from glove_bilstm.vectors.drift import Drift, measure_drift
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)

PREFIXES = {"validation": "eval", "test": "test"}
"""The splits that are measured → what their figures begin with, as the Trainer names them."""
TIMINGS = {"runtime", "samples_per_second", "steps_per_second"}
"""What the Trainer adds to the figures of a split."""
LONG_TEXT = 5_000
"""Words; an LSTM takes them one after the other, so one such text holds up its whole batch."""


@dataclass(frozen=True)
class Answers:
    """What the model says of a split's texts, in their order.

    Attributes:
        logits: ``[N, C]``.
        references: What is right: class ids ``[N]``, 0s and 1s ``[N, C]``, or values ``[N]``.
    """

    logits: np.ndarray
    references: np.ndarray


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves behind.

    Attributes:
        model: With the best checkpoint's weights.
        tokenizer: It carries the vocabulary.
        data: The texts it was trained and measured on.
        coverage: By split, how much of the text the vectors cover.
        metrics: `train_…`, `eval_…` and, where there is a labelled test split, `test_…`.
        answers: What they were measured on, by split.
        steps: Optimizer steps that were taken.
        best_step: That of the checkpoint which was kept for being the best. None: the last weights were.
        arguments: What the run was told.
        strategy: What became of the embedding; see `describe_strategy`.
        drift: How far the word vectors moved. None: they were frozen.
    """

    model: GloveBiLSTMForSequenceClassification
    tokenizer: TokenizersBackend
    data: LabelledTexts
    coverage: dict[str, Coverage]
    metrics: dict[str, float]
    answers: dict[str, Answers]
    steps: int
    best_step: int | None
    arguments: tuple[DataArguments, ModelArguments, GloveBiLSTMTrainingArguments]
    strategy: str
    drift: Drift | None = None

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Split → its loss and the figures of `measure`, without the Trainer's prefixes and timings."""
        return {
            split: {
                name.removeprefix(f"{prefix}_"): value
                for name, value in self.metrics.items()
                if name.startswith(f"{prefix}_") and name.removeprefix(f"{prefix}_") not in TIMINGS
            }
            for split, prefix in PREFIXES.items()
            if split in self.data.splits
        }


def train_classifier(
    data_arguments: DataArguments,
    model_arguments: ModelArguments,
    training_arguments: GloveBiLSTMTrainingArguments,
    overwrite: bool = False,
) -> TrainingResult:
    """Train and measure a text classifier. Checkpoints go to `output_dir`; the final model isn't written yet.

    Args:
        data_arguments: Which texts.
        model_arguments: Which vectors and architecture.
        training_arguments: How to train; `resume_from_checkpoint` continues an interrupted run.
        overwrite: Start over where `output_dir` holds a model or an interrupted run already.

    Raises:
        InputError: Something given can't be used; the message says what, where, and what to do.
        KeyboardInterrupt: As it came, with a message that names the last complete checkpoint.
    """
    output_dir = Path(str(training_arguments.output_dir))
    checkpoint = prepare_output_dir(output_dir, training_arguments.resume_from_checkpoint, overwrite)
    data = load_labelled_texts(
        data_arguments.dataset,
        data_arguments.text_column,
        data_arguments.label_column,
        data_arguments.validation_share,
        training_arguments.seed,
        data_arguments.problem_type,
        data_arguments.text_pair_column,
    )
    sizes = " · ".join(f"{name} {len(split):,}" for name, split in data.splits.items())
    target = 0.0, 1.0
    if data.problem_type == REGRESSION:
        targets = np.array(data.splits["train"]["label"][:])
        target = float(targets.mean()), float(targets.std())
        shown = f"target: {data.labels[0]}, mean {target[0]:.6g}, standard deviation {target[1]:.6g}"
    else:
        shown = f"labels: {shortened(data.labels)}"
    logger.info(f"Data set {data.name}: {sizes}; {shown}")

    tokenizer, matrix, coverage, provenance = prepare_words(data, model_arguments, training_arguments.seed)
    frozen = training_arguments.embedding_strategy == "frozen"
    config = _configure(data, target, model_arguments, frozen, matrix, provenance)
    training_arguments.settle_task(data.problem_type)
    metric = str(training_arguments.metric_for_best_model).removeprefix("eval_")
    references = np.zeros((1, len(data.labels)) if data.problem_type == MULTI_LABEL else 1, dtype=np.int64)
    known = ["loss", *measure(config, np.zeros((1, len(data.labels))), references)]
    if metric not in known:
        raise InputError(f"There is no metric {metric!r} for --metric_for_best_model; there are: {', '.join(known)}.")

    encoded = {
        name: _encode(split, tokenizer, data_arguments.max_length if name == "train" else None)
        for name, split in data.splits.items()
    }
    rows = hash_of_rows(encoded["train"], encoded["validation"])
    options = options_of(training_arguments, data_arguments, model_arguments, rows)
    if checkpoint is not None:
        check_same_run(checkpoint, config, tokenizer, options, training_arguments.load_best_model_at_end)
    set_seed(training_arguments.seed)
    model = GloveBiLSTMForSequenceClassification(config)
    model.set_word_vectors(matrix)
    longest = max(len(ids) for ids in encoded["train"]["input_ids"])
    if longest > LONG_TEXT:
        logger.info(f"The longest training text has {longest:,} words, which is slow; --max_length cuts such texts.")
    if training_arguments.bf16 and training_arguments.device.type == "cpu" and not cpu_computes_in(torch.bfloat16):
        logger.warning("This processor can't compute in bfloat16: the LSTM stays in float32, for all --bf16.")
    trainer = GloveBiLSTMTrainer(
        model=model,
        args=training_arguments,
        train_dataset=encoded["train"],
        # The order of rows makes no difference to a metric, and batches of one length are faster.
        eval_dataset=encoded["validation"].select(_by_length(encoded["validation"])),
        processing_class=tokenizer,
    )
    trained = model.num_parameters(only_trainable=True)
    logger.info(
        f"Model: {trained:,} parameters trained, {model.num_parameters() - trained:,} frozen "
        f"(strategy {training_arguments.embedding_strategy})"
    )
    trainer.add_callback(RunOptions(**options))
    goes_on_here = checkpoint is not None and checkpoint.parent == output_dir
    if overwrite and not goes_on_here and training_arguments.process_index == 0:
        trainer.add_callback(RemoveCheckpoints)
    metrics = _train(trainer, checkpoint, output_dir)
    if not has_finite_weights(model):
        raise InputError(
            "After the last step not all weights are numbers, so no model was saved. Lower --learning_rate."
        )
    metrics.pop("train_loss", None)  # of a resumed run it would be that of its last part
    answers = {}
    for split, prefix in PREFIXES.items():
        if split in encoded:
            answers[split], figures = _predict(trainer, encoded[split], prefix)
            metrics |= figures
    strategy = trainer.strategy
    best_step = trainer.state.best_global_step if training_arguments.load_best_model_at_end else None
    return TrainingResult(
        model,
        tokenizer,
        data,
        coverage,
        metrics,
        answers,
        trainer.state.global_step,
        best_step,
        (data_arguments, model_arguments, training_arguments),
        describe_strategy(
            training_arguments,
            None if strategy is None else strategy.stages,
            trainer.steps_per_epoch,
            best_step,
        ),
        None if strategy is None else _drift(model, tokenizer, strategy.original, encoded["train"]["input_ids"]),
    )


def _configure(
    data: LabelledTexts,
    target: tuple[float, float],
    arguments: ModelArguments,
    frozen: bool,
    matrix: torch.Tensor,
    provenance: dict[str, Any],
) -> GloveBiLSTMConfig:
    """The configuration of a model for these texts, targets (their mean and standard deviation) and vectors."""
    try:
        return GloveBiLSTMConfig(
            vocab_size=matrix.shape[0],
            embedding_dim=matrix.shape[1],
            hidden_size=arguments.hidden_size,
            num_hidden_layers=arguments.num_hidden_layers,
            pooling=arguments.pooling,
            embedding_dropout=arguments.embedding_dropout,
            lstm_dropout=arguments.lstm_dropout,
            classifier_dropout=arguments.classifier_dropout,
            id2label=dict(enumerate(data.labels)),
            label2id={label: position for position, label in enumerate(data.labels)},
            problem_type=data.problem_type,
            target_mean=target[0],
            target_std=target[1],
            freeze_embeddings=frozen,
            word_vectors=provenance,
        )
    except StrictDataclassError as error:
        raise InputError(str(error.__cause__)) from error


def _drift(
    model: GloveBiLSTMForSequenceClassification,
    tokenizer: TokenizersBackend,
    original: torch.Tensor,
    texts: list[list[int]],
) -> Drift:
    """How far training on these texts moved the vectors of the words."""
    special = set(tokenizer.all_special_ids)
    rows = [row for row in range(len(tokenizer)) if row not in special]
    words = list(tokenizer.convert_ids_to_tokens(rows))
    occurrences = np.bincount(list(chain.from_iterable(texts)), minlength=len(original))[rows].tolist()
    before, after = (matrix.detach().cpu().numpy()[rows] for matrix in (original, model.get_input_embeddings().weight))
    return measure_drift(words, before, after, dict(zip(words, occurrences, strict=True)))


def _train(trainer: GloveBiLSTMTrainer, checkpoint: Path | None, output_dir: Path) -> dict[str, float]:
    """Train; after Ctrl-C remove what is half-written, and say how to continue."""
    try:
        return trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint)).metrics
    except KeyboardInterrupt:
        half_written = output_dir / f"checkpoint-{trainer.state.global_step}"
        if half_written.is_dir() and not is_complete(half_written):
            shutil.rmtree(half_written)
        last = find_last_checkpoint(output_dir)
        raise KeyboardInterrupt(
            f"The last complete checkpoint is {last}; --resume_from_checkpoint continues from there."
            if last is not None
            else "No checkpoint was complete yet."
        ) from None


def _encode(split: Dataset, tokenizer: TokenizersBackend, max_length: int | None) -> Dataset:
    """Texts → token ids; columns "input_ids" and "label". Padding is left to the batches."""
    columns = [column for column in split.column_names if column != "label"]

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        texts: Any = batch["text"]
        if "text_pair" in columns:
            texts = zip(texts, batch["text_pair"], strict=True)
        return {"input_ids": encode_texts(tokenizer, texts, max_length)}

    # Not cached on disk: it takes seconds, and the tokenizer is this run's own.
    return split.map(encode, batched=True, remove_columns=columns, keep_in_memory=True, desc="Tokenizing")


def _by_length(encoded: Dataset) -> np.ndarray:
    """The rows, the shortest first."""
    return np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")


def _predict(trainer: GloveBiLSTMTrainer, encoded: Dataset, prefix: str) -> tuple[Answers, dict[str, float]]:
    """What the model says of a split, in the order of its rows, and the figures."""
    order = _by_length(encoded)
    output = trainer.predict(encoded.select(order), metric_key_prefix=prefix)
    places = np.argsort(order)
    logits, references = np.asarray(output.predictions), np.asarray(output.label_ids)
    return Answers(logits[places], references[places]), dict(output.metrics or {})
