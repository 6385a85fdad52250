"""Vocabulary × vectors → embedding matrix, and how much of the text the vectors cover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.special_tokens import NO_WORDS, PAD_ID, UNK_ID, in_id_order

if TYPE_CHECKING:
    from glove_bilstm.vectors.word_vectors import WordVectors

BLOCK = 4096
"""Rows that are reckoned with together."""
OutOfVocabulary = Literal["normal", "zeros", "mean"]


@dataclass(frozen=True)
class Coverage:
    """How many words have a vector, by type (distinct word) and by token (occurrence).

    Attributes:
        types_found: Types with a vector.
        types_total: All types.
        tokens_found: Occurrences of the types found; 0 where nothing was counted.
        tokens_total: Occurrences of all types; 0 where nothing was counted.
        found_as: How many types were found in which form: "exact", "lower-cased", those of the vectors' tokenization
            profile, "n-gram".
        tokens_found_as: How many tokens.
        missing: The types without a vector and their occurrences, the most frequent first.
        nearest: Of the most frequent missing types, the most similar spelling that has a vector; see `with_nearest`.
    """

    types_found: int
    types_total: int
    tokens_found: int
    tokens_total: int
    found_as: dict[str, int]
    tokens_found_as: dict[str, int]
    missing: list[tuple[str, int]]
    nearest: dict[str, str] = field(default_factory=dict)

    @property
    def type_share(self) -> float:
        """The share of types with a vector, 0 to 1."""
        return self.types_found / max(self.types_total, 1)

    @property
    def token_share(self) -> float:
        """The share of tokens with a vector, 0 to 1."""
        return self.tokens_found / max(self.tokens_total, 1)

    def shares(self, by_token: bool) -> dict[str, float]:
        """The shares found as spelled, in another spelling, from n-grams, and not at all; they add up to 1."""
        found = self.tokens_found_as if by_token else self.found_as
        total = self.tokens_total if by_token else self.types_total
        exact, ngrams = found.get("exact", 0), found.get("n-gram", 0)
        parts = {
            "exact": exact,
            "folded": sum(found.values()) - exact - ngrams,
            "n-grams": ngrams,
            "missing": total - sum(found.values()),
        }
        return {name: part / max(total, 1) for name, part in parts.items()}

    def __str__(self) -> str:
        """The one line that everybody wants to see."""
        text = f"found {self.types_found:,} of {self.types_total:,} types ({self.type_share:.1%})"
        return f"{text}, {self.token_share:.1%} of tokens" if self.tokens_total else text

    def to_dict(self, most_missing: int = 100) -> dict[str, Any]:
        """The figures as JSON holds them, with the `most_missing` most frequent missing words."""
        return {
            "types_found": self.types_found,
            "types_total": self.types_total,
            "type_share": round(self.type_share, 6),
            "tokens_found": self.tokens_found,
            "tokens_total": self.tokens_total,
            "token_share": round(self.token_share, 6),
            "found_as": self.found_as,
            "tokens_found_as": self.tokens_found_as,
            "missing": [
                {"word": word, "tokens": tokens, "nearest": self.nearest.get(word)}
                for word, tokens in self.missing[:most_missing]
            ],
        }

    def with_nearest(self, known: Iterable[str], most_missing: int = 100) -> Coverage:
        """The same, with the nearest known spelling of the most frequent missing types.

        A spelling is near if few insertions, deletions, substitutions and swaps of neighbours (optimal string
        alignment) lead to it: one for words of up to seven characters, one more for every four beyond. Of equally near
        ones the first wins.

        Args:
            known: The words that have a vector, the most frequent first.
            most_missing: How many missing types to look at.
        """
        choices = list(known)
        nearest = {}
        for word, _ in self.missing[:most_missing]:
            # A word of one or two characters has everything of its length near it.
            if len(word) > 2:
                found = process.extractOne(word, choices, scorer=OSA.distance, score_cutoff=max(len(word) // 4, 1))
                if found is not None:
                    nearest[word] = found[0]
        return replace(self, nearest=nearest)


def measure_coverage(words: Iterable[str], vectors: WordVectors, counts: Mapping[str, int] | None = None) -> Coverage:
    """Look every word up, as `embedding_matrix` does, and count what is found.

    Args:
        words: The types. Special tokens among them aren't counted.
        vectors: The vectors; only those that are loaded count.
        counts: Occurrences of each word, for the figures by token. None: types only.
    """
    types = [word for word in words if word not in NO_WORDS]
    return _coverage(types, [found and found[0] for found in map(vectors.find, types)], vectors, counts)


def _coverage(
    types: list[str], found: list[str | None], vectors: WordVectors, counts: Mapping[str, int] | None
) -> Coverage:
    """Count types, and the forms that each was found in."""
    found_as = dict.fromkeys(vectors.forms, 0)
    tokens_found_as = dict.fromkeys(vectors.forms, 0)
    missing: list[tuple[str, int]] = []
    for word, form in zip(types, found, strict=True):
        occurrences = 0 if counts is None else counts.get(word, 0)
        if form is None:
            missing.append((word, occurrences))
        else:
            found_as[form] += 1
            tokens_found_as[form] += occurrences
    missing.sort(key=lambda entry: -entry[1])
    tokens_found = sum(tokens_found_as.values())
    tokens = tokens_found + sum(occurrences for _, occurrences in missing)
    for form in [form for form, types_found in found_as.items() if types_found == 0]:
        del found_as[form], tokens_found_as[form]
    return Coverage(len(types) - len(missing), len(types), tokens_found, tokens, found_as, tokens_found_as, missing)


def embedding_matrix(
    vocabulary: Iterable[str] | Mapping[str, int],
    vectors: WordVectors,
    oov: OutOfVocabulary = "normal",
    seed: int = 0,
    counts: Counter[str] | None = None,
) -> tuple[np.ndarray, Coverage]:
    """Make the weights of an `nn.Embedding` from word vectors.

    Row 0 (padding) is zero. Row 1 (the unknown word) is the mean of the vectors found. A word with a vector has
    exactly that vector. A word without one, and `<sep>` where the vocabulary has it, gets what `oov` says.

    Args:
        vocabulary: Words in the order of their ids, with or without the special tokens in front (`<sep>` only if it's
            there), or a tokenizer's ``get_vocab()``.
        vectors: Where the rows come from.
        oov: The row of an out-of-vocabulary word: "normal", drawn from a normal distribution with the mean and the
            standard deviation of the vectors found, dimension by dimension; "zeros"; or "mean", their mean.
        seed: Of the draw. The same seed gives the same rows.
        counts: Occurrences of each word, so that the coverage can speak of tokens too.

    Returns:
        The matrix, float32 ``[len(vocabulary) with the special tokens, dim]``, and the coverage of the words.

    Raises:
        ValueError: `oov` isn't one of the three, or a word occurs twice.
        InputError: Not one word has a vector, or one has what isn't all finite numbers.
    """
    tokens = in_id_order(vocabulary)
    words = [token for token in tokens if token not in NO_WORDS]
    rows = [vectors.find(word) for word in words]
    coverage = _coverage(words, [row and row[0] for row in rows], vectors, counts)
    if coverage.types_found == 0:
        raise InputError(
            f"None of the {coverage.types_total:,} words has a vector. Are the vectors for another language, or are "
            "the words split or cased in another way than the vectors' own?"
        )

    matrix = np.zeros((len(tokens), vectors.dim), dtype=np.float32)  # [V, dim]
    found = np.zeros(len(tokens), dtype=bool)
    for position, row in enumerate(rows, len(tokens) - len(words)):
        if row is not None:
            matrix[position] = row[1]
            found[position] = True

    with np.errstate(invalid="ignore"):  # what isn't finite is seen below
        mean = matrix.mean(axis=0, dtype=np.float64, where=found[:, None])  # [dim]
    if not np.isfinite(mean).all():
        wrong = next(word for word, row in zip(words, rows, strict=True) if row and not np.isfinite(row[1]).all())
        raise InputError(f"The vector of {wrong!r} holds what is no finite number. Leave the word out.")
    absent = ~found
    absent[PAD_ID] = absent[UNK_ID] = False
    matrix[UNK_ID] = mean
    if oov == "normal":
        # A block of rows at a time: in float64 at once, they would take several times the matrix's own memory.
        squares = np.zeros(vectors.dim)
        for start in range(0, len(matrix), BLOCK):
            block = matrix[start : start + BLOCK][found[start : start + BLOCK]]
            squares = np.concatenate([squares[None], (block - mean) ** 2]).sum(axis=0)
        deviation = np.sqrt(squares / found.sum())  # [dim]
        draws = np.random.default_rng(seed)
        places = np.flatnonzero(absent)
        for start in range(0, len(places), BLOCK):
            drawn = places[start : start + BLOCK]
            matrix[drawn] = mean + deviation * draws.standard_normal((len(drawn), vectors.dim))
    elif oov == "mean":
        matrix[absent] = mean
    elif oov != "zeros":
        raise ValueError(f"oov={oov!r} is none of 'normal', 'zeros' and 'mean'.")
    return matrix, coverage
