"""The spellings under which a word's vector is looked for, where the word itself has none.

Each kind of vectors is named by the tokenization profile that belongs to it. A spelling is worth a place here if it
finds words of real text and hardly ever another word: letters are dropped or merged only where what remains can be
nothing else. (So "u.s." is not looked for as "us", "we'll" as "well", "mourning" as "morning" or "III" as "I".)
"""

import re
import unicodedata
from collections.abc import Callable

_LETTERS_AND_STOP = re.compile(r"[^\W\d_]{2,}\.")
_INITIALS_THAT_SPELL_NO_WORD = re.compile(r"(?:[b-df-hj-np-tv-xz]\.){2,}")
_CAPITAL_INITIALS = re.compile(r"(?:[A-Z]\.){2,}")
_LATIN_ACCENTS = re.compile(r"(?<=[A-Za-z])[\u0300-\u036f]+")
_HYPHENATED = re.compile(r"(?!re-)(?:e|[^\W\d_]{2,})(?:-[^\W\d_]{2,})+", re.IGNORECASE)
_DECADE_OR_ORDINAL = re.compile(r"(\d+)(?:(?<=0)s|st|nd|rd|th)", re.IGNORECASE)
_REPEATED_LETTER = re.compile(r"([^\W\d_])\1{2,}")
# English doubles consonants, e and o: "goood" is "good" and "tooo" is "too". But these end in one.
_NEVER_DOUBLE = re.compile(r"([aiuy])\1{2,}", re.IGNORECASE)
_END_IN_ONE = frozenset("so no go do who hello me he she we be the".split())
_FOLDABLE = re.compile(r"[.-]|^\d|(.)\1\1", re.DOTALL | re.IGNORECASE)
"""What a word of ASCII characters has if anything but its case can be folded."""
_ROMAN_DIGITS = frozenset("ivxlcdm")


def _exact(word: str) -> str:
    return word


def _upper_cased(word: str) -> str:
    """TV, NASA, U.S.: longer words are seldom abbreviations."""
    return word.upper() if 2 <= len(word.replace(".", "")) <= 5 else word


def _without_full_stops(word: str) -> str:
    abbreviation = any(
        pattern.fullmatch(word) for pattern in (_LETTERS_AND_STOP, _INITIALS_THAT_SPELL_NO_WORD, _CAPITAL_INITIALS)
    )
    return word.replace(".", "") if abbreviation else word


def _without_accents(word: str) -> str:
    """Of Latin letters only, for elsewhere the marks make other letters; and not of short words: "qué" isn't "que"."""
    stripped = unicodedata.normalize("NFC", _LATIN_ACCENTS.sub("", unicodedata.normalize("NFD", word)))
    return stripped if len(stripped) > 3 else word


def _without_hyphens(word: str) -> str:
    """Set-up, e-mail; but not re-sign, 3-4 or x-man."""
    return word.replace("-", "") if _HYPHENATED.fullmatch(word) else word


def _without_ending(word: str) -> str:
    """1990s, 20th: for vectors whose text had the letters split off."""
    found = _DECADE_OR_ORDINAL.fullmatch(word)
    return found[1] if found else word


def _is_lengthened(word: str) -> bool:
    """Whether letters that are repeated may be too many: not in "aaa", "www" or "xiii"."""
    letters = set(word.lower())
    return len(letters) > 1 and not letters <= _ROMAN_DIGITS


def _repeated_letters_as_two(word: str) -> str:
    if not _is_lengthened(word):
        return word
    once = _REPEATED_LETTER.sub(r"\1", word)
    return once if once.lower() in _END_IN_ONE else _REPEATED_LETTER.sub(r"\1\1", _NEVER_DOUBLE.sub(r"\1", word))


def _repeated_letters_as_one(word: str) -> str:
    return _REPEATED_LETTER.sub(r"\1", word) if _is_lengthened(word) else word


# What they are worth: of 2.7 million tokens of IMDB, SST-2, TREC and GoEmotions, 22,009 had no vector among those
# trained on reviews. Dropping full stops found one for 1,102 of them, endings of numbers 1,086, repeated letters 339,
# hyphens 203, accents 54. Other cases found one for 4.5 % of the tokens of SST-2, which is lower-cased, in Google News
# (3.4 % by "A" for "a"). Not worth their mistakes: dropping apostrophes, American for British spelling.
_BASIC = {"exact": _exact, "lower-cased": str.lower}
_OTHER_CASES = {"capitalised": str.capitalize, "upper-cased": _upper_cased}
_STOPS_AND_ACCENTS = {"without full stops": _without_full_stops, "without accents": _without_accents}
_HYPHENS = {"without hyphens": _without_hyphens}
_NUMBERS = {"number without ending": _without_ending}
_LENGTHENED = {
    "repeated letters as two": _repeated_letters_as_two,
    "repeated letters as one": _repeated_letters_as_one,
}
_FORMS: dict[str, dict[str, Callable[[str], str]]] = {
    "glove": {**_BASIC, **_STOPS_AND_ACCENTS, **_HYPHENS, **_NUMBERS, **_LENGTHENED},
    "glove-cased": {**_BASIC, **_OTHER_CASES, **_STOPS_AND_ACCENTS, **_HYPHENS, **_NUMBERS, **_LENGTHENED},
    # Its tokenizer leaves no numbers.
    "glove-twitter": {**_BASIC, **_STOPS_AND_ACCENTS, **_HYPHENS, **_LENGTHENED},
    # Its tokenizer leaves no hyphens between letters, and few digits.
    "word2vec-google-news": {**_BASIC, **_OTHER_CASES, **_STOPS_AND_ACCENTS, **_LENGTHENED},
    "whitespace": {**_BASIC, **_STOPS_AND_ACCENTS, **_HYPHENS, **_NUMBERS, **_LENGTHENED},
}
PROFILES = tuple(_FORMS)
"""The tokenization profiles whose vectors' spellings are known."""


def spellings(word: str, profile: str) -> tuple[str, ...]:
    """The spellings of a word under all its forms, the best first.

    Raises:
        ValueError: No vectors of such a profile are known.
    """
    found = forms(profile)
    if word.isascii() and not _FOLDABLE.search(word):
        # Of most words only the case can differ.
        return tuple(found[form](word) for form in (*_BASIC, *_OTHER_CASES) if form in found)
    return tuple(spell(word) for spell in found.values())


def forms(profile: str) -> dict[str, Callable[[str], str]]:
    """The spellings to try for vectors that belong to a tokenization profile.

    Args:
        profile: The name of the profile.

    Returns:
        What the form is called → the function that spells a word so; the best first, which are "exact" and
        "lower-cased". A function that has nothing to change gives the word back.

    Raises:
        ValueError: No vectors of such a profile are known.
    """
    if profile not in _FORMS:
        raise ValueError(f"No spellings are known for the profile {profile!r}; there are: {', '.join(_FORMS)}.")
    return dict(_FORMS[profile])
