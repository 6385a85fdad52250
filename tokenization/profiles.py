r"""How text is normalised and split, so that its words are spelled like the vectors' own.

A profile is a pair of parts for a `tokenizers.Tokenizer`; both run in Rust, and both keep the offsets into the
original text.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import normalizers, pre_tokenizers

from glove_bilstm.tokenization import glove, google_news, patterns, twitter


@dataclass(frozen=True)
class Profile:
    """A way of splitting text into words.

    Attributes:
        name: What users call it.
        make_normalizer: Rewrites characters, before the split.
        make_pre_tokenizer: Splits into words.
    """

    name: str
    make_normalizer: Callable[[], normalizers.Normalizer]
    make_pre_tokenizer: Callable[[], pre_tokenizers.PreTokenizer]


PROFILES = {
    profile.name: profile
    for profile in [
        Profile("glove", glove.normalizer, glove.pre_tokenizer),
        Profile("glove-cased", glove.cased_normalizer, glove.pre_tokenizer),
        Profile("glove-twitter", twitter.normalizer, twitter.pre_tokenizer),
        Profile("word2vec-google-news", google_news.normalizer, google_news.pre_tokenizer),
        # For text that is tokenised already, and vectors that were trained on text split in no other way.
        Profile("whitespace", lambda: normalizers.Sequence([]), lambda: patterns.tokens_matching(r"\S+")),
    ]
}
"""The profiles by name: for GloVe 6B and 42B; for GloVe 840B; for GloVe Twitter; for Google News; and for the rest."""


def find_profile(name: str) -> Profile:
    """Look a profile up by its name.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in PROFILES:
        nearest = difflib.get_close_matches(name, PROFILES, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"There is no tokenization profile {name!r}; there are: {', '.join(PROFILES)}.{hint}")
    return PROFILES[name]
