"""The card's pictures."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from glove_bilstm.hub.assessment import Calibration

MOST_LABELS = 30
"""With more, a confusion matrix can't be read."""
MOST_COUNTS = 12
"""Up to how many labels the counts are written into it."""
BLUE, GREY = "#2f6db3", "#8a8f98"


def _save(figure: Figure, file: Path) -> None:
    # "tight": the layout leaves a narrow matrix's labels outside the figure.
    figure.savefig(file, dpi=110, bbox_inches="tight", pad_inches=0.1)


def draw_confusions(counts: np.ndarray, labels: list[str], file: Path) -> None:
    """Draw a confusion matrix; a cell's colour is its share of its row.

    Args:
        counts: ``[C, C]``, a row for the true class, a column for the predicted one.
        labels: The labels' names.
        file: Where to, as PNG.
    """
    size = max(3.2, 0.5 * len(labels) + 1.6)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places, names = range(len(labels)), [_short(label) for label in labels]
    axes.set_xticks(places, names, rotation=45 if len(labels) > 2 else 0, ha="right" if len(labels) > 2 else "center")
    axes.set_yticks(places, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= MOST_COUNTS:
        for row in places:
            for column in places:
                colour = "white" if shares[row, column] > 0.55 else "black"
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the row", format=PercentFormatter(1), shrink=0.8)
    _save(figure, file)


def draw_reliability(calibration: Calibration, of_labels: bool, file: Path) -> None:
    """Draw how often answers of each probability are right, and how many there are of each.

    Args:
        calibration: What is drawn.
        of_labels: It is of all labels of each text, of which any number may be true, and not of answers.
        file: Where to, as PNG.
    """
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "--", color=GREY, label="as often as said" if of_labels else "as sure as right")
    above.plot(calibration.confidence, calibration.right, "o-", color=BLUE, label="this model")
    above.set_ylabel("share that is true" if of_labels else "share that is right")
    above.set_ylim(-0.02, 1.02)
    above.yaxis.set_major_formatter(PercentFormatter(1))
    above.legend(loc="upper left", frameon=False)
    below.bar(calibration.confidence, calibration.counts, width=0.03, color=BLUE)
    below.set_yscale("symlog")
    below.set_ylabel("labels" if of_labels else "answers")
    below.set_xlabel("probability")
    below.set_xlim(-0.02, 1.02)
    below.xaxis.set_major_formatter(PercentFormatter(1))
    _save(figure, file)


def draw_values(values: np.ndarray, references: np.ndarray, name: str, file: Path) -> None:
    """Draw a regressor's values over the right ones, ``[N]`` each."""
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    axes = figure.subplots()
    ends = [float(min(values.min(), references.min())), float(max(values.max(), references.max()))]
    axes.plot(ends, ends, "--", color=GREY)
    axes.plot(references, values, ".", color=BLUE, alpha=0.5)
    axes.set_xlabel(f"{_short(name)}, true")
    axes.set_ylabel("predicted")
    _save(figure, file)


def _short(label: str) -> str:
    """A label as it fits, its dollar signs not taken for formulas."""
    text = " ".join(label.split())
    return (text if len(text) <= 24 else f"{text[:23]}…").replace("$", r"\$")
