"""Reading vectors files: every format, every compression, and what goes wrong."""

import bz2
import gzip
import io
import lzma
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_files import (
    COMPRESSIONS,
    MATRIX,
    WORDS,
    fasttext_binary,
    glove_text,
    load,
    report,
    word2vec_binary,
    word2vec_text,
    write,
    zipped,
    zstd,
)

from glove_bilstm import WordVectors, load_vectors
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.safetensors_file import save_vectors
from glove_bilstm.vectors.sources import find_source
from glove_bilstm.vectors.text import BATCH, read_text

FORMATS = {
    "GloVe text": glove_text(),
    "word2vec text": word2vec_text(),
    "word2vec binary": word2vec_binary(),
    "word2vec binary without newlines": word2vec_binary(newline=b""),
}


class TestFormats:
    @pytest.mark.parametrize("compression", COMPRESSIONS)
    @pytest.mark.parametrize("name", FORMATS)
    def test_every_format_in_every_compression(self, tmp_path: Path, name: str, compression: str) -> None:
        # The name says nothing about the content.
        file = write(tmp_path / "vectors.data", COMPRESSIONS[compression](FORMATS[name]))
        whole = load(file)
        assert whole.words == WORDS
        assert np.array_equal(whole.matrix, MATRIX) and whole.matrix.dtype == np.float32
        assert report(whole).format == name.removesuffix(" without newlines")
        assert report(whole).is_clean and report(whole).rows_read == report(whole).rows_kept == 5
        some = load(file, words=["日本", "Cat", "nothing"])
        assert some.words == ["cat", "日本"]
        assert np.array_equal(some.matrix, MATRIX[[2, 3]])
        assert (report(some).rows_read, report(some).rows_kept) == (5, 2)
        assert load(file, limit=2).words == WORDS[:2]

    def test_rows_are_streamed(self) -> None:
        content = b"".join(b"word%d 1 2\n" % number for number in range(9 * BATCH))
        stream = io.BufferedReader(io.BytesIO(content))
        blocks = read_text(stream, 2, ReadReport("v"), None, None)
        assert next(blocks)[0] == [] and next(blocks)[0][0] == "word0"
        assert stream.tell() < len(content) / 4

    def test_long_files_are_read_to_the_end(self, tmp_path: Path) -> None:
        """Over the borders of batches and chunks."""
        words = [f"word{number}" for number in range(4 * BATCH + 7)]
        matrix = np.random.default_rng(0).normal(size=(len(words), 99)).round(5).astype("f4")
        for content in (
            glove_text(words, matrix),
            word2vec_binary(words, matrix),
            word2vec_binary(words, matrix, b""),
        ):
            whole = load(tmp_path / "v", content)
            assert whole.words == words and np.array_equal(whole.matrix, matrix)
            some = load(tmp_path / "v", words=words[::1000])
            assert some.words == words[::1000] and np.array_equal(some.matrix, matrix[::1000])
            assert load(tmp_path / "v", limit=BATCH + 1).words == words[: BATCH + 1]

    def test_values_are_rounded_as_everybody_rounds_them(self, tmp_path: Path) -> None:
        numbers = [
            "0.1",
            "-1e-3",
            "1.00000005960464477539062600",
            "16777217",
            "3.4028235e38",
            "1e-46",
            "+2",
            ".5",
            "7.",
        ]
        vectors = load(tmp_path / "v", f"x {' '.join(numbers)}\ny {' '.join(['0'] * len(numbers))}\n".encode())
        expected = np.array([float(number) for number in numbers], dtype=np.float32)
        assert np.array_equal(vectors["x"], expected)


class TestZip:
    def test_members_are_chosen_by_name_or_dimension(self, tmp_path: Path) -> None:
        members = {f"glove.6B.{dim}d.txt": glove_text(matrix=np.full((5, dim), dim, "f4")) for dim in (5, 50, 3)}
        file = write(tmp_path / "glove.6B.zip", zipped(**members, **{"__MACOSX/x": b"", "folder/": b""}))
        for member, dim in {"50d": 50, "5d": 5, "3": 3, "glove.6B.50d.txt": 50}.items():
            vectors = load(Path(f"{file}:{member}"))
            assert vectors.dim == dim and vectors.matrix[0, 0] == dim
        assert not [path for path in tmp_path.iterdir() if path != file]  # nothing was unpacked
        for name in (str(file), f"{file}:100d", f"{file}:glove"):
            with pytest.raises(InputError, match=r"holds glove.6B.5d.txt, .*glove.6B.zip:glove.6B.50d.txt"):
                load_vectors(name)

    def test_what_a_mac_adds_is_no_member(self, tmp_path: Path) -> None:
        content = zipped(**{".DS_Store": b"x", "v.txt": glove_text(), "__MACOSX/._v.txt": b"x", "folder/": b""})
        assert load(tmp_path / "v.zip", content).words == WORDS

    def test_a_whole_name_says_which_of_two_alike(self, tmp_path: Path) -> None:
        file = write(tmp_path / "v.zip", zipped(**{"old/a.txt": glove_text(), "a.txt": b"x 1 2\n"}))
        assert load_vectors(f"{file}:a.txt").words == ["x"]
        assert load_vectors(f"{file}:old/a.txt").words == WORDS
        with pytest.raises(InputError, match=r"holds old/a.txt, a.txt"):
            load_vectors(file)

    def test_what_counts_words_is_no_dimension(self, tmp_path: Path) -> None:
        members = {"glove.twitter.27B.200d.txt": glove_text(), "glove.twitter.27B.25d.txt": glove_text()}
        file = write(tmp_path / "v.zip", zipped(**members))
        with pytest.raises(InputError, match="Say which one"):
            load_vectors(f"{file}:27d")

    def test_the_name_of_the_archive_tells_nothing(self, tmp_path: Path) -> None:
        file = write(tmp_path / "data", zipped(**{"a.50d.txt": glove_text(), "b.25d.txt": b"x 1 2\n"}))
        assert load_vectors(f"{file}:25d").words == ["x"]
        with pytest.raises(InputError, match="v.txt is no zip archive, so it holds no 25d"):
            load_vectors(f"{write(tmp_path / 'v.txt', glove_text())}:25d")

    def test_an_encrypted_member_is_refused(self, tmp_path: Path) -> None:
        content = bytearray(zipped(file=glove_text()))
        for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of the file and of the directory
            content[content.index(magic) + place] |= 1
        with pytest.raises(InputError, match="v.zip can't be unzipped"):
            load(tmp_path / "v.zip", bytes(content))

    def test_a_torch_file_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "v.pt", zipped(**{"archive/data.pkl": b"", "archive/data/0": b""}))
        with pytest.raises(InputError, match="v.pt is a PyTorch file, which holds a pickle"):
            load_vectors(tmp_path / "v.pt")


class TestQuirks:
    def test_words_with_spaces_and_odd_characters(self, tmp_path: Path) -> None:
        words = [". . .", "at name@domain.com", "a\u00a0b", "\u0085", "x\u2028y", "", " ", "1", "a\rb", "\ufeff", '"']
        content = "".join(f"{word} {number} 2\n" for number, word in enumerate(["the", *words]))
        vectors = load(tmp_path / "v", content.encode())
        assert vectors.words == ["the", *words]
        assert vectors.matrix.tolist() == [[number, 2] for number in range(len(words) + 1)]
        assert load(tmp_path / "v", words=[". . .", "1", " "]).words == [". . .", " ", "1"]

    def test_first_of_duplicates_wins(self, tmp_path: Path) -> None:
        vectors = load(tmp_path / "v", b"a 1 2\nb 3 4\na 5 6\na 7 8\n")
        assert vectors.words == ["a", "b"] and vectors["a"].tolist() == [1, 2]
        assert report(vectors).duplicates == 2 and "2 duplicates left out" in str(vectors.report)

    def test_duplicates_far_from_each_other(self, tmp_path: Path) -> None:
        words = [f"w{number % (BATCH + 99)}" for number in range(3 * BATCH)]
        matrix = np.arange(6 * BATCH, dtype="f4").reshape(-1, 2)
        for content in (glove_text(words, matrix), word2vec_binary(words, matrix)):
            vectors = load(tmp_path / "v", content)
            assert vectors.words == words[: BATCH + 99] and np.array_equal(vectors.matrix, matrix[: BATCH + 99])
            assert report(vectors).duplicates == 2 * BATCH - 99

    def test_line_ends_blank_lines_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        vectors = load(tmp_path / "v", b"\xef\xbb\xbfthe 1 2\r\n\r\nb 3 4\n\n")
        assert vectors.words == ["the", "b"] and vectors.matrix.tolist() == [[1, 2], [3, 4]]
        assert report(vectors).rows_read == 2

    def test_a_last_row_without_an_end(self, tmp_path: Path) -> None:
        assert load(tmp_path / "v", glove_text()[:-1]).words == WORDS

    @pytest.mark.parametrize(
        ("header", "said"),
        [
            (b"9 7\n", "9 rows of 7 numbers"),
            (b"5 300\n", "5 rows of 300 numbers"),
            (b"400000 7\n", "400,000 rows of 7 numbers"),
        ],
    )
    def test_headers_that_lie_are_not_believed(self, tmp_path: Path, header: bytes, said: str) -> None:
        vectors = load(tmp_path / "v", header + glove_text())
        assert vectors.words == WORDS and np.array_equal(vectors.matrix, MATRIX)
        assert f"the header says {said}, but there are 5 of 7" in str(vectors.report)

    @pytest.mark.parametrize("rows", [3, 99])
    def test_a_binary_header_that_lies_about_rows(self, tmp_path: Path, rows: int) -> None:
        vectors = load(tmp_path / "v", word2vec_binary().replace(b"5 7", b"%d 7" % rows, 1))
        assert vectors.words == WORDS and np.array_equal(vectors.matrix, MATRIX)
        assert f"the header says {rows} rows" in str(vectors.report)

    def test_bytes_that_are_not_utf8(self, tmp_path: Path) -> None:
        vectors = load(tmp_path / "v", b"caf\xe9 1 2\ncaf\xe8 3 4\ncaf\xc3\xa9 5 6\n")
        assert vectors.words == ["caf\\xe9", "caf\\xe8", "café"]
        assert report(vectors).undecodable == 2 and not report(vectors).is_clean
        assert report(load(tmp_path / "v", words=["café"])).undecodable == 2

    def test_malformed_rows_are_left_out_and_shown(self, tmp_path: Path) -> None:
        good = [f"w{number} {number} 2 3" for number in range(90)]
        bad = {11: "x 1 2", 23: "y 1 2 3 4", 35: "z 1 zwei 3", 47: "n 1 nan 3", 59: "i 1 2 1e39"}
        lines = list(good)
        for row, line in bad.items():
            lines.insert(row - 1, line)
        vectors = load(tmp_path / "v", "".join(f"{line}\n" for line in lines).encode())
        assert vectors.words == [line.split(" ")[0] for line in good]
        assert vectors.matrix[:, 0].tolist() == list(range(90))
        assert report(vectors).malformed_rows == [
            (11, "2 values where the other rows have 3"),
            (23, "4 values where the other rows have 3"),
            (35, "'zwei' is not a number"),
            (47, "nan is not a finite float32 number"),
            (59, "1e39 is not a finite float32 number"),
        ]
        assert "5 malformed rows left out (row 11: 2 values" in str(vectors.report)
        # Rows that are not wanted are not looked at.
        assert report(load(tmp_path / "v", words=["w1"])).malformed == 0

    @pytest.mark.parametrize("header", ["", "9999 2\n"])
    def test_rows_are_numbered_as_in_the_file(self, tmp_path: Path, header: str) -> None:
        lines = [f"w{number} 1 2" for number in range(3 * BATCH)]
        # The last of them is nothing but a word.
        lines[5], lines[2 * BATCH + 7], lines[-1] = "a 1", "b 1", "c"
        vectors = load(tmp_path / "v", (header + "\n".join(lines) + "\n").encode())
        first = 2 if header else 1
        assert [row for row, _ in report(vectors).malformed_rows] == [
            5 + first,
            2 * BATCH + 7 + first,
            3 * BATCH - 1 + first,
        ]
        assert len(vectors) == 3 * BATCH - 3

    def test_too_many_malformed_rows_stop_the_load(self, tmp_path: Path) -> None:
        content = "".join(f"w{number} 1 2\n" + ("v 1\n" if number % 50 == 0 else "") for number in range(900))
        with pytest.raises(
            InputError, match=r"18 of 918 rows are malformed \(row 2: 1 values where the other rows have 2"
        ):
            load(tmp_path / "v.txt", content.encode())

    def test_a_binary_file_that_is_cut_off(self, tmp_path: Path) -> None:
        words = [f"w{number}" for number in range(999)]
        content = word2vec_binary(words, np.ones((999, 7), "f4"))
        vectors = load(tmp_path / "v", content[:-9])
        assert vectors.words == words[:-1]
        assert report(vectors).malformed_rows == [(999, "the file ends in the middle of it")]
        assert "the header says 999 rows of 7 numbers, but there are 998" in str(vectors.report)
        # Also where nothing near the end is wanted.
        assert load(tmp_path / "v", words=["w1"]).words == ["w1"]

    @pytest.mark.parametrize("said", [5, 6, 8, 9, 300])
    def test_a_binary_header_that_lies_about_the_dimension(self, tmp_path: Path, said: int) -> None:
        words = [f"word{number}" for number in range(999)]
        matrix = np.random.default_rng(0).normal(size=(999, 7)).astype("f4")
        vectors = load(tmp_path / "v", word2vec_binary(words, matrix).replace(b"999 7", b"999 %d" % said, 1))
        assert vectors.words == words and np.array_equal(vectors.matrix, matrix)
        assert f"the header says 999 rows of {said} numbers, but there are 999 of 7" in str(vectors.report)

    def test_a_binary_file_that_holds_something_else(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).bytes(99_999)
        for header in (b"999 7\n", b"2 99999\n"):
            with pytest.raises(InputError, match="v isn't what its header says|malformed"):
                load(tmp_path / "v", header + noise)
        with pytest.raises(InputError, match="v doesn't hold word vectors"):
            load(tmp_path / "v", b"2 99999999999999\nthe " + noise)

    def test_words_of_strange_bytes_are_words(self, tmp_path: Path) -> None:
        words = ["a", "\x01b", "c", "d", "e"]
        assert load(tmp_path / "v", word2vec_binary(words, MATRIX)).words == words
        assert load(tmp_path / "v", b"3 3\na\x00b 1 2 3\nc 4 5 6\nd 7 8 9\n").words == ["a\x00b", "c", "d"]

    def test_headers_over_few_rows(self, tmp_path: Path) -> None:
        assert load(tmp_path / "v", b"1 3\nthe 1 2 3").matrix.tolist() == [[1, 2, 3]]
        assert load(tmp_path / "v", b"2 1\ncat 0.5\ndog 0.75\n").matrix.tolist() == [[0.5], [0.75]]
        assert load(tmp_path / "v", b" 1 2\nthe 3 4\n").words == ["", "the"]
        assert report(load(tmp_path / "v", b"\xef\xbb\xbf" + word2vec_text())).format == "word2vec text"

    def test_a_binary_file_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        vectors = load(tmp_path / "v", b"\xef\xbb\xbf" + word2vec_binary())
        assert vectors.words == WORDS and np.array_equal(vectors.matrix, MATRIX)
        assert report(vectors).format == "word2vec binary" and report(vectors).is_clean

    def test_a_header_that_lies_where_the_rest_is_not_looked_at(self, tmp_path: Path) -> None:
        file = write(tmp_path / "v", b"30 5\n" + glove_text())
        assert "30 rows of 5 numbers, but there are 30 of 7" in str(load(file, limit=3).report)
        assert "30 rows of 5 numbers, but there are 5 of 7" in str(load(file, limit=99).report)
        assert report(load(tmp_path / "v", b"30 7\n" + glove_text(), limit=3)).header_lied is None

    def test_a_binary_header_where_the_rest_is_not_looked_at(self, tmp_path: Path) -> None:
        file = write(tmp_path / "v", word2vec_binary())
        for limit in (3, 5, None):
            assert report(load(file, limit=limit)).header_lied is None
        file = write(tmp_path / "v", word2vec_binary().replace(b"5 7\n", b"30 7\n", 1))
        assert report(load(file, limit=3)).header_lied is None  # the others may be there
        assert "30 rows of 7 numbers, but there are 5 of 7" in str(load(file).report)

    def test_rows_of_forty_thousand_numbers(self, tmp_path: Path) -> None:
        matrix = np.arange(80_000, dtype="f4").reshape(2, -1)
        for content in (glove_text("ab", matrix), word2vec_text("ab", matrix)):
            assert np.array_equal(load(tmp_path / "v", content).matrix, matrix)

    def test_a_carriage_return_does_not_make_up_for_a_missing_row(self, tmp_path: Path) -> None:
        content = "".join(f"w{number} 1 2\n" for number in range(30)).encode() + b"ab\nb 1 2\r3 4\n"
        vectors = load(tmp_path / "v", content)
        assert len(vectors) == 30 and [row for row, _ in report(vectors).malformed_rows] == [31, 32]
        vectors = load(tmp_path / "v", content.replace(b"ab\n", b""))
        assert vectors.matrix.tolist() == [[1, 2]] * 30
        assert [row for row, _ in report(vectors).malformed_rows] == [31]

    @pytest.mark.parametrize("name", [*FORMATS, "fastText", "safetensors"])
    def test_nothing_found_keeps_the_dimension(self, tmp_path: Path, name: str) -> None:
        content = FORMATS.get(name) or fasttext_binary([b"the"], np.ones((1, 7), "f4"), longest=0)
        file = write(tmp_path / "v", content)
        if name == "safetensors":
            WordVectors(WORDS, MATRIX).save(file)
        vectors = load(file, words=["unheard-of"])
        assert (len(vectors), vectors.dim) == (0, 7) and vectors.find("the") is None

    def test_what_is_wanted_may_stand_far_behind(self, tmp_path: Path) -> None:
        words = [". . .", *(f"word{number}" for number in range(20_000))]
        matrix = np.random.default_rng(0).normal(size=(len(words), 20)).round(5).astype("f4")
        for content in (
            glove_text([".", *words], np.vstack([matrix[:1], matrix])),
            word2vec_binary(words[1:], matrix[1:]),
        ):
            vectors = load(tmp_path / "v", content, words=["word19999"])
            assert np.array_equal(vectors["word19999"], matrix[-1])
        rows = b". 1 2\n" + b"".join(b"w%d 1 2\n" % number for number in range(3000))
        assert load(tmp_path / "v", rows + b". . . 3 4\n", words=[". . ."]).words == [". . ."]

    def test_one_malformed_row_among_many_does_not_stop_those_who_want_it(self, tmp_path: Path) -> None:
        content = b"".join(b"w%d 1 2\n" % number for number in range(999)) + b"x 1 zwei\n"
        assert report(load(tmp_path / "v", content, words=["x"])).malformed == 1

    def test_values_that_are_not_finite_in_a_binary_file(self, tmp_path: Path) -> None:
        matrix = np.ones((99, 7), "f4")
        matrix[40, 3] = np.inf
        vectors = load(tmp_path / "v", word2vec_binary([f"w{number}" for number in range(99)], matrix))
        assert len(vectors) == 98 and "w40" not in vectors
        assert report(vectors).malformed_rows == [(41, "not all of its values are finite numbers")]

    @settings(max_examples=100, deadline=None)
    @given(
        words=st.lists(
            st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), unique=True, max_size=9
        ),
        seed=st.integers(0, 9),
    )
    def test_any_words_survive_the_text_format(self, tmp_path_factory, words: list[str], seed: int) -> None:
        # What looks like more numbers is no word; nor does a carriage return alone at a row's start stand for one; and
        # spaces around a word are none of its own.
        words = [word for word in words if not any(part[:1].isdigit() for part in word.split(" "))]
        words = list(dict.fromkeys(["anchor", *(word.strip(" ") or word for word in words)]))
        matrix = np.random.default_rng(seed).normal(size=(len(words), 3)).round(5).astype("f4")
        vectors = load(tmp_path_factory.mktemp("any") / "v", glove_text(words, matrix))
        if all(word not in ("NaN", "nan", "inf", "infinity") for text in words for word in text.lower().split(" ")):
            assert vectors.words == words and np.array_equal(vectors.matrix, matrix)


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"text,label\ngood film,1\n", "doesn't hold word vectors: its first row, 'text,label'"),
            (b'{"text": "a good film", "label": 1}\n', "doesn't hold word vectors"),
            (b"12 7\n", "doesn't hold word vectors"),
            (b"a 1 2\nb 1 x2\n", r"row 2: 'x2' is not a number"),
            (b"<!DOCTYPE html>\n<html>", "a web page"),
            (b"the\t1 2 3\nof\t1 2 3\n", "its fields are divided by tabs"),
            (b"the 1 2 3\rof 1 2 3\r", "its rows end with a carriage return alone"),
            (b"2 3\nthe\t1\t2\t3\nb\t1\t2\t3\n", "its fields are divided by tabs"),
            (b"glove.txt".ljust(257, b"\0") + b"ustar" + glove_text(), "a tar archive"),
            (b"SQLite format 3\0", "a database"),
            (zipped(**{"vectors.npy": b"", "words.npy": b""}), "a file of NumPy arrays"),
            (zipped(), "is an empty zip archive"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
            (b"\x93NUMPY\x01\x00", "a NumPy array"),
            ("the 1 2\n".encode("utf-16"), "text in UTF-16"),
            *((pickle.dumps({"words": ["a"]}, protocol), "is a pickle") for protocol in range(6)),
            (pickle.dumps(io.StringIO, 0), "is a pickle"),
            (pickle.dumps([1, 2], 0), "is a pickle"),
            # mtime: the time of day would stand in the test's name, and two workers could collect different ones.
            (gzip.compress(b"a 1 2\n" * 999, mtime=0)[:-20], "is damaged: .* Delete it, and fetch it again"),
            (bz2.compress(b"a 1 2\n" * 999)[:-20], "is damaged: .* Delete it, and fetch it again"),
            (lzma.compress(b"a 1 2\n" * 999)[:-20], "is damaged: .* Delete it, and fetch it again"),
            (zstd(b"a 1 2\n" * 999)[:-9], "is damaged: .* Delete it, and fetch it again"),
            (zipped(file=glove_text())[:-20], "is damaged: .* Delete it, and fetch it again"),
        ],
    )
    def test_bad_files_get_a_sentence(self, tmp_path: Path, content: bytes, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            load(tmp_path / "v.txt", content)
        assert "v.txt" in str(caught.value)

    def test_a_compressed_pickle_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"v.model is a pickle .*save_word2vec_format"):
            load(tmp_path / "v.model", gzip.compress(pickle.dumps({"a": 1}), mtime=0))

    def test_one_row_without_an_end(self, tmp_path: Path) -> None:
        for content in (b"the 1 2 3", b"the 1 2 3\r"):
            assert load(tmp_path / "v", content).words == ["the"]

    def test_words_that_look_like_a_pickle_are_no_pickle(self, tmp_path: Path) -> None:
        for word in ("(int", "(lp", "]q", "}q", "cat", "c.", "(dp1"):
            assert load(tmp_path / "v", f"{word} 1 2\nb 3 4\n".encode()).words == [word, "b"]

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="There is no vectors file .*nowhere"):
            load_vectors(tmp_path / "nowhere.txt")
        with pytest.raises(InputError, match="is a folder"):
            load_vectors(tmp_path)
        with pytest.raises(ValueError, match="words is the one string 'film'"):
            load_vectors("demo", words="film")
        with pytest.raises(ValueError, match="words holds None, which isn't a string"):
            load_vectors("demo", words=["film", None])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="limit must be at least 1"):
            load_vectors("demo", limit=0)


def test_spaces_around_a_word_are_none_of_its_own(tmp_path: Path) -> None:
    text = glove_text().decode()
    first = text.index(" ")
    spaced = [
        text[:first] + " " + text[first:],  # behind one word
        text.replace(" ", "  ", 1).replace("\nna", "\n  na"),  # and before another
        "".join(" " + line for line in text.splitlines(keepends=True)),
        "".join(line.replace(" ", "   ", 1) for line in text.splitlines(keepends=True)),
    ]
    for content in spaced:
        vectors = load(tmp_path / "v", content.encode())
        assert vectors.words == WORDS and np.array_equal(vectors.matrix, MATRIX)
        assert vectors.report is not None and vectors.report.is_clean
        assert load(tmp_path / "v", content.encode(), words=WORDS[:2]).words == WORDS[:2]


def test_words_with_spaces_are_parsed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"new york {n}" if n % 3 else f"york{n}" for n in range(1, 100)]
    words = [f"{word}th" for word in words]
    matrix = np.random.default_rng(1).normal(size=(99, 7)).round(5).astype("f4")

    def one_by_one(*_: object) -> None:
        raise AssertionError("looked at one by one")

    with monkeypatch.context() as patch:
        patch.setattr("glove_bilstm.vectors.text._RowParser._parse_row", one_by_one)
        vectors = load(tmp_path / "v", glove_text(words, matrix))
    assert vectors.words == words and np.array_equal(vectors.matrix, matrix)
    # One with a number too many is told from them, whatever spaces there are.
    for space in (b" ", b"  "):
        damaged = glove_text(words, matrix).replace(b"york42th ", b"york42th" + space + b"0.5" + space)
        vectors = load(tmp_path / "v", damaged)
        assert vectors.report is not None and vectors.report.malformed == 1
        assert vectors.words == [word for word in words if word != "york42th"]


def test_what_was_saved_keeps_its_profile(tmp_path: Path) -> None:
    saved = WordVectors(["The", "U.S."], np.eye(2, dtype="f4"), "glove-cased")
    saved.save(tmp_path / "v.safetensors")
    loaded = load_vectors(tmp_path / "v.safetensors")
    assert loaded.profile == "glove-cased" and loaded.find("the") is not None
    # What isn't known is another tool's, or a later version's.
    save_vectors(tmp_path / "other.safetensors", ["a"], np.eye(1, dtype="f4"), {"tokenization_profile": "bogus"})
    assert load_vectors(tmp_path / "other.safetensors").profile == "whitespace"
    # "whitespace" says nothing that the name doesn't say better.
    WordVectors(["a"], np.eye(1, dtype="f4")).save(tmp_path / "glove.6B.safetensors")
    assert load_vectors(tmp_path / "glove.6B.safetensors").profile == "glove"


@pytest.mark.parametrize(
    ("name", "profile"),
    [("glove.wiki.de.300d", None), ("glove_demo_cased", None), ("glove-wiki-gigaword-100", "glove")],
)
def test_a_name_tells_the_profile_only_of_sets_that_are_known(tmp_path: Path, name: str, profile: str | None) -> None:
    (tmp_path / f"{name}.txt").write_bytes(glove_text())
    assert find_source(tmp_path / f"{name}.txt").profile == profile


def test_half_of_a_surrogate_pair_is_simply_not_there(tmp_path: Path) -> None:
    model = fasttext_binary([b"the"], np.ones((9, 7), "f4"))
    for content in (glove_text(), word2vec_binary(), model, gzip.compress(model, mtime=0)):
        assert "the" in load(tmp_path / "v", content, words=["\ud800x", "the"])
