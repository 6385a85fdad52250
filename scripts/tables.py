"""Figures as tables for a terminal."""

from collections.abc import Mapping, Sequence

SPLITS = {"eval": "validation", "test": "test"}


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first aligned left, the others right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines)


def metrics_table(metrics: Mapping[str, float], labels: Sequence[str]) -> str:
    """The figures of each split, then those of each class."""
    splits = [split for split in SPLITS if f"{split}_accuracy" in metrics]
    overall = [
        [split_name, *(f"{metrics[f'{split}_{name}']:.4f}" for name in ("accuracy", "f1", "matthews_correlation"))]
        for split, split_name in SPLITS.items()
        if split in splits
    ]
    by_class = [
        [
            f"{SPLITS[split]}: {label}",
            *(f"{metrics[f'{split}_{name}_{label}']:.4f}" for name in ("precision", "recall", "f1")),
        ]
        for split in splits
        for label in labels
    ]
    return "\n\n".join(
        [
            text_table(["split", "accuracy", "macro F1", "Matthews"], overall),
            text_table(["class", "precision", "recall", "F1"], by_class),
        ]
    )
