"""Predicting many texts."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.training.metrics import label_names, measure, thresholds_of
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION

Text = str | tuple[str, str]
"""A text, or a pair of them."""

CHUNK = 50
"""How many batches are read ahead and sorted by length: enough to pad little, and memory stays flat."""
MOST_TOKENS = 4096
"""In a batch, padding included: of longer texts fewer go together, so that what is computed with stays in caches."""


def predict_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    batch_size: int = 64,
) -> Iterator[torch.Tensor]:
    """The logits of each text, ``[C]``, in the order of the texts.

    On a CPU, each of torch's threads takes batches of its own. All of them at work on one batch wait for each other at
    every word, which is slower.

    Args:
        model: A sequence classifier. It is put into evaluation mode.
        tokenizer: Its tokenizer.
        texts: Any number of them, or of pairs; they are read as they are needed.
        batch_size: Texts in one forward pass, at most.
    """
    model.eval()
    threads = torch.get_num_threads()
    workers = threads if model.device.type == "cpu" else 1
    remaining = iter(texts)
    with ThreadPoolExecutor(workers) as pool:

        def begin() -> _Chunk:
            chunk = list(islice(remaining, CHUNK * batch_size))
            encoded = encode_texts(tokenizer, chunk)
            most = min(batch_size, -(-len(chunk) // workers))  # something for everyone, of few texts too
            batches = list(_batches([len(ids) for ids in encoded], most))
            return [
                (rows, pool.submit(_forward, model, tokenizer, [encoded[row] for row in rows])) for rows in batches
            ]

        try:
            begun = begin()
            while begun:
                following = begin()  # tokenised while the model reads the texts before
                yield from _in_order(begun)
                begun = following
        finally:
            torch.set_num_threads(threads)  # what threads that begin later find


_Chunk = list[tuple[list[int], Future[torch.Tensor]]]
"""Batches that are being read: the places of their texts, and their logits ``[B, C]``."""


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Texts of about the same length, by their places; the longest first, lest one is waited for at the end."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and (len(batch) == batch_size or lengths[batch[0]] * (len(batch) + 1) > MOST_TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _forward(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: list[list[int]]) -> torch.Tensor:
    """Logits ``[B, C]`` on the CPU, with one thread, this one."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    batch = tokenizer.pad({"input_ids": encoded}, return_tensors="pt")
    return model(**batch.to(model.device)).logits.float().cpu()


def _in_order(begun: _Chunk) -> Iterator[torch.Tensor]:
    """Wait for all batches of a chunk, and give the logits of each text, ``[C]``, at its place."""
    logits: dict[int, torch.Tensor] = {}
    for rows, batch in begun:
        logits |= dict(zip(rows, batch.result(), strict=True))
    for place in range(len(logits)):
        yield logits[place]


def evaluate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    labels: Sequence[Any],
    batch_size: int = 64,
) -> dict[str, float]:
    """Measure a model on labelled texts.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        texts: The texts, or pairs of them.
        labels: What is right for each: its label by name; a list of labels for a multi-label classifier; the value for
            a regressor.
        batch_size: Texts in one forward pass.

    Returns:
        The figures of `measure`.

    Raises:
        KeyError: The model doesn't know one of the labels.
    """
    names = label_names(model.config)
    ids = {name: position for position, name in enumerate(names)}
    if model.config.problem_type == REGRESSION:
        references = np.array(labels)  # [N]
    elif model.config.problem_type == MULTI_LABEL:
        references = np.zeros((len(labels), len(names)))  # [N, C]
        for row, of_text in enumerate(labels):
            references[row, [ids[label] for label in of_text]] = 1
    else:
        references = np.array([ids[label] for label in labels])  # [N]
    logits = torch.stack(list(predict_logits(model, tokenizer, texts, batch_size)))  # [N, C]
    return measure(model.config, logits.numpy(), references)


def classify_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    batch_size: int = 64,
) -> Iterator[dict[str, Any]]:
    """What the model says of each text, or pair of texts, in their order.

    The same as `pipeline("text-classification")` gives; for many texts, and in flat memory. Of several labels
    (`pipeline` gives the likeliest, or with `top_k=None` all) it gives those that apply.

    Yields:
        ``{"label": str, "score": float}``: the label that scores highest; for regression the value is the score.
        Multi-label: ``{"labels": list[str], "scores": list[float]}``, the labels whose probability is their threshold
        or more, the highest first; there may be none.
    """
    labels = label_names(model.config)
    thresholds = thresholds_of(model.config)  # [C]
    for logits in predict_logits(model, tokenizer, texts, batch_size):
        scores = _scores(logits, model.config).numpy()  # [C]
        if model.config.problem_type == MULTI_LABEL:
            applying = np.flatnonzero(scores >= thresholds)
            applying = applying[np.argsort(-scores[applying], kind="stable")]
            yield {"labels": [labels[position] for position in applying], "scores": scores[applying].tolist()}
        else:
            position = int(scores.argmax())
            yield {"label": labels[position], "score": float(scores[position])}


def _scores(logits: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    """Logits ``[C]`` → scores ``[C]``, as `pipeline("text-classification")` makes them."""
    if config.problem_type == "regression":
        return logits
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return logits.sigmoid()
    return logits.softmax(dim=-1)
