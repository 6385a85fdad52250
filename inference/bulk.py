"""Predicting many texts."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from glove_bilstm.training.metrics import ClassificationMetrics, label_names

CHUNK = 50
"""How many batches are read ahead and sorted by length: enough to pad little, and memory stays flat."""


@torch.inference_mode()
def predict_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    batch_size: int = 64,
) -> Iterator[torch.Tensor]:
    """The logits of each text, ``[C]``, in the order of the texts.

    Args:
        model: A sequence classifier. It is put into evaluation mode.
        tokenizer: Its tokenizer.
        texts: Any number of them; they are read as they are needed.
        batch_size: Texts in one forward pass.
    """
    model.eval()
    remaining = iter(texts)
    while chunk := list(islice(remaining, CHUNK * batch_size)):
        encoded = tokenizer(chunk, return_attention_mask=False)["input_ids"]
        # Batches of texts of about the same length; the answers go back to their places.
        order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
        logits: list[torch.Tensor] = [torch.empty(0)] * len(encoded)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt")
            outputs = model(**batch.to(model.device)).logits.float().cpu()  # [B, C]
            for row, row_logits in zip(rows, outputs, strict=True):
                logits[row] = row_logits
        yield from logits


def evaluate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    labels: Sequence[str],
    batch_size: int = 64,
) -> dict[str, float]:
    """Measure a classifier on labelled texts.

    Args:
        model: The classifier.
        tokenizer: Its tokenizer.
        texts: The texts.
        labels: Their right labels, by name.
        batch_size: Texts in one forward pass.

    Returns:
        The figures of `ClassificationMetrics`.

    Raises:
        KeyError: The model doesn't know one of the labels.
    """
    names = label_names(model.config)
    ids = {name: position for position, name in enumerate(names)}
    references = [ids[label] for label in labels]
    predictions = [int(logits.argmax()) for logits in predict_logits(model, tokenizer, texts, batch_size)]
    return ClassificationMetrics(names).compute(predictions=predictions, references=references)


def classify_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    batch_size: int = 64,
) -> Iterator[dict[str, Any]]:
    """The label of each text that scores highest, in the order of the texts.

    The same as `pipeline("text-classification")` gives; for many texts, and in flat memory.

    Yields:
        ``{"label": str, "score": float}``.
    """
    labels = label_names(model.config)
    for logits in predict_logits(model, tokenizer, texts, batch_size):
        score, position = _scores(logits, model.config).max(dim=-1)
        yield {"label": labels[int(position)], "score": float(score)}


def _scores(logits: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    """Logits ``[C]`` → scores ``[C]``, as `pipeline("text-classification")` makes them."""
    if config.problem_type == "regression":
        return logits
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return logits.sigmoid()
    return logits.softmax(dim=-1)
