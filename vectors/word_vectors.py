"""Word vectors in memory."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from glove_bilstm.vectors.alignment import fallback_forms
from glove_bilstm.vectors.formats import read_glove
from glove_bilstm.vectors.sources import find_source


class WordVectors:
    """Words and their vectors, in the order of the file they came from.

    Attributes:
        words: The words; published files hold the most frequent first.
        matrix: Their vectors, float32 ``[len(words), dim]``.
    """

    def __init__(self, words: list[str], matrix: np.ndarray) -> None:
        """Pair each word with the row of `matrix` at the same position.

        Raises:
            ValueError: `matrix` isn't float32 with one row a word, or a word occurs twice.
        """
        if matrix.dtype != np.float32 or matrix.ndim != 2 or len(matrix) != len(words):
            raise ValueError(
                f"The matrix must be float32 with one row for each of the {len(words)} words; "
                f"it is {matrix.dtype} {list(matrix.shape)}."
            )
        self.words = words
        self.matrix = matrix
        self._index = {word: position for position, word in enumerate(words)}
        if len(self._index) != len(words):
            raise ValueError("A word occurs twice; each word has one row.")

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return self.matrix.shape[1]

    def __len__(self) -> int:
        """How many words there are."""
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        """Whether the word, spelled exactly so, has a vector."""
        return word in self._index

    def __getitem__(self, word: str) -> np.ndarray:
        """The vector of a word, float32 ``[dim]``: a view of its row in `matrix`.

        Raises:
            KeyError: The word, spelled exactly so, has no vector.
        """
        return self.matrix[self._index[word]]

    def most_similar(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The `k` other words whose vectors have the highest cosine similarity with this word's, best first.

        Raises:
            KeyError: The word has no vector.
        """
        norms = np.linalg.norm(self.matrix, axis=1)  # [n]
        query = self[word] / max(np.linalg.norm(self[word]), np.finfo(np.float32).tiny)  # [dim]
        similarities = self.matrix @ query / np.maximum(norms, np.finfo(np.float32).tiny)  # [n]
        similarities[self._index[word]] = -np.inf
        best = np.argsort(-similarities, kind="stable")[: min(k, len(self) - 1)]
        return [(self.words[position], float(similarities[position])) for position in best]


def load_vectors(name: str | Path, words: Iterable[str] | None = None, limit: int | None = None) -> WordVectors:
    """Read word vectors, holding only the rows that are wanted.

    Args:
        name: ``"demo"`` for the bundled vectors, or the path of a GloVe text file, plain or gzipped.
        words: The words that are wanted. The other spellings that `embedding_matrix` falls back to (lower case) are
            kept as well. None: every word of the file.
        limit: Look at the first `limit` rows of the file only, which hold the most frequent words.

    Returns:
        The vectors found, in the file's order. Their values are those of the file, as float32.

    Raises:
        InputError: There is no such file, or it doesn't hold word vectors; the message names file and row.
        ValueError: `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1; it is {limit}.")
    wanted = None if words is None else {form for word in words for form in fallback_forms(word)}
    found: list[str] = []
    rows: list[np.ndarray] = []
    for word, row in read_glove(find_source(name).path, wanted, limit):
        found.append(word)
        rows.append(row)
    return WordVectors(found, np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32))
