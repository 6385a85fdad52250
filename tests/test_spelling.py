import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_bilstm.tokenization.profiles import PROFILES
from glove_bilstm.vectors.spelling import forms, spellings


def found_as(word: str, vectors: set[str], profile: str) -> tuple[str, str] | None:
    """The first form that has a vector, and its spelling."""
    return next(((name, form(word)) for name, form in forms(profile).items() if form(word) in vectors), None)


class TestForms:
    @pytest.mark.parametrize(
        ("profile", "word", "spelling", "name"),
        [
            ("glove", "mr.", "mr", "without full stops"),
            ("glove", "t.v.", "tv", "without full stops"),
            ("glove", "naïve", "naive", "without accents"),
            ("glove", "i\u0307stanbul", "istanbul", "without accents"),
            ("glove", "set-up", "setup", "without hyphens"),
            ("glove", "e-mail", "email", "without hyphens"),
            ("glove", "1990s", "1990", "number without ending"),
            ("glove", "20th", "20", "number without ending"),
            ("glove", "goooood", "good", "repeated letters as two"),
            ("glove", "reallllly", "really", "repeated letters as two"),
            ("glove", "sooooo", "so", "repeated letters as two"),
            ("glove", "tooooo", "too", "repeated letters as two"),
            ("glove", "threeee", "three", "repeated letters as two"),
            ("glove", "looove", "love", "repeated letters as one"),
            ("glove", "yeeeeaaaahhh", "yeah", "repeated letters as one"),
            ("glove-cased", "london", "London", "capitalised"),
            ("glove-cased", "LONDON", "London", "capitalised"),
            ("glove-cased", "nasa", "NASA", "upper-cased"),
            ("glove-cased", "u.s.", "U.S.", "upper-cased"),
            ("glove-cased", "Hello", "hello", "lower-cased"),
            ("glove-twitter", "café", "cafe", "without accents"),
            ("word2vec-google-news", "Mr.", "Mr", "without full stops"),
            ("word2vec-google-news", "U.S.", "US", "without full stops"),
            ("whitespace", "film.", "film", "without full stops"),
        ],
    )
    def test_finds(self, profile: str, word: str, spelling: str, name: str) -> None:
        assert found_as(word, {spelling}, profile) == (name, spelling)

    @pytest.mark.parametrize(
        ("word", "other"),
        [
            ("u.s.", "us"),
            ("a.m.", "am"),
            ("...", ""),
            ("3.5", "35"),
            ("qué", "que"),
            ("й", "и"),
            ("3-4", "34"),
            ("re-sign", "resign"),
            ("x-man", "xman"),
            ("5s", "5"),
            ("aaa", "a"),
            ("www", "w"),
            ("xiii", "xi"),
            ("1000", "10"),
            ("we'll", "well"),
            ("mourning", "morning"),
        ],
    )
    def test_is_no_other_word(self, word: str, other: str) -> None:
        assert all(found_as(word, {other}, profile) is None for profile in PROFILES)

    def test_the_word_itself_comes_first_then_the_forms_in_their_order(self) -> None:
        assert found_as("Mr.", {"Mr.", "mr.", "Mr"}, "glove-cased") == ("exact", "Mr.")
        assert found_as("MR.", {"mr.", "Mr.", "MR"}, "glove-cased") == ("lower-cased", "mr.")
        assert found_as("gooood", {"good", "god"}, "glove") == ("repeated letters as two", "good")

    def test_every_tokenization_profile_has_forms(self) -> None:
        for profile in PROFILES:
            assert list(forms(profile))[:2] == ["exact", "lower-cased"]

    def test_a_profile_that_is_not_known(self) -> None:
        with pytest.raises(ValueError, match="No spellings are known for the profile 'glov'; there are: glove, "):
            forms("glov")

    def test_changing_what_is_returned_changes_nothing(self) -> None:
        forms("glove").clear()
        assert "exact" in forms("glove")

    @given(st.text(max_size=12), st.sampled_from(sorted(PROFILES)))
    def test_no_spelling_of_a_word_is_empty(self, word: str, profile: str) -> None:
        spellings = [form(word) for form in forms(profile).values()]
        assert spellings[:2] == [word, word.lower()]
        assert all(spellings) == bool(word)


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=200, deadline=None)
@given(word=st.text(st.sampled_from("aAbehHoXI.-'0é1s"), max_size=7))
def test_spellings_are_those_of_all_forms(profile: str, word: str) -> None:
    """Those of plain words come by a shorter way."""
    assert dict.fromkeys(spellings(word, profile)) == dict.fromkeys(spell(word) for spell in forms(profile).values())
