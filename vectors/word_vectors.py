"""Word vectors in memory."""

import logging
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from glove_bilstm.vectors import cache
from glove_bilstm.vectors.fasttext import NGrams
from glove_bilstm.vectors.formats import read_vectors
from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.safetensors_file import PROFILE, save_vectors
from glove_bilstm.vectors.sources import find_source
from glove_bilstm.vectors.spelling import forms, spellings
from glove_bilstm.vectors.streams import VectorsFile

logger = logging.getLogger(__name__)

DEFAULT_PROFILE = "whitespace"
"""Of vectors of which no other is known."""
NGRAM = "n-gram"
"""The form of a word whose vector a fastText model made from its character n-grams."""


_warned: set[tuple[object, ...]] = set()
"""The files, and what is wrong with them, that a user was told of already."""


class WordVectors:
    """Words and their vectors, in the order of the file they came from.

    Attributes:
        words: The words; published files hold the most frequent first.
        matrix: Their vectors, float32 ``[len(words), dim]``.
        profile: The tokenization profile whose spellings a word is looked for under.
        report: What was met while reading the file. None: they come from no file.
    """

    def __init__(
        self,
        words: list[str],
        matrix: np.ndarray,
        profile: str = DEFAULT_PROFILE,
        report: ReadReport | None = None,
        ngrams: NGrams | None = None,
    ) -> None:
        """Pair each word with the row of `matrix` at the same position.

        Args:
            words: The words.
            matrix: Their vectors, float32 ``[len(words), dim]``.
            profile: The tokenization profile.
            report: Of the reader. As many of the last words as it says were made from n-grams.
            ngrams: What makes the vector of a word that isn't among `words`.

        Raises:
            ValueError: `matrix` isn't float32 with one row a word, a word occurs twice, or there is no such profile.
        """
        if matrix.dtype != np.float32 or matrix.ndim != 2 or len(matrix) != len(words):
            raise ValueError(
                f"The matrix must be float32 with one row for each of the {len(words)} words; "
                f"it is {matrix.dtype} {list(matrix.shape)}. A NumPy matrix becomes float32 by .astype('float32')."
            )
        self.words = words
        self.matrix = matrix
        self.profile = profile
        self.report = report
        self._forms = forms(profile)
        self._ngrams = ngrams
        self._num_own = len(words) - (report.from_ngrams if report else 0)
        if report is None and len(set(words)) != len(words):  # a reader has seen to that
            raise ValueError("A word occurs twice; each word has one row.")

    @cached_property
    def _index(self) -> dict[str, int]:
        """Word → row; made when the first word is looked up, for it takes as long as mapping the rest."""
        return {word: row for row, word in enumerate(self.words)}

    def with_profile(self, profile: str) -> "WordVectors":
        """The same vectors, whose words are looked for under another profile's spellings, among the rows held here.

        `load_vectors` with `words` holds only their spellings under the profile that it is given.

        Raises:
            ValueError: There is no such profile.
        """
        return WordVectors(self.words, self.matrix, profile, self.report, self._ngrams)

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return self.matrix.shape[1]

    @property
    def forms(self) -> tuple[str, ...]:
        """How a word can be found, the best first; `find` names one of them."""
        return (*self._forms, NGRAM)

    def __len__(self) -> int:
        """How many words there are."""
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        """The words, in their order."""
        return iter(self.words)

    def __repr__(self) -> str:
        """How many words, and of what dimension."""
        return f"{type(self).__name__}({len(self):,} words, {self.dim} dimensions, profile {self.profile!r})"

    def __contains__(self, word: object) -> bool:
        """Whether the word, spelled exactly so, has a vector here; one made on demand isn't here yet."""
        return word in self._index

    def __getitem__(self, word: str) -> np.ndarray:
        """The vector of a word, float32 ``[dim]``: a view of its row in `matrix`, or made from its n-grams.

        Raises:
            KeyError: The word, spelled exactly so, has no vector.
        """
        row = self._index.get(word)
        if row is not None:
            return self.matrix[row]
        made = self._ngrams.vector(word) if self._ngrams is not None else None
        if made is None:
            raise KeyError(word)
        return made

    def find(self, word: str) -> tuple[str, np.ndarray] | None:
        """Look a word up under all its spellings, and then by its n-grams.

        Returns:
            The form it was found in ("exact", "lower-cased", one of the profile's, "n-gram") and the vector, float32
            ``[dim]``; None if it has none.
        """
        for form, spell in self._forms.items():
            row = self._index.get(spell(word))
            if row is not None and row < self._num_own:
                return form, self.matrix[row]
        try:
            return NGRAM, self[word]
        except KeyError:
            return None

    def most_similar(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The `k` other words whose vectors have the highest cosine similarity with this word's, best first.

        Raises:
            KeyError: The word has no vector.
            ValueError: `k` is below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1; it is {k}.")
        norms = np.linalg.norm(self.matrix, axis=1)  # [n]
        query = self[word] / max(np.linalg.norm(self[word]), np.finfo(np.float32).tiny)  # [dim]
        similarities = self.matrix @ query / np.maximum(norms, np.finfo(np.float32).tiny)  # [n]
        if word in self:
            similarities[self._index[word]] = -np.inf
        best = np.argsort(-similarities, kind="stable")[: min(k, len(self) - (word in self))]
        return [(self.words[position], float(similarities[position])) for position in best]

    def save(self, path: str | Path) -> None:
        """Write words, vectors and profile as a safetensors file, which `load_vectors` maps into memory.

        The profile "whitespace" isn't written: it is what vectors have of which no other is known.

        Raises:
            ValueError: A word holds a newline.
        """
        known = {} if self.profile == DEFAULT_PROFILE else {PROFILE: self.profile}
        save_vectors(Path(path), self.words, self.matrix, known)


def load_vectors(
    name: str | Path,
    words: Iterable[str] | None = None,
    limit: int | None = None,
    profile: str | None = None,
    use_cache: bool = True,
) -> WordVectors:
    """Read word vectors, holding only the rows that are wanted.

    The format is told by the file's content: GloVe's text, word2vec's text and binary, fastText's ``.vec`` and
    ``.bin``, plain or compressed as gz, bz2, xz, zst or zip; and safetensors. What was read is kept in ``HF_HOME``
    and mapped into memory the next time.

    Args:
        name: The name of a published set, such as ``"glove.6B.100d"``, which is fetched the first time; ``"demo"`` for
            the bundled vectors; or the path of a file. Of a zip archive with several files, one of them after a colon:
            ``"glove.6B.zip:100d"``.
        words: The words that are wanted. The other spellings that `embedding_matrix` falls back to are kept as well,
            and a fastText ``.bin`` makes vectors for words that it doesn't have. None: every word of the file.
        limit: Look at the first `limit` rows of the file only, which hold the most frequent words.
        profile: The tokenization profile whose spellings a word is looked for under. None: the one that
            `WordVectors.save` wrote, or that belongs to the vectors by their name, or "whitespace".
        use_cache: Look into the cache, and write what was read to it.

    Returns:
        The vectors found, in the file's order. Their values are those of the file, as float32.

    Raises:
        InputError: There is no such file, or it can't be read as word vectors; the message names file and row.
        ValueError: `limit` is below 1, `words` isn't an iterable of strings, or there is no such profile.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1; it is {limit}.")
    if isinstance(words, str):
        raise ValueError(f"words is the one string {words!r}; give a list of words.")
    source = find_source(name)
    profile = profile or source.profile or DEFAULT_PROFILE
    words = None if words is None else list(words)
    if words is not None and not all(isinstance(word, str) for word in words):
        wrong = next(word for word in words if not isinstance(word, str))
        raise ValueError(f"words holds {wrong!r}, which isn't a string.")
    # Of all words the profile changes nothing that is read.
    place = cache.entry(source.file, words, limit, profile if words is not None else "") if use_cache else None
    loaded = cache.read_entry(place, source.file) if place is not None else None
    if loaded is None:
        # Sorted: what is made from n-grams comes in this order, and the cache must not depend on who filled it.
        wanted = None if words is None else {word: spellings(word, profile) for word in sorted(set(words))}
        loaded = read_vectors(source.file, wanted, limit)
        # A safetensors file is mapped as it is.
        if place is not None and loaded.report.format != "safetensors":
            cache.write_entry(place, loaded)
    _warn_once(source.file, loaded.report)
    return WordVectors(loaded.words, loaded.matrix, profile, loaded.report, loaded.ngrams)


def _warn_once(file: VectorsFile, report: ReadReport) -> None:
    """Say what is wrong with a file, however often it is read."""
    faults = (str(file), report.malformed, report.undecodable, report.header_lied)
    if not report.is_clean and faults not in _warned:
        _warned.add(faults)
        logger.warning(f"Read {report}")
