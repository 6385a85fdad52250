import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_bilstm import Coverage, WordVectors, embedding_matrix, load_vectors
from glove_bilstm.vectors.alignment import measure_coverage
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.formats import read_glove


def write(file: Path, *lines: str) -> Path:
    file.write_bytes("".join(line + "\n" for line in lines).encode())
    return file


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors(["the", "cat", "dog", "stone"], np.array([[1, 0, 0], [0, 3, 4], [0, 4, 3], [-1, 0, 0]], "f4"))


class TestReading:
    def test_values_are_those_of_the_file(self, vectors_file: Path) -> None:
        lines = [line.split(" ") for line in vectors_file.read_text(encoding="utf-8").strip().split("\n")]
        vectors = load_vectors(vectors_file)
        assert vectors.words == [line[0] for line in lines]
        assert vectors.matrix.dtype == np.float32
        expected = np.array([[float(value) for value in line[1:]] for line in lines], dtype=np.float32)
        assert np.array_equal(vectors.matrix, expected)

    def test_only_wanted_words_are_held(self, vectors_file: Path) -> None:
        vectors = load_vectors(vectors_file, words=["dull", "nothing", "GREAT"])
        # In the file's order; a cased word brings the lower-cased one that embedding_matrix falls back to.
        assert vectors.words == ["great", "dull"]
        assert np.array_equal(vectors["dull"], load_vectors(vectors_file)["dull"])

    def test_limit_looks_at_the_head_only(self, vectors_file: Path) -> None:
        assert load_vectors(vectors_file, limit=3).words == load_vectors(vectors_file).words[:3]
        assert load_vectors(vectors_file, words=["weak"], limit=3).words == []

    def test_rows_that_are_not_wanted_are_not_parsed(self, tmp_path: Path) -> None:
        file = write(tmp_path / "v.txt", "a 1 2", "b one two", "c 3 4")
        assert load_vectors(file, words=["a", "c"]).words == ["a", "c"]

    @pytest.mark.parametrize("name", ["v.txt.gz", "named_otherwise.txt"])
    def test_gzip_is_told_by_content(self, tmp_path: Path, vectors_file: Path, name: str) -> None:
        (tmp_path / name).write_bytes(gzip.compress(vectors_file.read_bytes()))
        assert np.array_equal(load_vectors(tmp_path / name).matrix, load_vectors(vectors_file).matrix)

    def test_words_with_spaces_and_odd_characters(self, tmp_path: Path) -> None:
        words = [". . .", "at name@domain.com", "a\u00a0b", "\u0085", "x\u2028y", "", "1"]
        file = write(tmp_path / "v.txt", "the 0.5 1", *(f"{word} 1 2" for word in words))
        assert load_vectors(file).words == ["the", *words]
        assert load_vectors(file, words=[". . .", "1"]).words == [". . .", "1"]

    def test_first_of_duplicates_wins(self, tmp_path: Path) -> None:
        file = write(tmp_path / "v.txt", "a 1 2", "b 3 4", "a 5 6")
        assert load_vectors(file)["a"].tolist() == [1, 2]

    def test_windows_line_ends_and_a_blank_last_line(self, tmp_path: Path) -> None:
        (tmp_path / "v.txt").write_bytes(b"a 1 2\r\nb 3 4\r\n\r\n")
        assert load_vectors(tmp_path / "v.txt").matrix.tolist() == [[1, 2], [3, 4]]

    def test_a_byte_order_mark_is_no_part_of_the_first_word(self, tmp_path: Path) -> None:
        (tmp_path / "v.txt").write_bytes(b"\xef\xbb\xbfthe 1 2\na 3 4\n")
        assert load_vectors(tmp_path / "v.txt").words == ["the", "a"]

    def test_rows_are_streamed(self, tmp_path: Path) -> None:
        rows = read_glove(write(tmp_path / "v.txt", "a 1 2", "b 3"))
        assert next(rows)[0] == "a"  # before the bad row is reached
        with pytest.raises(InputError, match="row 2"):
            next(rows)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"text,label\ngood film,1\n", "doesn't hold word vectors: its first row, 'text,label'"),
            (b'{"text": "a good film", "label": 1}\n', "doesn't hold word vectors"),
            (b"400000 50\nthe 1 2\n", "'rows dimension' header"),
            (b"a 1 2 3\nb 1 2\n", r"row 2: 2 values, where the first row has 3"),
            (b"a 1 2\nb 1 x2\n", r"row 2: 'x2' is not a number"),
            (b"a 1 2\nb 1 nan\n", r"row 2: nan is not a finite number"),
            # mtime: the time of day would stand in the test's name, and two workers could collect different ones.
            (gzip.compress(b"a 1 2\n" * 999, mtime=0)[:-20], "is damaged: its compressed data"),
            (b"\x80\x04\x95\x00\x01", "doesn't hold word vectors"),
        ],
    )
    def test_bad_files_get_a_sentence(self, tmp_path: Path, content: bytes, message: str) -> None:
        (tmp_path / "v.txt").write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            load_vectors(tmp_path / "v.txt")
        assert "v.txt" in str(caught.value)

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="There is no vectors file .*nowhere"):
            load_vectors(tmp_path / "nowhere.txt")
        with pytest.raises(InputError, match="is a folder"):
            load_vectors(tmp_path)


class TestWordVectors:
    def test_behaves_like_a_mapping(self, vectors: WordVectors) -> None:
        assert len(vectors) == 4
        assert "cat" in vectors and "Cat" not in vectors
        assert vectors["cat"].tolist() == [0, 3, 4]
        with pytest.raises(KeyError):
            vectors["Cat"]

    def test_most_similar_is_by_cosine(self, vectors: WordVectors) -> None:
        (first, similarity), *others = vectors.most_similar("cat", k=2)
        assert first == "dog" and similarity == pytest.approx(24 / 25)
        assert len(others) == 1
        assert [word for word, _ in vectors.most_similar("the", k=99)][-1] == "stone"

    @pytest.mark.parametrize(
        ("words", "matrix"),
        [(["a"], np.zeros((2, 3), "f4")), (["a"], np.zeros((1, 3))), (["a", "a"], np.zeros((2, 3), "f4"))],
    )
    def test_refuses_what_does_not_pair(self, words: list[str], matrix: np.ndarray) -> None:
        with pytest.raises(ValueError, match="one row"):
            WordVectors(words, matrix)


class TestEmbeddingMatrix:
    def test_rows(self, vectors: WordVectors) -> None:
        matrix, coverage = embedding_matrix(["dog", "Cat", "unicorn"], vectors)
        assert matrix.dtype == np.float32 and matrix.shape == (5, 3)
        assert matrix[0].tolist() == [0, 0, 0]
        assert matrix[2].tolist() == [0, 4, 3]
        assert matrix[3].tolist() == [0, 3, 4]  # found lower-cased
        assert matrix[1] == pytest.approx([0, 3.5, 3.5])  # the mean of the two that were found
        assert coverage == Coverage(2, 3, 0, 0, {"exact": 1, "lower-cased": 1}, [("unicorn", 0)])
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
        assert coverage.to_dict(most_missing=1)["missing"] == [{"word": "unicorn", "tokens": 3}]

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
