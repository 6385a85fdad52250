"""Which tokenization profile fits word vectors, and why text isn't covered where none does."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from glove_bilstm.tokenization.profiles import PROFILES
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.vectors.alignment import Coverage, measure_coverage
from glove_bilstm.vectors.sources import find_source
from glove_bilstm.vectors.spelling import forms
from glove_bilstm.vectors.word_vectors import NGRAM, WordVectors, load_vectors

AUTO = "auto"
SAMPLE = 2_000
"""Texts that are looked at."""
CASED, UNCASED = ("glove-cased", "word2vec-google-news"), ("glove", "glove-twitter", "whitespace")


def choose_profile(texts: Sequence[str], vectors: str | Path, use_cache: bool = True) -> tuple[str, str]:
    """The tokenization profile that belongs to word vectors.

    Their name tells, if it is known. Otherwise each profile is tried on a sample of the texts, and the one whose words
    are covered best by token is taken; where several are as good to a tenth of a percent, one that keeps case if the
    vectors do, and that lower-cases if they don't.

    Args:
        texts: Training texts.
        vectors: The name or the path of the vectors.
        use_cache: As for `load_vectors`.

    Returns:
        The profile's name, and how it was found, in words.
    """
    source = find_source(vectors)
    if source.profile is not None:
        return source.profile, f"it belongs to {source.name}"
    shares = {name: own_share(coverage) for name, coverage in try_profiles(texts, vectors, use_cache).items()}
    best = max(shares, key=lambda name: round(shares[name], 3))  # of equals the first
    tried = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    return best, f"tried on a sample of the texts, tokens with a vector: {tried}"


def own_share(coverage: Coverage) -> float:
    """The share of tokens with a vector of their own: one from n-grams every word has, however it is split."""
    return (coverage.tokens_found - coverage.tokens_found_as.get(NGRAM, 0)) / max(coverage.tokens_total, 1)


def sample(texts: Sequence[str]) -> list[str]:
    """`SAMPLE` of the texts from all over them: data sets are often sorted."""
    return [texts[position] for position in range(0, len(texts), max(len(texts) // SAMPLE, 1))][:SAMPLE]


def try_profiles(texts: Sequence[str], vectors: str | Path, use_cache: bool = True) -> dict[str, Coverage]:
    """The coverage of a sample of the texts under each profile; first those that treat case as the vectors do."""
    counts = {name: count_words(sample(texts), name) for name in PROFILES}
    spellings = {spell(word) for name in PROFILES for spell in forms(name).values() for word in counts[name]}
    loaded = load_vectors(vectors, words=spellings, profile="whitespace", use_cache=use_cache)
    keep_case = any(word != word.lower() for word in loaded.words)
    order = (*CASED, *UNCASED) if keep_case else (*UNCASED, *CASED)
    vectors_by_profile = {name: WordVectors(loaded.words, loaded.matrix, name, loaded.report) for name in order}
    return {name: measure_coverage(counts[name], tried, counts[name]) for name, tried in vectors_by_profile.items()}


def likely_cause(
    texts: Sequence[str], vectors: str | Path, profile: str, coverage: Coverage, use_cache: bool = True
) -> str:
    """Why so many of the texts' tokens have no vector: case, tokenisation, or language; a sentence or two.

    Args:
        texts: The texts.
        vectors: The name or the path of the vectors.
        profile: The profile that the coverage was measured with.
        coverage: Of the texts.
        use_cache: As for `load_vectors`.
    """
    head = load_vectors(vectors, limit=SAMPLE, use_cache=use_cache)
    missing = Counter(dict(coverage.missing))
    script, own_script = _script(missing), _script(dict.fromkeys(head.words, 1))
    if script and script != own_script:
        return f"Most likely the language: the missing words are in {script} letters, the vectors' in {own_script}."

    variants = {spell(word) for word in missing for spell in (str.lower, str.upper, str.capitalize)}
    found = load_vectors(vectors, words=variants, profile=profile, use_cache=use_cache)
    by_case = sum(
        count for word, count in missing.items() if any(spell(word) in found for spell in (str.upper, str.capitalize))
    )
    if by_case > missing.total() / 2:
        return (
            f"Most likely the case of letters: {by_case / missing.total():.0%} of the missing tokens have a vector "
            "with other case. A profile that belongs to cased vectors, such as --profile glove-cased, finds them."
        )

    shares = {name: own_share(tried) for name, tried in try_profiles(texts, vectors, use_cache).items()}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] > coverage.token_share + 0.05:
        return (
            f"Most likely the tokenisation: split as --profile {best} does, {shares[best]:.0%} of the tokens have a "
            "vector."
        )
    odd = sum(count for word, count in missing.items() if not word.isalpha())
    if odd > missing.total() / 2:
        return (
            f"Most likely the tokenisation: {odd / missing.total():.0%} of the missing tokens hold digits or "
            "punctuation, which these vectors lack or write in another way."
        )
    shown = ", ".join(repr(word) for word, _ in missing.most_common(5))
    return (
        "Most likely the language or the subject: the words are split and cased as the vectors' own, which simply "
        f"lack them ({shown}, …). Larger vectors, or some of another domain, may have them."
    )


def _script(words: Counter[str] | dict[str, int]) -> str:
    """The script that most words are written in, as Unicode names it: LATIN, CYRILLIC, …; "" if none has letters."""
    scripts: Counter[str] = Counter()
    for word, count in words.items():
        letter = next((character for character in word if character.isalpha()), None)
        if letter is not None:
            scripts[unicodedata.name(letter, "UNKNOWN").split(" ")[0]] += count
    return scripts.most_common(1)[0][0] if scripts else ""
