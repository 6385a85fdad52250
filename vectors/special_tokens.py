"""The tokens that a vocabulary begins with, named once."""

from collections import Counter
from collections.abc import Iterable, Mapping

PAD_TOKEN = "<pad>"
UNK_TOKEN = "<unk>"
SPECIAL_TOKENS = (PAD_TOKEN, UNK_TOKEN)
"""In the order of their ids: padding is 0, the unknown word 1."""
PAD_ID, UNK_ID = range(len(SPECIAL_TOKENS))
SEP_TOKEN = "<sep>"
"""Stands between the two texts of a pair. Only a vocabulary for pairs has it, as id 2."""
NO_WORDS = (*SPECIAL_TOKENS, SEP_TOKEN)
"""Tokens that no vectors are looked up for."""


def in_id_order(vocabulary: Iterable[str] | Mapping[str, int]) -> list[str]:
    """All tokens of a vocabulary in the order of their ids: the special tokens, then the words.

    `<sep>` is among the special tokens if it is in the vocabulary.

    Args:
        vocabulary: Ordered words, with or without the special tokens, or a tokenizer's ``get_vocab()`` (word → id).

    Raises:
        ValueError: It is one string, or holds what is none; a word occurs twice; or the ids given aren't the places
            where the tokens come to stand.
    """
    if isinstance(vocabulary, str):
        raise ValueError(f"The vocabulary is the one string {vocabulary[:60]!r}; give a list of words.")
    ordered = sorted(vocabulary, key=vocabulary.__getitem__) if isinstance(vocabulary, Mapping) else list(vocabulary)
    for word in ordered:
        if not isinstance(word, str):
            raise ValueError(f"The vocabulary holds {word!r}, which isn't a string.")
    words = [word for word in ordered if word not in NO_WORDS]
    if len(set(words)) != len(words):
        ((repeated, _),) = Counter(words).most_common(1)
        raise ValueError(f"The vocabulary holds {repeated!r} twice; each word has one id.")
    tokens = [*SPECIAL_TOKENS, *([SEP_TOKEN] if SEP_TOKEN in ordered else []), *words]
    if isinstance(vocabulary, Mapping):
        for position, token in enumerate(tokens):
            if vocabulary.get(token) != position:
                raise ValueError(
                    f"The vocabulary gives {token!r} the id {vocabulary.get(token)}, and here it must be {position}: "
                    f"{PAD_TOKEN} is {PAD_ID}, {UNK_TOKEN} is {UNK_ID}, {SEP_TOKEN} for pairs 2, and the words follow "
                    "without a gap. Give a list of the words for a new vocabulary."
                )
    return tokens
