"""Counting words into an ordered vocabulary."""

from collections import Counter
from collections.abc import Iterable

from tqdm.auto import tqdm

from glove_bilstm.tokenization.profiles import find_profile


def count_words(texts: Iterable[str], profile: str = "glove") -> Counter[str]:
    """Count the words of texts, split as the tokenizer of that profile splits them.

    Args:
        texts: Any number of texts; they are taken one after the other, so a generator need not fit in memory.
        profile: The tokenization profile.

    Returns:
        Word → occurrences.
    """
    chosen = find_profile(profile)
    normalizer, pre_tokenizer = chosen.make_normalizer(), chosen.make_pre_tokenizer()
    counts: Counter[str] = Counter()
    for text in tqdm(texts, desc="Counting words", unit="text", delay=2, leave=False, disable=None):
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    return counts


def build_vocabulary(
    texts: Iterable[str] | Counter[str],
    profile: str = "glove",
    min_frequency: int = 1,
    max_size: int | None = None,
    extra_words: Iterable[str] = (),
) -> list[str]:
    """Make the ordered vocabulary of a task: the most frequent word first, words of equal frequency by the alphabet.

    Args:
        texts: The training texts, or their words as `count_words` gives them.
        profile: The tokenization profile; not used where the words are counted already.
        min_frequency: Leave out words of the texts that occur less often.
        max_size: Keep this many of the texts' words at the most.
        extra_words: Words that follow those of the texts, in the order given; for instance the head of a vectors
            file, so that words the training texts never had still have their vector afterwards.

    Returns:
        The words, without the special tokens: the tokenizer and the embedding matrix put those in front.
    """
    counts = texts if isinstance(texts, Counter) else count_words(texts, profile)
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    words = [word for word, count in ordered if count >= min_frequency][:max_size]
    return list(dict.fromkeys([*words, *extra_words]))
