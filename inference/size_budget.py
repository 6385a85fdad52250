"""The best that fits a size: which words, and how exact the numbers, by measured accuracy."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from glove_bilstm.inference.export import (
    Check,
    Measured,
    Quantize,
    Variant,
    exportable,
    measure_folder,
    write_variant,
)
from glove_bilstm.inference.onnx_graph import EmbeddingDtype
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.special_tokens import NO_WORDS

SHARES = (0.25, 0.5, 0.75, 1, 1.5, 2)
"""Of the size asked for: what is measured, so that the curve shows what less or more of it would give."""
REPORT_BYTES = 6_500
"""Room for the report, the folder's own entry, and the lengths that a file of another size tells of itself."""
SLACK = 512
"""Bytes by which an estimate may be too low: compressed lengths and the like."""
FEWEST_WORDS = 100
"""With fewer, no classifier is worth a try."""
PRECISIONS: list[tuple[Quantize | None, EmbeddingDtype]] = [
    (None, "float16"),
    (None, "int8"),
    ("int8", "float16"),
    ("int8", "int8"),
]
"""Of the LSTM and of the embedding."""
COLOURS = {"float16": "#2f6db3", "int8": "#d1702d"}


@dataclass(frozen=True)
class Point:
    """A variant on the curve, and the bytes of its folder."""

    variant: Variant
    bytes: int
    measured: Measured


def candidates(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, target: int) -> list[Variant]:
    """The variants to measure: in each precision, the most words that fit the size, or a share of it.

    The embedding is tried in float16 and int8: float32 takes twice the space of float16, for differences that no
    measurement shows.

    Args:
        model: The model.
        tokenizer: Its tokenizer, word-level.
        target: Bytes.

    Raises:
        InputError: Nothing fits, or it is another kind of model.
    """
    largest = exportable(model).get_input_embeddings().weight.abs().max()
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    # "word":7, as the tokenizer's file has it, up to each id
    entries = [len(json.dumps(word, ensure_ascii=False).encode()) + len(str(number)) + 2 for word, number in words]
    listed = np.cumsum(entries)  # [V]
    rows = np.arange(1, len(words) + 1)
    fewest = min(len(NO_WORDS) + FEWEST_WORDS, len(words))
    chosen: list[Variant] = []
    smallest: list[int] = []
    width = model.config.embedding_dim
    for quantize, dtype in PRECISIONS:
        if dtype == "float16" and largest > torch.finfo(torch.float16).max:
            continue
        fixed = folder_bytes(model, tokenizer, Variant(fewest, dtype, quantize)) + REPORT_BYTES + SLACK
        of_row = 2 * width if dtype == "float16" else width + 4
        sizes = fixed + (rows - fewest) * of_row + listed - listed[fewest - 1]  # [V]
        smallest.append(fixed)
        for share in SHARES:
            fit = int(np.searchsorted(sizes, share * target, side="right"))
            if fit >= fewest:
                chosen.append(Variant(fit if fit < len(words) else None, dtype, quantize))
    if min(smallest) > target:
        raise InputError(
            f"Nothing fits {target:,} bytes: {FEWEST_WORDS} words with int8 throughout take {min(smallest):,}. "
            "Train a model with a smaller --hidden_size."
        )
    return list(dict.fromkeys(chosen))


def folder_bytes(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, variant: Variant) -> int:
    """How many bytes a variant's folder has, without its report."""
    with tempfile.TemporaryDirectory() as folder:
        write_variant(model, tokenizer, variant, Path(folder))
        return sum(file.stat().st_size for file in Path(folder).iterdir())


def measure_variants(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, variants: list[Variant], check: Check
) -> Iterator[Point]:
    """Write, measure and forget each variant.

    Args:
        model: The model, in float32.
        tokenizer: Its tokenizer.
        variants: Of `candidates`.
        check: What to measure them on.
    """
    for variant in variants:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_variant(model, tokenizer, variant, folder)
            size = sum(file.stat().st_size for file in folder.iterdir()) + REPORT_BYTES
            yield Point(variant, size, measure_folder(folder, model.config, check))


def best_within(points: list[Point], target: int) -> Point:
    """The most accurate of those that fit; of several, that which agrees with torch most, then in its logits."""

    def merit(point: Point) -> tuple[float, float, float]:
        measured = point.measured
        return measured.exported, measured.same_answer or 0.0, -measured.largest_difference

    return max((point for point in points if point.bytes <= target), key=merit)


def draw_curve(points: list[Point], chosen: Point, target: int, file: Path) -> None:
    """Draw size against accuracy.

    Args:
        points: What was measured.
        chosen: One of them.
        target: The size asked for, in bytes.
        file: Where to, as PNG.
    """
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    for quantize, dtype in PRECISIONS:
        line = sorted(
            (point.bytes / 1e6, point.measured.exported)
            for point in points
            if (point.variant.quantize, point.variant.embedding_dtype) == (quantize, dtype)
        )
        style = "o--" if quantize else "s-"
        label = f"embedding {dtype}, LSTM {quantize or 'float32'}"
        if line:
            axes.plot(*zip(*line, strict=True), style, color=COLOURS[dtype], label=label)
    in_torch = chosen.measured.in_torch
    axes.axhline(in_torch, color="#8a8f98", linewidth=1, label="in torch, float32")
    axes.axvline(target / 1e6, color="#8a8f98", linestyle=":", label="asked for")
    axes.plot(
        chosen.bytes / 1e6, chosen.measured.exported, "o", markersize=14, fillstyle="none", color="black",
        label="chosen",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("megabytes")
    axes.set_ylabel(chosen.measured.metric)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3)
    figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=3)  # off the lines
    figure.savefig(file, dpi=110)
