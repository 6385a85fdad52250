"""Predicting many texts."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from glove_bilstm.tokenization.word_level import without_empty_seconds
from glove_bilstm.training.metrics import label_names, measure, thresholds_of
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION

Text = str | tuple[str, str]
"""A text, or a pair of them."""

CHUNK = 50
"""How many batches are read ahead and sorted by length: enough to pad little, and memory stays flat."""


@torch.inference_mode()
def predict_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    batch_size: int = 64,
) -> Iterator[torch.Tensor]:
    """The logits of each text, ``[C]``, in the order of the texts.

    Args:
        model: A sequence classifier. It is put into evaluation mode.
        tokenizer: Its tokenizer.
        texts: Any number of them, or of pairs; they are read as they are needed.
        batch_size: Texts in one forward pass.
    """
    model.eval()
    remaining = iter(texts)
    while chunk := list(islice(remaining, CHUNK * batch_size)):
        encoded = tokenizer(without_empty_seconds(chunk), return_attention_mask=False)["input_ids"]
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
