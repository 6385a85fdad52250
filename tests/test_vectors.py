from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_bilstm import WordVectors, embedding_matrix
from glove_bilstm.vectors.alignment import measure_coverage
from glove_bilstm.vectors.errors import InputError


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors(["the", "cat", "dog", "stone"], np.array([[1, 0, 0], [0, 3, 4], [0, 4, 3], [-1, 0, 0]], "f4"))


class TestWordVectors:
    def test_behaves_like_a_mapping(self, vectors: WordVectors) -> None:
        assert len(vectors) == 4
        assert "cat" in vectors and "Cat" not in vectors
        assert vectors["cat"].tolist() == [0, 3, 4]
        with pytest.raises(KeyError):
            vectors["Cat"]
        assert sorted(vectors) == ["cat", "dog", "stone", "the"]
        assert repr(vectors) == "WordVectors(4 words, 3 dimensions, profile 'whitespace')"

    def test_most_similar_is_by_cosine(self, vectors: WordVectors) -> None:
        (first, similarity), *others = vectors.most_similar("cat", k=2)
        assert first == "dog" and similarity == pytest.approx(24 / 25)
        assert len(others) == 1
        assert [word for word, _ in vectors.most_similar("the", k=99)][-1] == "stone"
        with pytest.raises(ValueError, match="k must be at least 1; it is -1"):
            vectors.most_similar("the", -1)

    @pytest.mark.parametrize(
        ("words", "matrix"),
        [(["a"], np.zeros((2, 3), "f4")), (["a"], np.zeros((1, 3))), (["a", "a"], np.zeros((2, 3), "f4"))],
    )
    def test_refuses_what_does_not_pair(self, words: list[str], matrix: np.ndarray) -> None:
        with pytest.raises(ValueError, match="one row"):
            WordVectors(words, matrix)


class TestEmbeddingMatrix:
    @pytest.mark.parametrize(
        ("ids", "wrong"),
        [
            ({"[PAD]": 0, "[UNK]": 1, "cat": 2, "dog": 3}, "gives '<pad>' the id None, and here it must be 0"),
            ({"<unk>": 0, "<pad>": 1, "cat": 2}, "gives '<pad>' the id 1"),
            ({"<pad>": 0, "<unk>": 1, "cat": 2, "dog": 4}, "gives 'dog' the id 4, and here it must be 3"),
        ],
    )
    def test_rows_never_stand_at_other_places_than_the_ids_say(
        self, vectors: WordVectors, ids: dict[str, int], wrong: str
    ) -> None:
        with pytest.raises(ValueError, match=wrong):
            embedding_matrix(ids, vectors)

    @pytest.mark.parametrize(
        ("vocabulary", "wrong"),
        [("the", "is the one string 'the'; give a list"), (["the", None], "holds None, which isn't a string")],
    )
    def test_words_are_strings(self, vectors: WordVectors, vocabulary: Any, wrong: str) -> None:
        with pytest.raises(ValueError, match=wrong):
            embedding_matrix(vocabulary, vectors)

    def test_every_number_is_finite(self) -> None:
        vectors = WordVectors(["cat", "dog"], np.array([[1, 2], [np.nan, np.inf]], "f4"))
        assert np.isfinite(embedding_matrix(["cat"], vectors)[0]).all()
        with pytest.raises(ValueError, match="The vector of 'Dog' holds what is no finite number"):
            embedding_matrix(["cat", "Dog"], vectors)

    def test_blocks_of_rows_make_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draws = np.random.default_rng(2)
        known = WordVectors([f"w{n}" for n in range(99)], draws.normal(size=(99, 7)).astype("f4"))
        words = [f"w{n}" for n in range(0, 130, 2)]
        whole, _ = embedding_matrix(words, known)
        found = whole[2 : 2 + 50].astype(np.float64)
        expected = found.mean(0) + found.std(0) * np.random.default_rng(0).standard_normal((15, 7))
        np.testing.assert_allclose(whole[-15:], expected, rtol=1e-6)
        monkeypatch.setattr("glove_bilstm.vectors.alignment.BLOCK", 13)
        assert np.array_equal(embedding_matrix(words, known)[0], whole)

    def test_rows(self, vectors: WordVectors) -> None:
        matrix, coverage = embedding_matrix(["dog", "Cat", "unicorn"], vectors)
        assert matrix.dtype == np.float32 and matrix.shape == (5, 3)
        assert matrix[0].tolist() == [0, 0, 0]
        assert matrix[2].tolist() == [0, 4, 3]
        assert matrix[3].tolist() == [0, 3, 4]  # found lower-cased
        assert matrix[1] == pytest.approx([0, 3.5, 3.5])  # the mean of the two that were found
        assert (coverage.types_found, coverage.types_total, coverage.tokens_total) == (2, 3, 0)
        assert coverage.found_as == {"exact": 1, "lower-cased": 1}
        assert coverage.missing == [("unicorn", 0)]
        assert str(coverage) == "found 2 of 3 types (66.7%)"

    def test_special_tokens_may_be_there_already(self, vectors: WordVectors) -> None:
        plain, _ = embedding_matrix(["dog", "x"], vectors)
        special, _ = embedding_matrix(["<pad>", "<unk>", "dog", "x"], vectors)
        by_id, coverage = embedding_matrix({"x": 3, "<unk>": 1, "dog": 2, "<pad>": 0}, vectors)
        assert np.array_equal(plain, special) and np.array_equal(plain, by_id)
        assert coverage.types_total == 2

    def test_oov_follows_the_found_vectors(self) -> None:
        generator = np.random.default_rng(3)
        found = (generator.normal(size=(999, 5)) * [1, 2, 3, 4, 5] + [5, 4, 3, 2, 1]).astype("f4")
        words = [f"w{number}" for number in range(999)]
        # A vector that the vocabulary doesn't use must not count.
        vectors = WordVectors([*words, "other"], np.vstack([found, np.full((1, 5), 1e6, "f4")]))
        matrix, _ = embedding_matrix([*words, *(f"new{number}" for number in range(4999))], vectors)
        drawn = matrix[2 + 999 :]
        assert drawn.mean(axis=0) == pytest.approx(found.mean(axis=0), abs=0.3)
        assert drawn.std(axis=0) == pytest.approx(found.std(axis=0), rel=0.05)

    def test_oov_choices_and_seed(self, vectors: WordVectors) -> None:
        words = ["cat", "dog", "x", "y"]
        rows = {oov: embedding_matrix(words, vectors, oov)[0] for oov in ("normal", "zeros", "mean")}
        assert not rows["zeros"][4:].any()
        assert np.array_equal(rows["mean"][4], rows["mean"][1])
        assert np.array_equal(rows["normal"], embedding_matrix(words, vectors, "normal", seed=0)[0])
        assert not np.array_equal(rows["normal"], embedding_matrix(words, vectors, "normal", seed=1)[0])
        with pytest.raises(ValueError, match="oov='random'"):
            embedding_matrix(words, vectors, "random")

    def test_counts_give_shares_of_tokens(self, vectors: WordVectors) -> None:
        counts = Counter({"cat": 6, "yeti": 1, "unicorn": 3})
        _, coverage = embedding_matrix(list(counts), vectors, counts=counts)
        assert (coverage.tokens_found, coverage.tokens_total, coverage.token_share) == (6, 10, 0.6)
        assert coverage.missing == [("unicorn", 3), ("yeti", 1)]
        assert str(coverage) == "found 1 of 3 types (33.3%), 60.0% of tokens"
        assert coverage.to_dict(most_missing=1)["missing"] == [{"word": "unicorn", "tokens": 3, "nearest": None}]

    @pytest.mark.parametrize(
        ("word", "known", "found"),
        [
            ("abcdefg", "abcdefX", True),
            ("abcdefg", "abcdeXX", False),
            ("abcdefg", "bacdefg", True),  # two neighbours swapped
            ("abcdefgh", "abcdefXX", True),
            ("abcdefgh", "abcdeXXX", False),
            ("abc", "abX", True),
            ("ab", "aX", False),
        ],
    )
    def test_a_near_spelling_is_one_edit_away_and_one_more_for_every_four_letters(
        self, vectors: WordVectors, word: str, known: str, found: bool
    ) -> None:
        coverage = measure_coverage([word], vectors).with_nearest(["far away", known])
        assert coverage.nearest == ({word: known} if found else {})

    def test_nothing_found_is_an_error(self, vectors: WordVectors) -> None:
        with pytest.raises(InputError, match="None of the 2 words has a vector"):
            embedding_matrix(["x", "y"], vectors)

    def test_a_word_twice_is_an_error(self, vectors: WordVectors) -> None:
        with pytest.raises(ValueError, match="'cat' twice"):
            embedding_matrix(["cat", "dog", "cat"], vectors)

    @settings(max_examples=50, deadline=None)
    @given(words=st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=20), seed=st.integers(0, 9))
    def test_any_vocabulary_keeps_the_invariants(self, words: list[str], seed: int) -> None:
        matrix_in = np.random.default_rng(seed).normal(size=(len(words) // 2 + 1, 3)).astype("f4")
        vectors = WordVectors(["anchor", *words[: len(words) // 2]][: len(matrix_in)], matrix_in)
        vocabulary = [word for word in words if word not in ("<pad>", "<unk>", "anchor")]
        matrix, coverage = embedding_matrix(["anchor", *vocabulary], vectors, seed=seed)
        assert matrix.shape == (len(vocabulary) + 3, 3)
        assert not matrix[0].any() and np.isfinite(matrix).all()
        for row, word in enumerate(["anchor", *vocabulary], 2):
            if word in vectors:
                assert np.array_equal(matrix[row], vectors[word])
        assert coverage.types_found + len(coverage.missing) == coverage.types_total == len(vocabulary) + 1
        assert coverage == measure_coverage(["anchor", *vocabulary], vectors)
