"""Reading fastText models and safetensors files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from vector_files import COMPRESSIONS, MATRIX, WORDS, fasttext_binary, load, report, write

from glove_bilstm import WordVectors, build_tokenizer
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.fasttext import NGrams, ngram_buckets


class TestFastText:
    """Hashes and n-grams are checked against figures that gensim 4.4.0 gave."""

    WORDS = [b"the", "naïve".encode(), b"</s>", b"caf\xe9"]
    MATRIX = np.random.default_rng(6).normal(size=(4 + 99, 7)).astype("f4")

    @pytest.mark.parametrize(
        ("word", "hashes"),
        {
            "cat": [1066916747, 453988973, 108289031, 1647127995, 3848351106],
            "naïve": [
                *(1267806890, 785907692, 3249590546, 1297719404, 3608356832),
                *(405223007, 1813711570, 445788548, 3325088654),
            ],
            "日本": [3018758587, 3315313759, 778196157],
        }.items(),
    )
    def test_hashes_of_ngrams(self, word: str, hashes: list[int]) -> None:
        assert ngram_buckets(word.encode(), 3, 4, 2**32) == hashes
        assert ngram_buckets(word.encode(), 3, 4, 99) == [value % 99 for value in hashes]

    def test_a_border_alone_is_no_ngram(self) -> None:
        # <a <ab a ab ab> b b>
        assert len(ngram_buckets(b"ab", 1, 3, 99)) == 7

    def expected(self, word: bytes, row: int | None = None) -> np.ndarray:
        rows = [4 + bucket for bucket in ngram_buckets(word, 3, 4, 99)] + ([] if row is None else [row])
        return self.MATRIX[rows].mean(axis=0)

    @pytest.mark.parametrize("compression", ["plain", "gz", "zip"])
    @pytest.mark.parametrize("new", [True, False])
    def test_words_and_words_it_never_saw(self, tmp_path: Path, new: bool, compression: str) -> None:
        file = tmp_path / "model"
        file.write_bytes(COMPRESSIONS[compression](fasttext_binary(self.WORDS, self.MATRIX, new=new)))
        whole = load(file)
        assert whole.words == ["the", "naïve", "</s>", "caf\\xe9"]
        assert report(whole).format == "fastText binary" and report(whole).undecodable == 1
        assert whole["the"] == pytest.approx(self.expected(b"the", 0), abs=1e-6)
        assert whole["naïve"] == pytest.approx(self.expected("naïve".encode(), 1), abs=1e-6)
        # The end-of-sentence mark got n-grams in old models only.
        end = self.MATRIX[2] if new else self.expected(b"</s>", 2)
        assert whole["</s>"] == pytest.approx(end, abs=1e-6)
        assert whole["caf\\xe9"] == pytest.approx(self.expected(b"caf\xe9", 3), abs=1e-6)
        assert "unseen" not in whole
        assert whole["unseen"] == pytest.approx(self.expected(b"unseen"), abs=1e-6)
        assert whole.find("unseen")[0] == "n-gram" and whole.find("THE")[0] == "lower-cased"

        some = load(file, words=["unseen", "THE", "naïve"])
        assert some.words == ["the", "naïve", "unseen"]
        assert report(some).from_ngrams == 1 and report(some).rows_kept == 2
        for word in some.words:
            assert np.array_equal(some[word], whole[word])
        assert [some.find(word)[0] for word in ("unseen", "THE", "naïve")] == ["n-gram", "lower-cased", "exact"]
        assert load(file, limit=1).words == ["the"]

    def test_rows_that_are_not_finite(self, tmp_path: Path) -> None:
        matrix = self.MATRIX.copy()
        matrix[1] = np.nan
        vectors = load(tmp_path / "model", fasttext_binary(self.WORDS, matrix), words=["the", "naïve", "unseen"])
        assert vectors.words == ["the", "unseen"] and report(vectors).from_ngrams == 1
        assert report(vectors).malformed_rows == [(2, "not all of its values are finite numbers")]

    def test_a_row_of_ngrams_that_is_not_finite_makes_no_vector(self) -> None:
        matrix = self.MATRIX.copy()
        matrix[len(self.WORDS) :] = np.nan
        vectors = WordVectors(["a"], matrix[:1], ngrams=NGrams(matrix, len(self.WORDS), 99, 3, 6))
        assert vectors.find("unseen") is None

    def test_a_model_without_ngrams(self, tmp_path: Path) -> None:
        model = fasttext_binary(self.WORDS[:3], self.MATRIX[:3], longest=0, labels=[b"__label__x"], supervised=True)
        vectors = load(tmp_path / "model", model)
        assert vectors.words == ["the", "naïve", "</s>"] and np.array_equal(vectors.matrix, self.MATRIX[:3])
        assert vectors.find("unseen") is None
        with pytest.raises(KeyError):
            vectors["unseen"]

    def test_an_index_of_pruned_ngrams_is_skipped(self, tmp_path: Path) -> None:
        content = bytearray(fasttext_binary(self.WORDS, self.MATRIX))
        place = 8 + 56 + 20  # behind the header and the sizes of the dictionary
        words = content.index(b"</s>")
        assert content[place : place + 8] == b"\xff" * 8 and place < words
        content[place : place + 8] = (2).to_bytes(8, "little")
        end = content.index(b"caf\xe9\0") + 5 + 9
        content[end:end] = bytes(16)
        vectors = load(tmp_path / "model", bytes(content))
        assert vectors["the"] == pytest.approx(self.expected(b"the", 0), abs=1e-6)
        content[place : place + 8] = (2**62).to_bytes(8, "little")  # more bytes than can be asked for
        with pytest.raises(InputError, match="ends too early or is damaged"):
            load(tmp_path / "damaged", bytes(content))

    def test_a_model_whose_ngrams_were_all_pruned_has_none(self, tmp_path: Path) -> None:
        content = bytearray(fasttext_binary(self.WORDS, self.MATRIX))
        place = 8 + 56 + 20  # behind the header and the sizes of the dictionary
        content[place : place + 8] = bytes(8)
        vectors = load(tmp_path / "model", bytes(content))
        assert np.array_equal(vectors.matrix, self.MATRIX[:4]) and vectors.find("unseen") is None

    def test_a_supervised_model_of_version_11_has_no_character_ngrams(self, tmp_path: Path) -> None:
        content = fasttext_binary(self.WORDS, self.MATRIX, supervised=True).replace(b"\x0c", b"\x0b", 1)
        vectors = load(tmp_path / "model", content)
        assert np.array_equal(vectors.matrix, self.MATRIX[:4]) and vectors.find("unseen") is None

    def test_many_words(self, tmp_path: Path) -> None:
        """More of them than fit in one buffer, so that entries lie across its end."""
        words = [f"word{number}".encode() for number in range(20_000)]
        matrix = np.arange(40_000, dtype="f4").reshape(-1, 2)
        for content in (
            fasttext_binary(words, matrix, longest=0),
            gzip.compress(fasttext_binary(words, matrix, longest=0), 1, mtime=0),
        ):
            vectors = load(tmp_path / "model", content)
            assert vectors.words == [word.decode() for word in words] and np.array_equal(vectors.matrix, matrix)

    @pytest.mark.parametrize("cut", [10, 60, 90, 200, 400])
    @pytest.mark.parametrize("compression", ["plain", "gz"])
    def test_cut_off(self, tmp_path: Path, cut: int, compression: str) -> None:
        content = fasttext_binary(self.WORDS, self.MATRIX)[:cut]
        with pytest.raises(InputError, match="model is a fastText model that ends too early"):
            load(tmp_path / "model", COMPRESSIONS[compression](content))

    def test_sizes_that_contradict_each_other(self, tmp_path: Path) -> None:
        content = fasttext_binary(self.WORDS, self.MATRIX)
        for wrong in ((103, 6), (3, 7)):
            damaged = content.replace(struct.pack("<2q", 103, 7), struct.pack("<2q", *wrong))
            with pytest.raises(InputError, match="is a fastText model that ends too early or is damaged"):
                load(tmp_path / "model", damaged)

    def test_quantized(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a quantized fastText model"):
            load(tmp_path / "model", fasttext_binary(self.WORDS, self.MATRIX, quantized=True))


class TestSafetensors:
    def test_saved_and_loaded(self, tmp_path: Path) -> None:
        WordVectors(WORDS, MATRIX).save(tmp_path / "v.safetensors")
        vectors = load(tmp_path / "v.safetensors")
        assert vectors.words == WORDS and np.array_equal(vectors.matrix, MATRIX)
        assert load(tmp_path / "v.safetensors", words=["Cat"]).words == ["cat"]
        assert load(tmp_path / "v.safetensors", limit=2).words == WORDS[:2]
        # Writing to what is mapped changes memory only.
        vectors.matrix[0] = 0
        assert np.array_equal(load(tmp_path / "v.safetensors").matrix, MATRIX)

    def test_the_first_row_of_a_word_wins(self, tmp_path: Path) -> None:
        from safetensors.numpy import save_file

        words = np.frombuffer("\n".join([*WORDS[:4], WORDS[1]]).encode(), dtype=np.uint8)
        save_file({"vectors": MATRIX, "words": words}, tmp_path / "v.safetensors")
        for wanted in (None, WORDS):
            vectors = load(tmp_path / "v.safetensors", words=wanted)
            assert vectors.words == WORDS[:4] and np.array_equal(vectors.matrix, MATRIX[:4])
            assert report(vectors).duplicates == 1 and np.array_equal(vectors[WORDS[1]], MATRIX[1])

    def test_compressed_ones_and_others(self, tmp_path: Path) -> None:
        WordVectors(WORDS, MATRIX).save(tmp_path / "v")
        mode = (tmp_path / "v").stat().st_mode
        assert mode == write(tmp_path / "other", b"").stat().st_mode
        with pytest.raises(InputError, match="v.gz is a compressed safetensors file"):
            load(tmp_path / "v.gz", gzip.compress((tmp_path / "v").read_bytes(), mtime=0))

    def test_words_from_a_tokenizer_beside_it(self, tmp_path: Path) -> None:
        from safetensors.numpy import save_file

        build_tokenizer(["cat", "dog"]).save_pretrained(tmp_path)
        save_file({"embeddings.weight": MATRIX[:4].astype("f2"), "other": MATRIX}, tmp_path / "model.safetensors")
        vectors = load(tmp_path / "model.safetensors")
        assert vectors.words == ["<pad>", "<unk>", "cat", "dog"] and vectors.matrix.dtype == np.float32
        assert np.array_equal(vectors.matrix, MATRIX[:4].astype("f2").astype("f4"))

    def test_bad_ones_get_a_sentence(self, tmp_path: Path) -> None:
        from safetensors.numpy import save_file

        file = tmp_path / "v.safetensors"
        WordVectors(WORDS, MATRIX).save(file)
        whole = file.read_bytes()
        with pytest.raises(InputError, match="is a damaged safetensors file"):
            load(file, whole[:-9])
        with pytest.raises(InputError, match="is a damaged safetensors file"):
            load(file, whole[:50])
        save_file({"vectors": MATRIX}, file)
        with pytest.raises(InputError, match="no tensor 'words' in it, and no tokenizer.json"):
            load(file)
        save_file({"a": MATRIX, "b": MATRIX}, file)
        with pytest.raises(InputError, match="holds 2 matrices of dtype F16"):
            load(file)
        with pytest.raises(ValueError, match="newline"):
            WordVectors(["a\nb", "c"], MATRIX[:2]).save(file)
