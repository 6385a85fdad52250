"""Figures as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glove_bilstm.training.tasks import REGRESSION, figure_text

if TYPE_CHECKING:
    from glove_bilstm.inference.export import Measured
    from glove_bilstm.inference.size_budget import Point
    from glove_bilstm.vectors.alignment import Coverage
    from glove_bilstm.vectors.drift import Drift


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first aligned left, the others right. A label may hold the end of a line, a row not."""
    rows = [[" ".join(cell.split("\n")) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])

    return "\n".join(line(row) for row in [header, ["-" * width for width in widths], *rows])


def metrics_table(figures: Mapping[str, Mapping[str, float]], labels: Sequence[str]) -> str:
    """The figures of each split, then those of each of its classes; regression has none.

    Args:
        figures: Split → the figures of `measure`.
        labels: The classes' names.
    """
    kinds = set.intersection(*(set(values) for values in figures.values()))
    if "mse" in kinds:
        columns = {"mse": "MSE", "mae": "MAE", "r2": "R²", "pearson": "Pearson", "spearman": "Spearman"}
    elif "matthews_correlation" in kinds:
        columns = {"accuracy": "accuracy", "f1": "macro F1", "matthews_correlation": "Matthews"}
    else:
        columns = {"accuracy": "all labels right", "f1": "macro F1", "micro_f1": "micro F1"}
    rows = [[split, *(figure_text(name, values[name]) for name in columns)] for split, values in figures.items()]
    overall = text_table(["split", *columns.values()], rows)
    if "mse" in kinds:
        return overall
    by_class = [
        [f"{split}: {label}", *(f"{values[f'{name}_{label}']:.4f}" for name in ("precision", "recall", "f1"))]
        for split, values in figures.items()
        for label in labels
    ]
    return "\n\n".join([overall, text_table(["class", "precision", "recall", "F1"], by_class)])


def answers_table(texts: Sequence[str], answers: Sequence[Mapping[str, Any]], problem_type: str | None) -> str:
    """What `classify_texts` says of each text: its label and score, or, one under the other, the labels that apply.

    Of a regressor, whose label is always the same, the value alone.
    """
    if problem_type == REGRESSION:
        values = [[text, f"{answer['score']:.6g}"] for text, answer in zip(texts, answers, strict=True)]
        return text_table(["text", "prediction"], values)
    rows = []
    for text, answer in zip(texts, answers, strict=True):
        if "label" in answer:
            found = [(answer["label"], answer["score"])]
        else:
            found = list(zip(answer["labels"], answer["scores"], strict=True))
        cells = [[label, f"{score:.4f}"] for label, score in found] or [["none", ""]]
        rows += [[text if position == 0 else "", *cell] for position, cell in enumerate(cells)]
    return text_table(["text", "label", "score"], rows)


def coverage_table(coverage: Mapping[str, Coverage]) -> str:
    """By split, by type and by token: how much was found in which way; then, what the folds were.

    Args:
        coverage: Split → how much of it the vectors cover.
    """
    rows = []
    folds: dict[str, int] = {}
    for split, measured in coverage.items():
        for unit, total in (("types", measured.types_total), ("tokens", measured.tokens_total)):
            shares = measured.shares(by_token=unit == "tokens")
            rows.append([f"{split} {unit}", f"{total:,}", *(f"{share:.1%}" for share in shares.values())])
        for form, types in measured.found_as.items():
            if form not in ("exact", "n-gram"):
                folds[form] = max(folds.get(form, 0), types)
    table = text_table(["split", "total", "exact", "folded", "n-grams", "missing"], rows)
    if not folds:
        return table
    listed = ", ".join(f"{form} {types:,}" for form, types in folds.items())
    return f"{table}\n\nFolded, in types of the split that has most: {listed}."


def missing_table(coverage: Coverage, number: int) -> str:
    """The most frequent words without a vector, and the nearest word that has one."""
    rows = [[word, f"{tokens:,}", coverage.nearest.get(word, "")] for word, tokens in coverage.missing[:number]]
    return text_table(["word", "tokens", "nearest known"], rows)


def drift_table(drift: Drift) -> str:
    """How far words moved: in all, by how often training met them, and those that moved farthest, one by one."""
    words = []
    for moved in drift.most_moved[:10]:
        before, after = (", ".join(nearest[:3]) for nearest in (moved.nearest_before, moved.nearest_after))
        words.append([moved.word, *moved.cells(), before, "the same" if after and after == before else after])
    parts = [f"{drift}."]
    if drift.by_count:
        parts.append(text_table(["occurrences", "words", "mean distance"], drift.band_rows()))
    if words:
        parts.append(
            text_table(["word", "occurrences", "distance", "cosine", "nearest before", "nearest after"], words)
        )
    return "\n\n".join(parts)


def export_table(measured: Measured) -> str:
    """What an export costs: the metric in torch and of the export, and how alike their answers are."""
    metric = measured.metric if measured.labelled else f"{measured.metric} (torch's answers count as right)"
    rows = [["in torch", f"{measured.in_torch:.4f}"], ["exported", f"{measured.exported:.4f}"]]
    lines = [
        f"{measured.texts:,} texts ({measured.source})",
        "",
        text_table(["", metric], rows),
        "",
        f"Largest difference of a logit, of one above 1 as a share of it: {measured.largest_difference:.2g}.",
    ]
    if measured.same_answer is not None:
        lines.append(f"The same answer for {measured.same_answer:.2%} of the texts.")
    return "\n".join(lines)


def size_text(number: int) -> str:
    """Bytes as people say them: 5.12 MB, or below a megabyte 612 kB."""
    return f"{number / 1e6:.2f} MB" if number >= 1e6 else f"{number / 1e3:.0f} kB"


def curve_table(points: Sequence[Point], chosen: Point) -> str:
    """Size against the metric, the smallest first."""
    rows = [
        [
            size_text(point.bytes),
            "all" if point.variant.vocabulary_size is None else f"{point.variant.vocabulary_size:,}",
            point.variant.embedding_dtype,
            point.variant.quantize or "float32",
            f"{point.measured.exported:.4f}",
            f"{0.0 - point.measured.drop:+.4f}",
            "chosen" if point is chosen else "",
        ]
        for point in sorted(points, key=lambda one: one.bytes)
    ]
    metric = chosen.measured.metric
    return text_table(["size", "words", "embedding", "LSTM", metric, "against torch", ""], rows)
