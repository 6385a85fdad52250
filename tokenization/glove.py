"""How the text of Stanford's GloVe was split: Penn-Treebank-like words, lower-cased (6B, 42B) or not (840B)."""

from tokenizers import normalizers, pre_tokenizers

from glove_bilstm.tokenization import patterns


def normalizer() -> normalizers.Normalizer:
    """Lower-case, compose accents, and fold typography to the ASCII that GloVe's training text was made of."""
    replacements = [
        *patterns.INVISIBLE,
        *patterns.APOSTROPHES,
        *patterns.QUOTES,
        *patterns.DASHES,
        *patterns.TREEBANK_ESCAPES,
    ]
    return normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), *patterns.replacing(replacements)])


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Penn-Treebank-like words, as GloVe's training text was split.

    They are the same whatever their case: N'T and 'S are words as n't and 's are.
    """
    return patterns.tokens_matching(patterns.PENN_TOKEN)


def cased_normalizer() -> normalizers.Normalizer:
    """The same without lower-casing, and with every quotation mark spelled ", as 840B spells them."""
    replacements = [
        *patterns.INVISIBLE,
        *patterns.VARIATION_SELECTORS,
        *patterns.APOSTROPHES,
        *patterns.QUOTES,
        *patterns.TREEBANK_QUOTES,
        *patterns.DASHES,
        *patterns.TREEBANK_ESCAPES,
    ]
    return normalizers.Sequence([normalizers.NFC(), *patterns.replacing(replacements)])
