"""Counting words into an ordered vocabulary."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer
from tqdm.auto import tqdm

from glove_bilstm.tokenization.profiles import find_profile
from glove_bilstm.vectors.special_tokens import NO_WORDS
from glove_bilstm.vectors.word_vectors import WordVectors, load_vectors


def splitter(normalizer: Normalizer, pre_tokenizer: PreTokenizer) -> Callable[[str], list[str]]:
    """A function that splits a text into words as a tokenizer of these parts does."""
    return lambda text: [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))]


def make_splitter(profile: str) -> Callable[[str], list[str]]:
    """A function that splits a text into words as the tokenizer of that profile does."""
    chosen = find_profile(profile)
    return splitter(chosen.make_normalizer(), chosen.make_pre_tokenizer())


def as_one_word(split: Callable[[str], list[str]], word: str) -> str | None:
    """How a splitter spells a word; None if it makes several words or none of it, whatever stands behind it."""
    alone = split(word)
    if len(alone) == 1:
        return alone[0]
    # "mr." keeps its full stop only where something follows.
    *parts, last = split(f"{word} x") or [""]
    return parts[0] if len(parts) == 1 and last == "x" else None


def count_words(texts: Iterable[str], profile: str = "glove") -> Counter[str]:
    """Count the words of texts, split as the tokenizer of that profile splits them.

    Args:
        texts: Any number of texts; they are taken one after the other, so a generator need not fit in memory.
        profile: The tokenization profile.

    Returns:
        Word → occurrences.

    Raises:
        ValueError: `texts` is one string, or one of them isn't a string, or is none that UTF-8 can hold.
    """
    return count_split(texts, make_splitter(profile))


def count_split(texts: Iterable[str], split: Callable[[str], list[str]]) -> Counter[str]:
    """Count the words that a splitter makes of texts.

    Raises:
        ValueError: `texts` is one string, or one of them isn't a string, or is none that UTF-8 can hold.
    """
    if isinstance(texts, str):
        raise ValueError(f"texts is the one string {texts[:60]!r}; give a list of texts.")
    counts: Counter[str] = Counter()
    progress = tqdm(texts, desc="Counting words", unit="text", delay=2, leave=False, disable=None)
    for number, text in enumerate(progress, 1):
        try:
            counts.update(split(text))
        except (TypeError, UnicodeEncodeError) as error:
            raise ValueError(f"Text {number:,} is {text!r:.60}, which can't be split into words ({error}).") from error
    return counts


def build_vocabulary(
    texts: Iterable[str] | Mapping[str, int],
    profile: str = "glove",
    min_frequency: int = 1,
    max_size: int | None = None,
    extra_words: int = 0,
    vectors: WordVectors | str | Path | None = None,
) -> list[str]:
    """Make the ordered vocabulary of a task: the most frequent word first, words of equal frequency by the alphabet.

    Args:
        texts: The training texts, or their words and how often each occurs, as `count_words` gives them.
        profile: The tokenization profile.
        min_frequency: Leave out words of the texts that occur less often.
        max_size: Keep this many of the texts' words at the most.
        extra_words: Add the words among the first `extra_words` rows of the vectors, the most frequent ones, so that
            words the training texts never had have their vector when the model is used. Those that text split by the
            profile can never give (upper-case ones where it lower-cases) are left out.
        vectors: Where the extra words come from: what `load_vectors` gave, or takes.

    Returns:
        The words, without the special tokens: the tokenizer and the embedding matrix put those in front.

    Raises:
        ValueError: Extra words are wanted, but no vectors are given; a number is negative; or the texts are none, as
            `count_words` says.
    """
    if extra_words < 0 or (max_size is not None and max_size < 0):
        raise ValueError(f"extra_words={extra_words} and max_size={max_size} can't be negative.")
    counts = texts if isinstance(texts, Mapping) else count_words(texts, profile)
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    words = [word for word, count in ordered if count >= min_frequency and word not in NO_WORDS][:max_size]
    if not extra_words:
        return words
    if vectors is None:
        raise ValueError(f"extra_words={extra_words} come from the vectors; give vectors too.")
    if not isinstance(vectors, WordVectors):
        vectors = load_vectors(vectors, limit=extra_words)
    split = make_splitter(profile)
    extra = [word for word in vectors.words[:extra_words] if as_one_word(split, word) == word and word not in NO_WORDS]
    return list(dict.fromkeys([*words, *extra]))
