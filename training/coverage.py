"""How much of each split the word vectors cover."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from glove_bilstm.vectors.alignment import Coverage, measure_coverage
from glove_bilstm.vectors.word_vectors import WordVectors, load_vectors

HEAD = 50_000
"""Rows of the vectors among which a missing word's nearest spelling is looked for."""


def load_and_measure(
    counts: Mapping[str, Counter[str]],
    vectors: str | Path,
    profile: str,
    use_cache: bool = True,
    also: Iterable[str] = (),
) -> tuple[WordVectors, dict[str, Coverage]]:
    """Load the vectors of the splits' words, and measure how much of each split they cover.

    Args:
        counts: Split → its words and their occurrences.
        vectors: The name or the path of the vectors.
        profile: The tokenization profile that the words were split with.
        use_cache: As for `load_vectors`.
        also: Further words whose vectors are wanted.

    Returns:
        The vectors; and split → coverage, with the nearest known spelling of what is missing most.
    """
    loaded = load_vectors(vectors, set(also).union(*counts.values()), profile=profile, use_cache=use_cache)
    # What is missing may be near to a word that isn't in these texts.
    head = load_vectors(vectors, limit=HEAD, profile=profile, use_cache=use_cache)
    known = list(dict.fromkeys([*head.words, *loaded.words]))
    return loaded, {name: measure_coverage(words, loaded, words).with_nearest(known) for name, words in counts.items()}
