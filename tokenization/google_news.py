r"""How the words of the Google News word2vec vectors are spelled.

Its vocabulary holds no full text, only its words, from which this was read:

- Case is kept. A number of two or more digits has # for each of them (##, ####, #.#, #/##, ##th); other digits stay.
- Contractions are words (don't, I'm, it's); the possessive 's is apart, and has no vector.
- The parts of a hyphenated word are words (Wal Mart); the hyphen stays beside digits (##-year-old).
- Abbreviations keep their full stop (Mr., U.S.); nearly no punctuation has a vector, and a, and, of, to have none.

The pairs that the vocabulary joins with an underscore (New_York) are not made here.
"""

from tokenizers import normalizers, pre_tokenizers

from glove_bilstm.tokenization import patterns

# Nobody's "it's" is possessive: here 's is short for "is" or "us".
_NO_OWNER = r"(?i:\b(?:it|he)|\b(?:she|who|how|let)|\b(?:that|what|here|when)|\b(?:there|where))"
_END = rf"(?!{patterns.LETTER})"
_NOT_OR_VERB = rf"(?:[nN]'[tT]|'(?:[mMdD]|[lL][lL]|[rR][eE]|[vV][eE])){_END}"
_REPLACEMENTS = [
    *patterns.INVISIBLE,
    *patterns.VARIATION_SELECTORS,
    *patterns.APOSTROPHES,
    *patterns.QUOTES,
    *patterns.TREEBANK_QUOTES,
    *patterns.DASHES,
    *patterns.TREEBANK_ESCAPES,
    # After a letter, or the accent of one: composing comes last.
    (r"(?<=[\p{L}\p{M}])(?<!\p{Nd}-year)-(?=\p{L})", " "),
    (r"\p{Nd}(?=[.,:/-]?\p{Nd})|(?<=\p{Nd}|\p{Nd}[.,:/-])\p{Nd}", "#"),
    # Text that the Treebank's rules have split already: do n't, it 's.
    (rf"(?<=[\p{{L}}\p{{M}}])\s+(?={_NOT_OR_VERB})|(?<={_NO_OWNER})\s+(?='[sS]{_END})", ""),
]
# A single # is a character of the text, not a digit.
_NUMBER = r"#(?:[.,:/-]?#)+"
_RUN = rf"(?:{patterns.LETTER}|{_NUMBER})+"
_POSSESSIVE = rf"(?<!{_NO_OWNER})'[sS]{_END}"
_TOKEN = "|".join(
    [
        patterns.ABBREVIATION,
        _POSSESSIVE,
        rf"{_RUN}(?:(?:-|(?!{_POSSESSIVE})'){_RUN})*",
        r"\S",
    ]
)


def normalizer() -> normalizers.Normalizer:
    """Compose accents, fold typography to ASCII, part hyphenated words and hide the digits of numbers."""
    return normalizers.Sequence([*patterns.replacing(_REPLACEMENTS), normalizers.NFC()])


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Words with their apostrophes, without the possessive 's; every mark of punctuation apart."""
    return patterns.tokens_matching(_TOKEN)
