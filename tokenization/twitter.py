r"""How the tweets of GloVe Twitter were prepared, after what Stanford's script preprocess-twitter.rb puts into them.

Links, names, numbers, hashtags, emoticons and ways of shouting become marker words such as ``<url>``; the rest is
split as for the other GloVe vectors. Where this differs from the script (which can't be quite the one that was run):

- Markers stand apart: "b4" gives "b <number>".
- ``<allcaps>`` follows words of two or more capitals, not every run of characters without a small letter.
- ``?!`` keeps its first character in front of ``<repeat>``, not its last.
- What only looks like an emoticon stays text: a letter must end there to be a mouth (":D", not ":Down"), an 8 needs a
  nose to be eyes, and a face that looks to the right, "(:", must stand alone. ":/" is none behind a letter or a
  digit, or before another slash.
- A hashtag's capitals stay together: "#NBAFinals" gives "<hashtag> nbafinals". An "@" within a word is no name, and a
  "-" between digits no sign.
"""

from tokenizers import normalizers, pre_tokenizers

from glove_bilstm.tokenization import patterns

FACES = ("smile", "lolface", "sadface", "neutralface", "heart")
MARKERS = ("url", "user", "number", "hashtag", "repeat", "elong", "allcaps", *FACES)

# What replaces several characters gets the offsets of the last one. So the first character of a link, a name or a
# number becomes the beginning of its marker and one of these, the rest becomes the marker's end, and it has them all.
_URL, _USER, _NUMBER = "\ue000", "\ue001", "\ue002"
_EYES = r"(?:[:=;]['`-]?|(?<![\p{L}\p{N}])8['`-])"
# A look-behind knows no repetition, but any number of alternatives. Nearly no hashtag or word is longer.
_IN_HASHTAG = "|".join(rf"#\w{{{length}}}" for length in range(1, 31))
_CAPITALS = "|".join(rf"\b[\p{{Lu}}'-]{{{length}}}" for length in range(2, 21))

_CASED_REPLACEMENTS = [
    # A sign belongs to its number.
    (rf"[\p{{Cf}}\uFE0E\uFE0F{_URL}{_USER}{_NUMBER}]|(?<![\w.,:])[-+](?=\p{{Nd}})", ""),
    (r"<[bB][rR]\s*/?>|\p{Cc}", " "),
    *patterns.APOSTROPHES,
    *patterns.TREEBANK_QUOTES,
    (r"(?<!\w)(?:[hH](?=[tT]{2}[pP][sS]?://\S)|[wW](?=[wW]{2}\.\w))", f"<url{_URL}"),
    (r"(?<!\w)@(?=\w)", f"<user{_USER}"),
    (rf"{_URL}\S+\b/?|{_USER}\w+", ">"),
    (rf"{_EYES}(?:\)+|[dD]+(?!\w))|(?<!\S)\(+['`-]?[:=;](?!\S)", "<smile>"),
    (rf"{_EYES}[pP]+(?!\w)", "<lolface>"),
    (rf"{_EYES}\(+|(?<!\S)\)+['`-]?[:=;](?!\S)", "<sadface>"),
    (rf"{_EYES}(?:[|*]|[lL](?!\w))|(?<![\p{{L}}\p{{N}}]){_EYES}/(?!/)", "<neutralface>"),
    (r"<3(?!\p{Nd})", "<heart>"),
    (rf"(?<=\p{{Ll}})(?=\p{{Lu}})(?<={_IN_HASHTAG})", " "),
    (r"(?<![\w&])#(?=\w)", "<hashtag> "),
    (rf"(?<=\p{{Lu}})\b(?!['-]?\p{{L}}|>)(?<={_CAPITALS})", " <allcaps>"),
    (r"(?<!\p{Nd})(?<!\p{Nd}[.,:])\p{Nd}(?=[.,:]?\p{Nd})", f"<number{_NUMBER}"),
    (rf"{_NUMBER}(?:[.,:]?\p{{Nd}})+", ">"),
    (r"\p{Nd}", "<number>"),
    (r"(?<=([!?.]))[!?.]+", " <repeat>"),
]
_LOWER_CASED_REPLACEMENTS = [(r"(?<=(\p{L}))\1{2,}(?![\p{L}\p{M}])", " <elong>")]


def normalizer() -> normalizers.Normalizer:
    """Put the markers in, and lower-case."""
    return normalizers.Sequence(
        [
            *patterns.replacing(_CASED_REPLACEMENTS),
            normalizers.Lowercase(),
            normalizers.NFC(),
            *patterns.replacing(_LOWER_CASED_REPLACEMENTS),
        ]
    )


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Markers whole; everything else as for the other GloVe vectors."""
    return patterns.tokens_matching(f"<(?:{'|'.join(MARKERS)})>|{patterns.PENN_TOKEN}")
