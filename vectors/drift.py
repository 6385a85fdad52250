"""How far training moved word vectors."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BANDS = {1: "1", 2: "2–9", 10: "10–99", 100: "100+"}
"""Of occurrences in training: the lowest of each band, and what it is called."""
_ROWS = 4096
"""Rows that are looked at together, as float64: of 300 numbers, 10 MB."""


@dataclass(frozen=True)
class Spread:
    """How some values are spread."""

    mean: float
    median: float
    percentile_95: float
    maximum: float


@dataclass(frozen=True)
class Band:
    """The words that training met about equally often.

    Attributes:
        words: How many there are.
        mean_distance: How far they moved, those that stayed among them.
    """

    words: int
    mean_distance: float


@dataclass(frozen=True)
class MovedWord:
    """One word that moved.

    Attributes:
        word: The word.
        count: Its occurrences in training. None: nothing was counted.
        distance: From where it was to where it is, Euclidean.
        cosine: Between the two. None: one of them is zero.
        nearest_before: The words whose vectors had the highest cosine with its own, the nearest first. Only positive
            cosines count, so that a zero vector is near to none.
        nearest_after: The same after training.
    """

    word: str
    count: int | None
    distance: float
    cosine: float | None
    nearest_before: list[str]
    nearest_after: list[str]

    def cells(self) -> list[str]:
        """Its occurrences, distance and cosine as tables show them."""
        return [
            "" if self.count is None else f"{self.count:,}",
            f"{self.distance:.3g}",
            "" if self.cosine is None else f"{self.cosine:.3f}",
        ]


@dataclass(frozen=True)
class Drift:
    """How far training moved the words of a vocabulary.

    Attributes:
        words: All words.
        unmoved: Those whose numbers are what they were, every one of them.
        distance: Of the words that moved, Euclidean. None: none did.
        relative: Their distances by their original lengths, where these aren't zero. None: there are no such words.
        cosine: Between before and after, the mean of the words that moved, where neither is zero. None: as above.
        by_count: The words by their occurrences in training; see `BANDS`. A band without words is absent.
        most_moved: The words that moved farthest, the farthest first.
    """

    words: int
    unmoved: int
    distance: Spread | None
    relative: Spread | None
    cosine: float | None
    by_count: dict[str, Band]
    most_moved: list[MovedWord]

    @property
    def unmoved_share(self) -> float:
        """The share of words that didn't move, 0 to 1."""
        return self.unmoved / max(self.words, 1)

    def __str__(self) -> str:
        """The one line that everybody wants to see."""
        text = f"{self.words - self.unmoved:,} of {self.words:,} words moved ({1 - self.unmoved_share:.1%})"
        if self.distance is not None:
            far = self.distance
            text += (
                f", by {far.mean:.3g} on average (median {far.median:.3g}, 95th percentile {far.percentile_95:.3g}, "
                f"maximum {far.maximum:.3g})"
            )
        if self.relative is not None:
            text += f" or {self.relative.mean:.1%} of their length"
        return text if self.cosine is None else f"{text}; mean cosine with where they were {self.cosine:.3f}"

    def band_rows(self) -> list[list[str]]:
        """Each band's name, words and mean distance as tables show them."""
        return [[name, f"{band.words:,}", f"{band.mean_distance:.3g}"] for name, band in self.by_count.items()]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON holds them, to six digits."""
        return _rounded({**asdict(self), "unmoved_share": self.unmoved_share})


def measure_drift(
    words: list[str],
    before: np.ndarray,
    after: np.ndarray,
    counts: Mapping[str, int] | None,
    most: int = 20,
    neighbours: int = 5,
) -> Drift:
    """Compare the rows of an embedding before and after training.

    Beyond the two matrices it takes memory for a few numbers a word, and for `most` of them.

    Args:
        words: The vocabulary without its special tokens.
        before: Their vectors before training, float32 ``[V, D]``.
        after: Their vectors after it, float32 ``[V, D]``.
        counts: Occurrences of each word in the training texts. None: nothing is said by occurrences.
        most: How many of the words that moved farthest to name.
        neighbours: How many of their nearest words to name, of all words. Of equally near ones the first wins.

    Raises:
        ValueError: The matrices don't have one row a word each.
    """
    if not len(words) == len(before) == len(after):
        raise ValueError(
            f"There are {len(words):,} words, and {len(before):,} and {len(after):,} rows. Each word has one row "
            "before and one after; the special tokens' rows don't belong here."
        )
    # float64: squares of float32 numbers neither overflow nor vanish in it, so a distance is zero only where no number
    # has changed.
    distance, length_before, length_after, product = np.zeros((4, len(words)))  # [V] each
    for rows in _chunks(len(words)):
        old, new = before[rows].astype(np.float64), after[rows].astype(np.float64)  # [R, D]
        length_before[rows] = np.linalg.norm(old, axis=1)
        length_after[rows] = np.linalg.norm(new, axis=1)
        product[rows] = np.einsum("rd,rd->r", old, new)
        distance[rows] = np.linalg.norm(new - old, axis=1)
    moved = distance != 0  # [V]
    had_length = moved & (length_before > 0)
    has_angle = had_length & (length_after > 0)
    cosine = np.full(len(words), np.nan)  # [V]
    cosine[has_angle] = product[has_angle] / (length_before * length_after)[has_angle]

    occurrences = None if counts is None else np.array([counts.get(word, 0) for word in words], dtype=np.int64)  # [V]
    farthest = np.argsort(-distance, kind="stable")[: min(most, int(moved.sum()))]  # [M]
    nearest_before = _nearest(words, before, length_before, farthest, neighbours)
    nearest_after = _nearest(words, after, length_after, farthest, neighbours)
    return Drift(
        words=len(words),
        unmoved=len(words) - int(moved.sum()),
        distance=_spread(distance[moved]),
        relative=_spread(distance[had_length] / length_before[had_length]),
        cosine=float(cosine[has_angle].mean()) if has_angle.any() else None,
        by_count={} if occurrences is None else _by_count(distance, occurrences),
        most_moved=[
            MovedWord(
                word=words[row],
                count=None if occurrences is None else int(occurrences[row]),
                distance=float(distance[row]),
                cosine=float(cosine[row]) if has_angle[row] else None,
                nearest_before=nearest_before[position],
                nearest_after=nearest_after[position],
            )
            for position, row in enumerate(farthest)
        ],
    )


def _spread(values: np.ndarray) -> Spread | None:
    """How values ``[N]`` are spread; None where there are none."""
    if not len(values):
        return None
    median, percentile_95 = np.percentile(values, [50, 95])
    return Spread(float(values.mean()), float(median), float(percentile_95), float(values.max()))


def _by_count(distance: np.ndarray, occurrences: np.ndarray) -> dict[str, Band]:
    """The words' distances ``[V]`` by their occurrences ``[V]``; words that training never met are in no band."""
    band_of = np.digitize(occurrences, list(BANDS)) - 1  # [V]
    bands = ((name, distance[band_of == band]) for band, name in enumerate(BANDS.values()))
    return {name: Band(len(inside), float(inside.mean())) for name, inside in bands if len(inside)}


def _nearest(
    words: list[str], matrix: np.ndarray, lengths: np.ndarray, queries: np.ndarray, number: int
) -> list[list[str]]:
    """The words nearest to each of some words.

    Args:
        words: All words.
        matrix: Their vectors, ``[V, D]``.
        lengths: The lengths of these, ``[V]``.
        queries: The rows of the words to find others for, ``[Q]``.
        number: How many to find.
    """
    divisors = np.where(lengths > 0, lengths, 1)  # [V]
    wanted = matrix[queries] / divisors[queries, None]  # [Q, D]
    # Computed as float64, whose last bits depend on where in a matrix a row stands; as float32, equal rows are equal.
    cosines = np.empty((len(queries), len(words)), dtype=np.float32)  # [Q, V]
    for rows in _chunks(len(words)):
        cosines[:, rows] = wanted @ (matrix[rows] / divisors[rows, None]).T
    cosines[np.arange(len(queries)), queries] = 0  # no word is near to itself
    found = []
    for row in cosines:
        least = np.partition(row, -number)[-number] if number < len(row) else 0
        near = np.flatnonzero((row >= least) & (row > 0))
        found.append([words[near[position]] for position in np.argsort(-row[near], kind="stable")[:number]])
    return found


def _chunks(number: int) -> Iterator[slice]:
    """The rows of a matrix, so many at a time that copies of them stay small."""
    return (slice(start, start + _ROWS) for start in range(0, number, _ROWS))


def _rounded(value: Any) -> Any:
    """The same JSON with its floats at six digits; small moves keep theirs."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
