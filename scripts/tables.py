"""Figures as tables for a terminal."""

from collections.abc import Mapping, Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first aligned left, the others right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])

    return "\n".join(line(row) for row in [header, ["-" * width for width in widths], *rows])


def metrics_table(figures: Mapping[str, Mapping[str, float]], labels: Sequence[str]) -> str:
    """The figures of each split, then those of each of its classes.

    Args:
        figures: Split → the figures of `ClassificationMetrics`.
        labels: The classes' names.
    """
    overall = [
        [split, *(f"{values[name]:.4f}" for name in ("accuracy", "f1", "matthews_correlation"))]
        for split, values in figures.items()
    ]
    by_class = [
        [f"{split}: {label}", *(f"{values[f'{name}_{label}']:.4f}" for name in ("precision", "recall", "f1"))]
        for split, values in figures.items()
        for label in labels
    ]
    return "\n\n".join(
        [
            text_table(["split", "accuracy", "macro F1", "Matthews"], overall),
            text_table(["class", "precision", "recall", "F1"], by_class),
        ]
    )
