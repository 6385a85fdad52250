r"""The pieces that the tokenization profiles are put together from. Every pattern is in Oniguruma's syntax."""

from collections.abc import Iterable

from tokenizers import Regex, normalizers, pre_tokenizers

# Mark-up and invisible characters. A zero-width joiner or a byte-order mark inside a word would hide the word.
INVISIBLE = [
    (r"<[bB][rR]\s*/?>", " "),
    (r"[\p{Cc}]", " "),
    (r"[\p{Cf}]", ""),
]
# How the emoji before it is to be drawn: no word of any vectors but those that were trained on text that held it.
VARIATION_SELECTORS = [(r"[\uFE0E\uFE0F]", "")]
# The curly ones, and an accent or backtick typed for one between two letters.
APOSTROPHES = [
    (r"[\u2018\u2019\u201B\u02BC\uFF07]", "'"),
    (r"(?<=\p{L})[`\u00B4](?=\p{L})", "'"),
]
QUOTES = [(r"[\u201C\u201D\u201E\u201F\u00AB\u00BB]", '"')]
TREEBANK_QUOTES = [(r"``|''", '"')]
# A hyphen typed as another character; a range; everything longer is GloVe's "--".
DASHES = [
    (r"[\u2010\u2011]|(?<=\p{N})[\u2012\u2013](?=\p{N})", "-"),
    (r"[\u2012\u2013\u2014\u2015]", "--"),
    (r"\u2026", "..."),
]
# The Penn Treebank's escapes, which published data sets such as SST-2 still hold. (Of several characters that become
# one, only the last keeps its offset.)
TREEBANK_ESCAPES = [
    (r"-[lL][rRsScC][bB]-", "("),
    (r"-[rR][rRsScC][bB]-", ")"),
    (r"\\/", "/"),
]

LETTER = r"[\p{L}\p{M}\p{N}&&[^\uFE0E\uFE0F]]"
"""What words are made of: letters, accents and digits. The underscore stands apart in GloVe's vocabulary, and so do
variation selectors, which are marks, but belong to an emoji and not to the word behind it."""
# Case is spelled out, for (?i) makes ß and other single letters match "ss" and the like too: a run of s can then be
# matched in so many ways that Oniguruma gives up, with an exception that `except Exception` doesn't catch.
_CLITIC = rf"'(?:[sSmMdD]|[lL][lL]|[rR][eE]|[vV][eE])(?!{LETTER})"
_NOT = rf"[nN]'[tT](?!{LETTER})"
ABBREVIATION = "|".join(
    [
        rf"(?<!{LETTER})(?:\p{{L}}\.){{2,}}",
        rf"(?<!{LETTER})(?:[mM](?:[rR][sS]?|[sS])|[dDjJsS][rR]|[sS][tT]|[vV][sS])\.(?=\s*\S)",
    ]
)
"""Abbreviations keep their full stops: u.s., p.m., mr."""
PENN_TOKEN = "|".join(
    [
        ABBREVIATION,
        # n't and the other clitics are words of their own, and the words before them end where they begin.
        _NOT,
        _CLITIC,
        rf"{LETTER}+(?:[-']{LETTER}+)*?(?={_NOT})",
        # Words: hyphens and inner apostrophes keep them whole, and . , : / do so between digits.
        rf"{LETTER}+(?:(?:-|(?!{_CLITIC})'|(?<=\p{{N}})[.,:/](?=\p{{N}})){LETTER}+)*",
        # Punctuation that is written with several characters; then any other visible character, alone.
        r"\.\.\.|--|``|''",
        r"\S",
    ]
)
"""A word, or a mark of punctuation, as the Penn Treebank splits it."""


def replacing(replacements: Iterable[tuple[str, str]]) -> list[normalizers.Normalizer]:
    """One normalizer for each pair of a pattern and the literal text that takes the place of what it matches."""
    return [normalizers.Replace(Regex(pattern), replacement) for pattern, replacement in replacements]


def tokens_matching(pattern: str) -> pre_tokenizers.PreTokenizer:
    """Split into what the pattern matches. It must match every visible character somewhere: the rest is dropped."""
    # invert: the pattern describes the tokens; what is removed is what lies between them, white space.
    return pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
