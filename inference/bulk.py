"""Predicting many texts."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from glove_bilstm.inference.onnx_classifier import BATCH, Text, read_in_batches, to_answer
from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.training.metrics import label_names, measure, thresholds_of
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION


def predict_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    batch_size: int = BATCH,
) -> Iterator[torch.Tensor]:
    """The logits of each text, ``[C]``, in the order of the texts.

    Args:
        model: A sequence classifier. It is put into evaluation mode. On a CPU, each of torch's threads reads batches
            of its own.
        tokenizer: Its tokenizer.
        texts: Any number of them, or of pairs; they are read as they are needed.
        batch_size: Texts in one forward pass, at most.
    """
    model.eval()
    threads = torch.get_num_threads()
    encode, forward = partial(encode_texts, tokenizer), partial(_forward, model, tokenizer)
    try:
        yield from read_in_batches(texts, encode, forward, threads if model.device.type == "cpu" else 1, batch_size)
    finally:
        torch.set_num_threads(threads)  # what threads that begin later find


@torch.inference_mode()
def _forward(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: list[list[int]]) -> torch.Tensor:
    """Logits ``[B, C]`` on the CPU, with one thread, this one."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    batch = tokenizer.pad({"input_ids": encoded}, return_tensors="pt")
    return model(**batch.to(model.device)).logits.float().cpu()


def evaluate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    labels: Sequence[Any],
    batch_size: int = BATCH,
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
    references = as_references(labels, model.config)
    logits = torch.stack(list(predict_logits(model, tokenizer, texts, batch_size)))  # [N, C]
    return measure(model.config, logits.numpy(), references)


def as_references(labels: Sequence[Any], config: PreTrainedConfig) -> np.ndarray:
    """Labels by name, lists of them, or values, as `measure` takes them: ids ``[N]``, 0s and 1s ``[N, C]``, or values.

    Raises:
        KeyError: The model doesn't know one of the labels.
    """
    if config.problem_type == REGRESSION:
        return np.array(labels)
    names = label_names(config)
    ids = {name: position for position, name in enumerate(names)}
    if config.problem_type != MULTI_LABEL:
        return np.array([ids[label] for label in labels])
    references = np.zeros((len(labels), len(names)))
    for row, of_text in enumerate(labels):
        references[row, [ids[label] for label in of_text]] = 1
    return references


def classify_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    batch_size: int = BATCH,
) -> Iterator[dict[str, Any]]:
    """What the model says of each text, or pair of texts, in their order.

    The same as `pipeline("text-classification")` gives; for many texts, and in flat memory. Of several labels
    (`pipeline` gives the likeliest, or with `top_k=None` all) it gives those that apply.

    Yields:
        ``{"label": str, "score": float}``: the label that scores highest; for regression the value is the score.
        Multi-label: ``{"labels": list[str], "scores": list[float]}``, the labels whose probability is their threshold
        or more, the highest first; there may be none.
    """
    labels, thresholds = label_names(model.config), thresholds_of(model.config)
    for logits in predict_logits(model, tokenizer, texts, batch_size):
        yield to_answer(logits.numpy(), model.config.problem_type, labels, thresholds)
