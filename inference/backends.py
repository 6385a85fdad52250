"""What a job is answered by: a model in torch, or an exported one in onnxruntime, which never loads torch."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glove_bilstm.hub.files import CONFIG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS
from glove_bilstm.hub.hashes import is_export_of
from glove_bilstm.inference.onnx_classifier import FILES, OnnxClassifier, Text
from glove_bilstm.inference.pairs import check_pairs
from glove_bilstm.vectors.errors import InputError

Classify = Callable[[Iterable[Text], int], Iterator[dict[str, Any]]]
"""Texts, and how many to read in one batch → what `classify_texts` says of each, in their order."""
TRAINED = (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)
"""The files of a model in torch that its answers depend on."""


@dataclass(frozen=True)
class Backend:
    """A model, ready to answer.

    Attributes:
        problem_type: Its task, as its configuration names it.
        classify: What classifies with it.
        state: What tells it from other models.
    """

    problem_type: str | None
    classify: Classify
    state: list[Any]


def load_exported(model: str, pairs: bool, threads: int | None) -> Backend:
    """Load a model that `glove-bilstm export` wrote.

    Args:
        model: A folder, or a Hub id; its files are at the top or in "onnx".
        pairs: Whether it is to read pairs of texts.
        threads: That read batches. None: as many as OpenMP is told, or as there are processors to use.

    Raises:
        InputError: It is of other weights than those it lies with, or was trained on single texts and gets pairs.
        FileNotFoundError: There is no exported model.
        ValueError: It is damaged.
    """
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = threads or (int(told) if told.isdecimal() else 0) or None
    check_export(Path(model))
    classifier = OnnxClassifier.from_pretrained(model, threads=threads)
    check_pairs(classifier.sep_token, pairs)
    return Backend(classifier.problem_type, classifier.classify, state_of(classifier.folder, FILES))


def load_trained(model: str, pairs: bool, threads: int | None, dtype: str, device: str) -> Backend:
    """Load a model into torch.

    Args:
        model: A folder, or a Hub id.
        pairs: Whether it is to read pairs of texts.
        threads: That read batches. None: as torch has it.
        dtype: See `load_classifier`.
        device: See `find_device`.

    Raises:
        InputError: There is no such model or device, or the model was trained on single texts and gets pairs.
    """
    import torch  # here and not above, for the sake of exported models

    from glove_bilstm.inference.bulk import classify_texts
    from glove_bilstm.inference.loading import load_classifier, model_folder

    if threads is not None:
        torch.set_num_threads(threads)
    loaded, tokenizer = load_classifier(model, dtype, device)
    check_pairs(tokenizer.sep_token, pairs)
    classify = partial(classify_texts, loaded, tokenizer)
    return Backend(loaded.config.problem_type, classify, state_of(model_folder(model), TRAINED))


def check_export(folder: Path) -> None:
    """See that the export in a model's own folder is still one of that model.

    Raises:
        InputError: It is of other weights.
    """
    weights, report = folder / WEIGHTS, folder / "onnx" / "export.json"
    if (folder / "model.onnx").is_file() or not weights.is_file() or not report.is_file():
        return  # what is read isn't beside the weights, or doesn't say where it is from
    if not is_export_of(report, weights):
        raise InputError(
            f"{report.parent} was exported from other weights than {weights} holds. Export it again; or name "
            f"{report.parent} as --model to use it as it is."
        )


def state_of(folder: Path, names: Iterable[str]) -> list[Any]:
    """What tells a model in a folder from another: its place, and the times and sizes of its files."""
    stats = [(folder / name).stat() for name in names if (folder / name).is_file()]
    return [str(folder.absolute()), *([one.st_size, one.st_mtime] for one in stats)]
