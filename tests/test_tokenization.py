import json
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from glove_bilstm import WordVectors, build_tokenizer, build_vocabulary, embedding_matrix
from glove_bilstm.tokenization.profiles import find_profile
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.vectors.alignment import measure_coverage


def split(text: str) -> list[str]:
    profile = find_profile("glove")
    normalized = profile.make_normalizer().normalize_str(text)
    return [word for word, _ in profile.make_pre_tokenizer().pre_tokenize_str(normalized)]


class TestGloveProfile:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("I don't think it's BAD.", "i do n't think it 's bad ."),
            ("can't won't isn't ain't shouldn't've", "ca n't wo n't is n't ai n't should n't 've"),
            ("we'll they're I'd've y'all", "we 'll they 're i 'd 've y'all"),
            ("the dogs' bowl, the dog's bowl", "the dogs ' bowl , the dog 's bowl"),
            ("do n't it 's", "do n't it 's"),
            ("can’t you’ve ‘quoted’ “this”", "ca n't you 've ' quoted ' \" this \""),
            ("don`t don´t", "do n't do n't"),
            ("one—two – three 1990–95 re‑watch", "one -- two -- three 1990-95 re-watch"),
            ("wait... well…  hm....", "wait ... well ... hm ... ."),
            ("well-written 20-year-old o'clock rock'n'roll", "well-written 20-year-old o'clock rock'n'roll"),
            ("3.5/10, 1,000 at 7:30 in the 1990s: $5 or 50%!", "3.5/10 , 1,000 at 7:30 in the 1990s : $ 5 or 50 % !"),
            ("and/or (really) [sic] #tag @me snake_case", "and / or ( really ) [ sic ] # tag @ me snake _ case"),
            ("U.S. at 5 p.m. by Mr. Smith vs. Dr. No.", "u.s. at 5 p.m. by mr. smith vs. dr. no ."),
            ("writer\\/director -lrb- 1 -rrb- `` hi ''", "writer / director ( 1 ) `` hi ''"),
            ("good<br /><br/>bad", "good bad"),
            ("naïve cafe\u0301 İstanbul", "naïve café i\u0307stanbul"),
            ("zero\u200bwidth \ufeffstart\ttab\nline", "zerowidth start tab line"),
            ("so good!!! 😀👍", "so good ! ! ! 😀 👍"),
            ("I ❤\ufe0fNY love❤\ufe0fyou ❤\ufe0f", "i ❤ \ufe0f ny love ❤ \ufe0f you ❤ \ufe0f"),
            ("good<BR>bad", "good bad"),
            (" \t\n", ""),
        ],
    )
    def test_words(self, text: str, words: str) -> None:
        assert split(text) == words.split()

    def test_profile_names_are_checked(self) -> None:
        with pytest.raises(ValueError, match="no tokenization profile 'glov'; there are: glove"):
            build_tokenizer(["a"], profile="glov")

    def test_the_word_that_occurs_twice_is_found_soon(self) -> None:
        words = [f"word{number}" for number in range(50_000)]
        start = time.monotonic()
        with pytest.raises(ValueError, match="'word49999' twice"):
            build_tokenizer([*words, words[-1]])
        assert time.monotonic() - start < 5  # a look through all words before it, for each, takes longer


class TestOffsets:
    TEXT = "I don’t—really: “it’s” 3.5/10… Naïve, U.S. well-made!"

    def test_offsets_give_back_the_text_of_each_word(self) -> None:
        encoded = build_tokenizer(["a"])(self.TEXT, return_offsets_mapping=True)
        spans = [self.TEXT[start:end] for start, end in encoded["offset_mapping"]]
        expected = "I do n’t — really : “ it ’s ” 3.5/10 … Naïve , U.S. well-made !"
        assert spans == expected.split()

    @settings(max_examples=200, deadline=None)
    @given(
        st.text(
            st.characters(exclude_categories=["Cs", "Mn", "Mc", "Me", "Cf", "Cc"], max_codepoint=0x2FFF), max_size=40
        )
    )
    def test_every_visible_character_is_in_exactly_one_word(self, text: str) -> None:
        tokenizer = build_tokenizer(["a"])
        if any(form in text.lower() for form in ("<br", "-lrb-", "-rrb-", "\\/", "<pad>", "<unk>")):
            return  # these shorten the text on purpose
        if unicodedata.normalize("NFC", text) != text:
            return  # a few characters, such as U+2ADC, are two in every normal form
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        covered = [position for start, end in offsets for position in range(start, end)]
        assert covered == sorted(set(covered))
        assert [text[position] for position in covered] == [char for char in text if not char.isspace()]


class TestVocabulary:
    def test_order_is_by_frequency_then_alphabet(self) -> None:
        assert build_vocabulary(["b a b c", "c d B"]) == ["b", "c", "a", "d"]

    def test_options(self) -> None:
        texts = ["b b b a a c"]
        assert build_vocabulary(texts, min_frequency=2) == ["b", "a"]
        assert build_vocabulary(texts, max_size=1) == ["b"]
        vectors = WordVectors(["z", "A", "c", "a z", "x"], np.zeros((5, 3), "f4"))
        # "A" and "a z" can't come out of the tokenizer; "x" is beyond the four rows that are looked at.
        assert build_vocabulary(texts, max_size=2, extra_words=4, vectors=vectors) == ["b", "a", "z", "c"]
        with pytest.raises(ValueError, match="extra_words=4 come from the vectors"):
            build_vocabulary(texts, extra_words=4)
        assert build_vocabulary(Counter({"x": 1, "y": 2})) == build_vocabulary({"x": 1, "y": 2}) == ["y", "x"]
        for wrong in ({"max_size": -1}, {"extra_words": -3, "vectors": vectors}):
            with pytest.raises(ValueError, match="can't be negative"):
                build_vocabulary(texts, **wrong)
        with pytest.raises(ValueError, match="texts is the one string 'a film'"):
            build_vocabulary("a film")
        for wrong, shown in ((None, "None"), (float("nan"), "nan"), ("\ud800", r"'\\ud800'")):
            with pytest.raises(ValueError, match=f"Text 2 is {shown}, which can't be split"):
                build_vocabulary(["a", wrong])  # type: ignore[list-item]

    def test_special_tokens_in_texts_and_vectors_are_no_words(self) -> None:
        vectors = WordVectors(["<unk>", "z", "<sep>"], np.zeros((3, 3), "f4"))
        words = build_vocabulary(["<sep> b <pad> <sep>"], "whitespace", max_size=1, extra_words=3, vectors=vectors)
        assert words == ["b", "z"]

    def test_words_that_need_a_neighbour_are_extra_words_too(self) -> None:
        vectors = WordVectors(["mr.", "a.", "u.s."], np.zeros((3, 3), "f4"))
        assert build_vocabulary(["x"], extra_words=3, vectors=vectors) == ["x", "mr.", "u.s."]

    def test_texts_may_be_a_generator(self) -> None:
        assert count_words(text for text in ["It's", "it"]) == {"it": 2, "'s": 1}


class TestTokenizer:
    def test_ids_are_positions_in_the_vocabulary(self) -> None:
        tokenizer = build_tokenizer(["the", "film", "n't"])
        assert tokenizer.get_vocab() == {"<pad>": 0, "<unk>": 1, "the": 2, "film": 3, "n't": 4}
        assert tokenizer("The FILM doesn't")["input_ids"] == [2, 3, 1, 4]
        assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 1)

    def test_special_tokens_may_be_there_already(self) -> None:
        assert build_tokenizer(["<pad>", "<unk>", "a"]).get_vocab() == build_tokenizer(["a"]).get_vocab()

    def test_gives_ids_and_mask_and_nothing_else(self) -> None:
        tokenizer = build_tokenizer(["a", "b"])
        encoded = tokenizer(["a b a", "", "b"], padding=True, return_tensors="pt")
        assert set(encoded) == {"input_ids", "attention_mask"}
        assert encoded["input_ids"].tolist() == [[2, 3, 2], [0, 0, 0], [3, 0, 0]]
        assert encoded["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]

    def test_saved_it_loads_with_plain_auto_tokenizer(self, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(["the", "film", "n't", "“"])
        tokenizer.save_pretrained(tmp_path)
        assert '"tokenizer_class": "PreTrainedTokenizerFast"' in (tmp_path / "tokenizer_config.json").read_text()
        assert not list(tmp_path.glob("*.py"))
        loaded = AutoTokenizer.from_pretrained(tmp_path)
        text = TestOffsets.TEXT
        assert dict(loaded(text, return_offsets_mapping=True)) == dict(tokenizer(text, return_offsets_mapping=True))
        # and once more, saved by the class that it was loaded as
        loaded.save_pretrained(tmp_path / "again")
        assert AutoTokenizer.from_pretrained(tmp_path / "again")(text) == tokenizer(text)


class TestPairs:
    def test_the_separator_has_its_row_and_its_place(self, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(["<sep>", "a", "b"])
        assert tokenizer.get_vocab() == {"<pad>": 0, "<unk>": 1, "<sep>": 2, "a": 3, "b": 4}
        assert tokenizer.get_vocab() == build_tokenizer(["<pad>", "<unk>", "<sep>", "a", "b"]).get_vocab()
        tokenizer.save_pretrained(tmp_path)
        for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
            assert one.sep_token_id == 2
            assert one("a b", "b")["input_ids"] == [3, 4, 2, 4]
            assert one(["a", "b"], ["b", ""])["input_ids"] == [[3, 2, 4], [4, 2]]
            assert one("a b")["input_ids"] == [3, 4]
            assert set(one("a", "b")) == {"input_ids", "attention_mask"}
        saved = json.loads((tmp_path / "tokenizer_config.json").read_text())
        assert saved["tokenizer_class"] == "PreTrainedTokenizerFast"

    def test_without_it_nothing_changes(self) -> None:
        tokenizer = build_tokenizer(["a", "b"])
        assert tokenizer.sep_token is None and tokenizer("a", "b")["input_ids"] == [2, 3]

    def test_an_empty_second_text_is_none(self) -> None:
        tokenizer = build_tokenizer(["<sep>", "a", "b"])
        texts: list = [("a", "b"), ("a", ""), ("", "b"), "a"]
        together = encode_texts(tokenizer, texts)
        assert together == [[3, 2, 4], [3], [2, 4], [3]]
        assert together[:3] == [tokenizer(*pair)["input_ids"] for pair in texts[:3]]

    @pytest.mark.parametrize("oov", ["normal", "zeros", "mean"])
    def test_the_row_of_the_separator_is_that_of_a_word_without_vector(self, oov: Any) -> None:
        # Even where the vectors have such a word, and one that it might be taken for.
        vectors = WordVectors(["a", "b", "sep", "<sep>"], np.arange(12, dtype="f4").reshape(4, 3))
        vocabulary = ["<sep>", "b", "okapi", "a"]
        for same in (vocabulary, ["<pad>", "<unk>", *vocabulary], build_tokenizer(vocabulary).get_vocab()):
            matrix, coverage = embedding_matrix(same, vectors, oov)
            assert matrix.shape == (6, 3) and not matrix[0].any()
            assert matrix[3].tolist() == [3, 4, 5] and matrix[5].tolist() == [0, 1, 2]
            assert (coverage.types_found, coverage.types_total, coverage.missing) == (2, 3, [("okapi", 0)])
            assert np.array_equal(matrix[2], matrix[4]) == (oov != "normal")
            if oov == "zeros":
                assert not matrix[2].any()
        assert measure_coverage(vocabulary, vectors).types_total == 3


class TestEncodeTexts:
    TEXTS = ["The film's a b", "", " \t", "nowhere <unk> <pad>", "a " * 30]

    @pytest.mark.parametrize("max_length", [None, 7, 1])
    @pytest.mark.parametrize("rust", [True, False])
    def test_the_ids_are_those_of_a_call(self, max_length: int | None, rust: bool, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(["a", "film", "the"])
        cut = {"truncation": max_length is not None, "max_length": max_length}
        expected = tokenizer(self.TEXTS, **cut)["input_ids"]
        tokenizer(self.TEXTS, padding="max_length", truncation=True, max_length=9)  # leaves its settings behind
        wrapped: Any = tokenizer if rust else lambda texts, **options: tokenizer(texts, **options)
        assert encode_texts(wrapped, self.TEXTS, max_length) == expected
        assert encode_texts(wrapped, []) == []
        tokenizer.save_pretrained(tmp_path)
        saved = json.loads((tmp_path / "tokenizer.json").read_text())
        assert not rust or (saved["truncation"] is None and saved["padding"] is None)

    def test_a_tokenizer_that_is_saved_afterwards_cuts_nothing(self, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(["a", "film", "the"])
        assert encode_texts(tokenizer, ["a " * 30], 7) == [[2] * 7]
        tokenizer.save_pretrained(tmp_path)
        assert json.loads((tmp_path / "tokenizer.json").read_text())["truncation"] is None
        assert encode_texts(tokenizer, ["a " * 30]) == [[2] * 30]
