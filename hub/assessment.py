"""What a trained model gets right and wrong, how sure it is, and how fast: what its card shows beyond the figures."""

import copy
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax
from sklearn.metrics import confusion_matrix

from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.training.metrics import applying
from glove_bilstm.training.run import TrainingResult
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION

BINS = 15
"""Of confidence, as in Guo et al. 2017."""
MOST_ERRORS = 8
MOST_EXAMPLES = 4
EXAMPLE_WORDS = range(3, 31)
"""How long a text is that is shown as an example, in words."""
TIMED = 200
"""Texts that are timed."""


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities can be believed: the expected calibration error (ECE) and its bins.

    As in Guo et al. 2017, <https://arxiv.org/abs/1706.04599>.

    Attributes:
        error: The ECE: the mean distance between `confidence` and `right`, each bin weighed by its count.
        confidence: Each bin's mean probability.
        right: The share of each bin's answers that are right; of several labels, of its labels that are true.
        counts: The answers, or labels, in each bin; empty bins are left out.
    """

    error: float
    confidence: np.ndarray
    right: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class WrongAnswer:
    """A text that the model is wrong about.

    Attributes:
        text: The text; a pair's are joined by a slash.
        right: What is right: a label, labels, or a value.
        answer: What the model says.
        probability: That of the answer; None where there are several labels, or a value.
    """

    text: str
    right: str
    answer: str
    probability: float | None


@dataclass(frozen=True)
class Speed:
    """How fast the model is on this machine's CPU, tokenizer included.

    Attributes:
        one: Median milliseconds for one text alone.
        many: Texts a second, in batches of 64 sorted by length.
        words: The median length of the texts, in words.
        cpu: The processor.
        threads: How many threads torch used.
    """

    one: float
    many: float
    words: float
    cpu: str
    threads: int


def count_confusions(result: TrainingResult) -> np.ndarray:
    """How often each label was taken for each other on validation.

    Returns:
        Single-label: ``[C, C]``, a row for the true class, a column for the predicted one. Multi-label: ``[C, 2, 2]``,
        for each label the same of its being there.
    """
    answers = result.answers["validation"]
    if result.data.problem_type == MULTI_LABEL:
        true, predicted = answers.references.astype(bool), applying(result.model.config, answers.logits)
        pairs = [[~true & ~predicted, ~true & predicted], [true & ~predicted, true & predicted]]
        return np.array(pairs).sum(axis=2).transpose(2, 0, 1)  # scikit-learn takes one label for two classes
    labels = np.arange(len(result.data.labels))
    return confusion_matrix(answers.references, answers.logits.argmax(axis=1), labels=labels)


def calibrate(result: TrainingResult) -> Calibration:
    """Hold the probabilities on validation against how often they were right.

    Of a single-label classifier, those of its answers; of several labels, those of every label of every text.
    """
    answers = result.answers["validation"]
    if result.data.problem_type == MULTI_LABEL:
        confidence, right = expit(answers.logits).ravel(), answers.references.astype(bool).ravel()
    else:
        confidence = softmax(answers.logits, axis=1).max(axis=1)
        right = answers.logits.argmax(axis=1) == answers.references
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    used = counts > 0
    sums = [np.bincount(bins, weights=values, minlength=BINS)[used] / counts[used] for values in (confidence, right)]
    error = float(np.abs(sums[0] - sums[1]) @ counts[used] / len(bins))
    return Calibration(error, sums[0], sums[1], counts[used])


def find_worst_answers(result: TrainingResult) -> list[WrongAnswer]:
    """The validation texts that the model is most wrong about, the worst first.

    Single-label: where the wrong label's probability is highest. Multi-label: where the right labels' joint
    probability is lowest, of those texts that don't have just the right labels. Regression: where the value is
    farthest off.
    """
    answers, names = result.answers["validation"], result.data.labels
    logits, references = answers.logits, answers.references
    if result.data.problem_type == REGRESSION:
        values, true = logits.reshape(-1), references.reshape(-1)
        wrong = np.argsort(-np.abs(values - true), kind="stable")[:MOST_ERRORS]
        return [WrongAnswer(_text(result, row), f"{true[row]:.6g}", f"{values[row]:.6g}", None) for row in wrong]
    if result.data.problem_type == MULTI_LABEL:
        predicted, true = applying(result.model.config, logits), references.astype(bool)
        loss = np.logaddexp(0, np.where(true, -logits, logits)).sum(axis=1)  # [N]
        rows = np.flatnonzero((predicted != true).any(axis=1))
        wrong = rows[np.argsort(-loss[rows], kind="stable")][:MOST_ERRORS]
        return [
            WrongAnswer(_text(result, row), _names(names, true[row]), _names(names, predicted[row]), None)
            for row in wrong
        ]
    shares = softmax(logits, axis=1)  # [N, C]
    predicted = shares.argmax(axis=1)
    rows = np.flatnonzero(predicted != references)
    wrong = rows[np.argsort(-shares[rows, predicted[rows]], kind="stable")][:MOST_ERRORS]
    return [
        WrongAnswer(_text(result, row), names[int(references[row])], names[answer], float(shares[row, answer]))
        for row, answer in zip(wrong, predicted[wrong], strict=True)
    ]


def choose_examples(result: TrainingResult) -> list[tuple[str, str]]:
    """Validation texts to try the model with, if possible one of every label, and what each is an example of."""
    split = result.data.splits["validation"]
    found: dict[str, str] = {}
    for text, label in zip(split["text"], split["label"], strict=True):
        if result.data.problem_type == REGRESSION:
            name = f"{result.data.labels[0]} {label:.6g}"
        elif result.data.problem_type == MULTI_LABEL:
            name = _names(result.data.labels, np.array(label, dtype=bool))
        else:
            name = result.data.labels[label]
        if len(text.split()) in EXAMPLE_WORDS:
            found.setdefault(name, text)
        if len(found) == MOST_EXAMPLES:
            break
    return [(text, name) for name, text in found.items()]


def time_model(result: TrainingResult) -> Speed:
    """Time the model on validation texts, on the CPU."""
    split = result.data.splits["validation"]
    texts: list[Any] = split["text"][:TIMED]
    if result.data.are_pairs:
        texts = list(zip(texts, split["text_pair"][:TIMED], strict=True))
    # On another device it stays there; it is small.
    model = result.model if result.model.device.type == "cpu" else copy.deepcopy(result.model).cpu()
    was_training = model.training
    model.eval()
    tokenizer = result.tokenizer
    alone = []
    with torch.inference_mode():
        for text in [texts[0], *texts]:  # the first time is slower
            start = time.perf_counter()
            model(**tokenizer(*(text if result.data.are_pairs else [text]), return_tensors="pt"))
            alone.append(time.perf_counter() - start)
    start = time.perf_counter()
    with torch.inference_mode():
        encoded = sorted(encode_texts(tokenizer, texts), key=len)
        for first in range(0, len(encoded), 64):
            model(**tokenizer.pad({"input_ids": encoded[first : first + 64]}, return_tensors="pt"))
    seconds = time.perf_counter() - start
    model.train(was_training)
    words = statistics.median(map(len, encoded))
    return Speed(
        1e3 * statistics.median(alone[1:]), len(texts) / seconds, words, processor_name(), torch.get_num_threads()
    )


def processor_name() -> str:
    """The processor's name, as far as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _names(labels: Sequence[str], which: np.ndarray) -> str:
    return " · ".join(labels[position] for position in np.flatnonzero(which).tolist()) or "none"


def _text(result: TrainingResult, row: Any) -> str:
    split = result.data.splits["validation"]
    columns = ("text", "text_pair") if result.data.are_pairs else ("text",)
    return " / ".join(split[int(row)][column] for column in columns)
