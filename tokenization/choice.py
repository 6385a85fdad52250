"""Which tokenization profile fits word vectors, and why text isn't covered where none does."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from glove_bilstm.tokenization.profiles import PROFILES
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.vectors.alignment import Coverage
from glove_bilstm.vectors.sources import find_source
from glove_bilstm.vectors.word_vectors import load_vectors

AUTO = "auto"
SAMPLE = 2_000
"""Texts, and rows of the vectors, that are looked at."""
AS_GOOD = 0.01
"""Share of letters by which a profile may be better than the usual one before it is taken."""
LOW_COVERAGE = 0.8
"""Share of tokens; with fewer, something is wrong more often than not."""
GOOGLE_NEWS = "word2vec-google-news"
CASED, UNCASED = ("glove-cased", GOOGLE_NEWS), ("glove", "glove-twitter", "whitespace")
MARKERS = {"<user>": "glove-twitter", "<hashtag>": "glove-twitter", "##": GOOGLE_NEWS, "###": GOOGLE_NEWS}
"""Words that only one kind of vectors has among its most frequent → its profile."""
LEFT_OUT_OF_GOOGLE_NEWS = {"a", "and", "of", "to"}
WITHOUT_SPACES = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}
"""Scripts that don't divide words."""


def choose_profile(texts: Sequence[str], vectors: str | Path, use_cache: bool = True) -> tuple[str, str]:
    """The tokenization profile that belongs to word vectors.

    Their name tells, if it is known, or a word that only one kind of vectors has. Otherwise each profile is tried on a
    sample of the texts, and the one is taken under which most letters of the text are in words that the vectors have,
    in this or another case. (Tokens can't be compared: one profile makes words of punctuation, and another doesn't.)
    Where several are as good to a percentage point, one that keeps case if the vectors do; one that does is not tried
    if the vectors don't.

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
    head = load_vectors(vectors, limit=SAMPLE, use_cache=use_cache).words
    for marker, profile in MARKERS.items():
        if marker in head:
            return profile, f"the vectors have a word {marker!r}"
    shares = try_profiles(texts, vectors, use_cache)
    order = (*CASED, *UNCASED) if sum(word != word.lower() for word in head) > len(head) / 50 else UNCASED
    best = next(name for name in order if shares[name] >= max(map(shares.__getitem__, order)) - AS_GOOD)
    tried = ", ".join(f"{name} {shares[name]:.1%}" for name in order)
    return best, f"tried on a sample of the texts, letters in words with a vector: {tried}"


def sample(texts: Sequence[str]) -> list[str]:
    """`SAMPLE` of the texts from all over them: data sets are often sorted."""
    return [texts[position] for position in range(0, len(texts), max(len(texts) // SAMPLE, 1))][:SAMPLE]


def try_profiles(texts: Sequence[str], vectors: str | Path, use_cache: bool = True) -> dict[str, float]:
    """Under each profile, the share of a sample's letters that are in words with a vector, in this or another case."""
    chosen = sample(texts)
    letters = max(sum(map(_letters, chosen)), 1)
    counts = {name: count_words(chosen, name) for name in PROFILES}
    cases = (str, str.lower, str.capitalize, str.upper)
    wanted = {spell(word) for words in counts.values() for word in words for spell in cases}
    loaded = load_vectors(vectors, words=wanted, use_cache=use_cache)
    # Those made from n-grams come last, and every word has one, however it is split.
    own = set(loaded.words[: len(loaded) - (loaded.report.from_ngrams if loaded.report else 0)])
    return {
        name: sum(
            count * _letters(word)
            for word, count in words.items()
            if word in own
            or word.lower() in own
            or (name in CASED and not own.isdisjoint((word.capitalize(), word.upper())))
        )
        / letters
        for name, words in counts.items()
    }


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def share_without_absent(coverage: Coverage, profile: str) -> float:
    """The share of tokens with a vector, not counting tokens that such vectors lack by design.

    Google News' have no punctuation, and no "a", "and", "of" and "to".
    """
    absent = 0
    if profile == GOOGLE_NEWS:
        absent = sum(
            count
            for word, count in coverage.missing
            if word.lower() in LEFT_OUT_OF_GOOGLE_NEWS or not any(map(str.isalnum, word))
        )
    return coverage.tokens_found / max(coverage.tokens_total - absent, 1)


def warn_of_low_coverage(
    texts: Sequence[str], vectors: str | Path, profile: str, coverage: Coverage, use_cache: bool = True
) -> str | None:
    """What to tell a user whose text is hardly covered, with the likely cause; None where 80 % of the tokens are.

    Args:
        texts: The texts.
        vectors: The name or the path of the vectors.
        profile: The profile that the coverage was measured with.
        coverage: Of the texts.
        use_cache: As for `load_vectors`.
    """
    if coverage.tokens_total == 0:
        return "The texts hold no words."
    if coverage.token_share >= LOW_COVERAGE:
        return None
    of_others = share_without_absent(coverage, profile)
    if of_others >= LOW_COVERAGE:
        cause = (
            "These vectors have no punctuation, and no 'a', 'and', 'of' and 'to': of the other tokens "
            f"{of_others:.1%} have one, which is as it should be."
        )
    else:
        cause = likely_cause(texts, vectors, profile, coverage, use_cache)
    return f"Only {coverage.token_share:.1%} of the tokens have a vector. {cause}"


def likely_cause(
    texts: Sequence[str], vectors: str | Path, profile: str, coverage: Coverage, use_cache: bool = True
) -> str:
    """Why so many of the texts' tokens have no vector: case, tokenisation, or language; a sentence or two."""
    missing = Counter(dict(coverage.missing))
    head = load_vectors(vectors, limit=SAMPLE, use_cache=use_cache).words
    scripts, own_scripts = _scripts(missing), _scripts(Counter(head))
    script, own_script = (max(found, key=found.__getitem__, default="") for found in (scripts, own_scripts))
    if scripts[script] > missing.total() / 2 and script != own_script:
        if script in WITHOUT_SPACES and own_scripts[script] == 0 and own_script not in WITHOUT_SPACES:
            return f"Most likely the language: the text is in {script} characters, the vectors in {own_script}."
        if script not in WITHOUT_SPACES:
            return (
                f"Most likely the language: the missing words are in {script} letters, the vectors' in {own_script}."
            )
    if scripts[script] > missing.total() / 2 and script in WITHOUT_SPACES:
        return (
            f"Most likely the tokenisation: {script} text isn't divided into words by spaces. Divide it first, as the "
            "vectors' own text was, and take --profile whitespace."
        )

    cases = (str.lower, str.upper, str.capitalize)
    found = load_vectors(vectors, words={spell(word) for word in missing for spell in cases}, use_cache=use_cache)
    by_case = sum(count for word, count in missing.items() if any(spell(word) in found for spell in cases))
    if by_case > missing.total() / 2:
        return (
            f"Most likely the case of letters: {by_case / missing.total():.0%} of the missing tokens have a vector "
            "with other case. A profile that belongs to cased vectors, such as --profile glove-cased, finds them."
        )

    shares = try_profiles(texts, vectors, use_cache)
    best = max(shares, key=lambda name: shares[name])
    if shares[best] > shares[profile] + 0.05:
        return (
            f"Most likely the tokenisation: split as --profile {best} does, {shares[best]:.0%} of the letters are in "
            f"words with a vector, not {shares[profile]:.0%}."
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


def _scripts(words: Counter[str]) -> Counter[str]:
    """Occurrences of words by the script of their first letter, as Unicode names it (LATIN, CYRILLIC, …)."""
    scripts: Counter[str] = Counter()
    for word, count in words.items():
        letter = next(filter(str.isalpha, word), None)
        if letter is not None:
            scripts[unicodedata.name(letter, "UNKNOWN").split(" ")[0]] += count
    return scripts
