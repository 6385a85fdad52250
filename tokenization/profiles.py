r"""How text is normalised and split, so that its words are spelled like the vectors' own.

A profile is a pair of parts for a `tokenizers.Tokenizer`; both run in Rust, and both keep the offsets into the
original text. Every pattern is in Oniguruma's syntax.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Regex, normalizers, pre_tokenizers


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


def _glove_normalizer() -> normalizers.Normalizer:
    """Lower-case, compose accents, and fold typography to the ASCII that GloVe's training text was made of."""
    replacements = [
        # Mark-up and invisible characters. A zero-width joiner or a byte-order mark inside a word would hide the word.
        (r"<br\s*/?>", " "),
        (r"[\p{Cc}]", " "),
        (r"[\p{Cf}]", ""),
        # Apostrophes: the curly ones, and an accent or backtick typed for one between two letters.
        (r"[\u2018\u2019\u201B\u02BC\uFF07]", "'"),
        (r"(?<=\p{L})[`\u00B4](?=\p{L})", "'"),
        (r"[\u201C\u201D\u201E\u201F\u00AB\u00BB]", '"'),
        # Dashes: a hyphen typed as another character; a range; everything longer is GloVe's "--".
        (r"[\u2010\u2011]|(?<=\p{N})[\u2012\u2013](?=\p{N})", "-"),
        (r"[\u2012\u2013\u2014\u2015]", "--"),
        (r"\u2026", "..."),
        # The Penn Treebank's escapes, which published data sets such as SST-2 still hold. (Of several characters that
        # become one, only the first keeps its offset; nothing else here shortens a word.)
        (r"-l[rsc]b-", "("),
        (r"-r[rsc]b-", ")"),
        (r"\\/", "/"),
    ]
    return normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Lowercase(),
            *(normalizers.Replace(Regex(pattern), replacement) for pattern, replacement in replacements),
        ]
    )


# A run of letters, accents and digits; the underscore stands apart in GloVe's vocabulary.
_RUN = r"[\p{L}\p{M}\p{N}]+"
_CLITIC = r"'(?:s|m|d|ll|re|ve)(?![\p{L}\p{M}\p{N}])"
_NOT = r"n't(?![\p{L}\p{M}\p{N}])"
_GLOVE_TOKEN = "|".join(
    [
        # Abbreviations keep their full stops: u.s., p.m., mr.
        r"(?<![\p{L}\p{M}\p{N}])(?:\p{L}\.){2,}",
        r"(?<![\p{L}\p{M}\p{N}])(?:mr|mrs|ms|dr|st|vs|jr|sr)\.(?=\s*\S)",
        # n't and the other clitics are words of their own, and the words before them end where they begin.
        _NOT,
        _CLITIC,
        rf"{_RUN}(?:[-']{_RUN})*?(?={_NOT})",
        # Words: hyphens and inner apostrophes keep them whole, and . , : / do so between digits.
        rf"{_RUN}(?:(?:-|(?!{_CLITIC})'|(?<=\p{{N}})[.,:/](?=\p{{N}})){_RUN})*",
        # Punctuation that is written with several characters; then any other visible character, alone.
        r"\.\.\.|--|``|''",
        r"\S",
    ]
)


def _glove_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Penn-Treebank-like words, as the text was split that GloVe 6B and 42B were trained on."""
    # invert: the pattern describes the tokens; what is removed is what lies between them, white space.
    return pre_tokenizers.Split(Regex(_GLOVE_TOKEN), behavior="removed", invert=True)


PROFILES = {
    profile.name: profile
    for profile in [
        Profile("glove", _glove_normalizer, _glove_pre_tokenizer),
    ]
}


def find_profile(name: str) -> Profile:
    """Look a profile up by its name.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in PROFILES:
        raise ValueError(f"There is no tokenization profile {name!r}; there are: {', '.join(PROFILES)}.")
    return PROFILES[name]
