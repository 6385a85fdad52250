"""What was read from a vectors file is kept and mapped the next time: the same words and numbers, whatever happens."""

import gzip
import logging
import mmap
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from test_reading import zipped
from vector_files import MATRIX, WORDS, fasttext_binary, glove_text, word2vec_binary, write

from glove_bilstm import WordVectors, load_vectors
from glove_bilstm.vectors import cache, word_vectors
from glove_bilstm.vectors.streams import VectorsFile

MODEL_WORDS = [b"the", "naïve".encode(), b"cat"]
MODEL = fasttext_binary(MODEL_WORDS, np.random.default_rng(6).normal(size=(3 + 99, 7)).astype("f4"))
# The report has something to tell of it: a header that lies, a row that is malformed, a word twice.
FLAWED = b"9 2\n" + b"".join(b"word%d 1 %d\n" % (number, number) for number in range(30)) + b"x 1 nan\nword3 5 5\n"
CONTENTS = {"glove": glove_text(), "flawed": FLAWED, "gz": gzip.compress(glove_text(), mtime=0), "model": MODEL}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "vectors.txt", glove_text())


@pytest.fixture
def never_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on nothing can be read but from the cache."""

    def fail(*_: object) -> None:
        raise AssertionError("the file is read again")

    return lambda: monkeypatch.setattr(word_vectors, "read_vectors", fail)


def entries() -> list[Path]:
    """The entries, after a look for anything else that was left in the cache."""
    left = sorted(cache.folder().iterdir()) if cache.folder().is_dir() else []
    assert [path.name for path in left if path.suffix != ".safetensors"] in ([], ["lock"])
    return [path for path in left if path.suffix == ".safetensors"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def is_mapped(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def assert_same(one: WordVectors, other: WordVectors) -> None:
    assert one.words == other.words
    assert one.matrix.dtype == other.matrix.dtype == np.float32
    assert one.matrix.shape == other.matrix.shape and np.array_equal(one.matrix, other.matrix)
    assert one.report == other.report and one.profile == other.profile and one.forms == other.forms
    for word in (*WORDS, "unseen", "THE", "word3"):
        found, expected = one.find(word), other.find(word)
        assert (found is None) == (expected is None)
        if found and expected:
            assert found[0] == expected[0] and np.array_equal(found[1], expected[1])


class TestHits:
    @pytest.mark.parametrize("words", [None, ["unseen", "THE", "naïve", "word3", "x"]])
    @pytest.mark.parametrize("content", CONTENTS)
    def test_the_same_without_reading(
        self, tmp_path: Path, never_read: Callable, content: str, words: list[str] | None
    ) -> None:
        file = write(tmp_path / "vectors", CONTENTS[content])
        read = load_vectors(file, words=words)
        assert len(entries()) == 1 and not is_mapped(read.matrix)
        never_read()
        kept = load_vectors(file, words=words)
        assert is_mapped(kept.matrix)
        assert_same(kept, read)
        if content == "model":
            assert kept["unseen"].shape == (7,)  # made from its n-grams

    def test_where_it_lies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not beside the Hub's cache, for what stands beside that may be anybody's."""
        monkeypatch.setattr(constants, "HF_HUB_CACHE", "/data")
        assert cache.folder() == tmp_path / "glove_bilstm" / "cache"

    def test_writing_to_what_is_mapped_changes_memory_only(self, file: Path) -> None:
        load_vectors(file)
        kept = load_vectors(file)
        kept.matrix[:] = 0
        assert np.array_equal(load_vectors(file).matrix, MATRIX)

    def test_the_cache_is_not_asked(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        load_vectors(file, use_cache=False)
        assert entries() == []
        load_vectors(file)
        monkeypatch.setattr(cache, "read_entry", lambda *_: pytest.fail("looked into the cache"))
        monkeypatch.setattr(cache, "write_entry", lambda *_: pytest.fail("wrote to the cache"))
        assert np.array_equal(load_vectors(file, use_cache=False).matrix, MATRIX)

    def test_what_is_not_kept(self, tmp_path: Path) -> None:
        WordVectors(WORDS, MATRIX).save(tmp_path / "v.safetensors")
        assert load_vectors(tmp_path / "v.safetensors").words == WORDS  # mapped as it is
        file = write(tmp_path / "v.txt", glove_text())
        for _ in range(2):
            assert len(load_vectors(file, words=["nothing"])) == 0
        # All rows of a compressed model, held in memory.
        assert load_vectors(write(tmp_path / "v.gz", gzip.compress(MODEL, mtime=0)))["unseen"].shape == (7,)
        assert entries() == []

    def test_a_word_that_is_empty(self, tmp_path: Path, never_read: Callable) -> None:
        file = write(tmp_path / "v", b"a 1 2\nb 3 4\n 5 6\n")
        load_vectors(file, words=[""])
        never_read()
        assert load_vectors(file, words=[""]).words == [""]

    def test_others_may_read_it(self, file: Path) -> None:
        """As far as the user's umask lets them."""
        load_vectors(file)
        os.umask(umask := os.umask(0))
        assert entries()[0].stat().st_mode & 0o777 == 0o666 & ~umask


class TestKey:
    def test_everything_that_was_asked_for(self, tmp_path: Path) -> None:
        content = zipped(**{"a.5d.txt": glove_text(), "a.7d.txt": glove_text(WORDS[::-1])})
        archive = write(tmp_path / "v.zip", content)
        loads: list[tuple[str, dict]] = [
            (f"{archive}:5d", {}),
            (f"{archive}:7d", {}),
            (f"{archive}:5d", {"limit": 2}),
            (f"{archive}:5d", {"limit": 3}),
            (f"{archive}:5d", {"profile": "glove", "words": ["cat"]}),
            (f"{archive}:5d", {"words": ["cat"]}),
            (f"{archive}:5d", {"words": ["the"]}),
            (f"{archive}:5d", {"words": WORDS}),
        ]
        read = [load_vectors(name, **options) for name, options in loads]
        assert len(entries()) == len(loads)
        for (name, options), vectors in zip(loads, read, strict=True):
            assert_same(load_vectors(name, **options), vectors)
        # All words are the same whatever the profile.
        assert load_vectors(f"{archive}:5d", profile="glove").profile == "glove"
        assert len(entries()) == len(loads)

    @given(st.sets(st.text("ab\n\0 \"'\\,é\ud800", max_size=3), max_size=4), st.sets(st.text("ab\n"), max_size=4))
    @settings(deadline=None)
    def test_words_and_not_their_order(self, one: set[str], other: set[str]) -> None:
        file = VectorsFile(Path(__file__))

        def key(words: list[str] | set[str] | None) -> Path:
            return cache.entry(file, words, None, "glove")

        repeated = [*one, *one]
        random.Random(0).shuffle(repeated)
        assert key(one) == key(repeated)
        assert (key(one) == key(other)) == (one == other)
        assert key(one) != key(None)

    def test_order_of_sets(self, file: Path) -> None:
        """It is another one in every process."""
        script = (
            "import sys; from pathlib import Path; from glove_bilstm.vectors import cache, streams;"
            "print(cache.entry(streams.VectorsFile(Path(sys.argv[1])), set('abcdefgh'), None, 'glove').name)"
        )
        names = {
            subprocess.run(
                [sys.executable, "-c", script, file],
                env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
            ).stdout
            for seed in ("1", "2")
        }  # fmt: skip
        assert names == {f"{cache.entry(VectorsFile(file), 'abcdefgh', None, 'glove').name}\n"}

    @pytest.mark.parametrize("rows", [5, 40_000])  # one that is hashed whole, and one that isn't
    def test_content_of_the_same_size_and_time(self, tmp_path: Path, rows: int) -> None:
        words = [f"word{number:05}" for number in range(rows)]
        content = glove_text(words, np.ones((rows, 7), "f4"))
        file = write(tmp_path / "v", content)
        # Of the large file, a row between the pieces that are looked at.
        place = (len(content) - cache.SAMPLE) // (cache.SAMPLES - 1) + 2 * cache.SAMPLE
        row = 3 if rows == 5 else place * rows // len(content)
        assert load_vectors(file, words=[words[row]]).matrix[0, 0] == 1
        before = file.stat()
        time.sleep(0.02)  # the clock of the file system ticks every few milliseconds
        with file.open("r+b") as out:
            out.seek(len(content) // rows * row + len("word00003 "))
            out.write(b"2")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        assert load_vectors(file, words=[words[row]]).matrix[0, 0] == 2
        assert len(entries()) == 2

    def test_size_and_time(self, file: Path) -> None:
        fingerprints = {cache.fingerprint(file)}
        os.utime(file, ns=(0, 0))
        fingerprints.add(cache.fingerprint(file))
        with file.open("ab") as out:
            out.write(b"\0")
        os.utime(file, ns=(0, 0))
        fingerprints.add(cache.fingerprint(file))
        assert len(fingerprints) == 3

    @given(st.binary(min_size=1, max_size=4 * 8), st.data())
    def test_every_byte_of_a_small_file_counts(self, content: bytes, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(content) - 1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cache, "SAMPLES", 4)
            patch.setattr(cache, "SAMPLE", 8)
            file = cache.folder().parent.parent / "content"
            one = cache.fingerprint(write(file, content)).split()[-1]
            changed = bytes([*content[:place], content[place] ^ 1, *content[place + 1 :]])
            assert cache.fingerprint(write(file, changed)).split()[-1] != one

    def test_other_code_may_read_otherwise(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        load_vectors(file)
        monkeypatch.setattr(cache, "code_version", lambda: "another")
        load_vectors(file)
        assert len(entries()) == 2


def flip(content: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        {
            "cut in the middle": lambda entry: entry[: len(entry) // 2],
            "cut in the header": lambda entry: entry[:20],
            "cut by a byte": lambda entry: entry[:-1],
            "empty": lambda entry: b"",
            "zeros": lambda entry: bytes(len(entry)),
            "garbage": lambda entry: random.Random(1).randbytes(len(entry)),
            "a name in the header": lambda entry: entry.replace(b'"rows_read', b'"rows_rea'),
            "the length of the header": lambda entry: flip(entry, 0),
            "an offset in the header": lambda entry: flip(entry, entry.index(b'"data_offsets":[0,') + 17, 1),
            "a dtype in the header": lambda entry: flip(entry, entry.index(b'"F32"') + 3),
            "the report": lambda entry: flip(entry, entry.index(b'rows_kept\\": 5') + len('rows_kept\\": ')),
            "the matrix": lambda entry: flip(entry, entry.index(MATRIX[2].tobytes()) + 5),
            "the words": lambda entry: flip(entry, entry.index(b"cat")),
        }.items(),
        ids=lambda pair: pair[0],
    )
    def test_heals(self, file: Path, caplog: pytest.LogCaptureFixture, damage: tuple[str, Callable]) -> None:
        read = load_vectors(file)
        (entry,) = entries()
        whole = entry.read_bytes()
        write(entry, damaged := damage[1](whole))
        assert damaged != whole
        again = load_vectors(file)
        assert not is_mapped(again.matrix)
        assert_same(again, read)
        (warning,) = warnings(caplog)
        assert f"The cache entry {entry} can't be used (" in warning and f"are read from {file} again" in warning
        assert entries() == [entry]
        kept = load_vectors(file)
        assert is_mapped(kept.matrix)
        assert_same(kept, read)

    def test_no_flipped_bit_goes_unseen(self, tmp_path: Path) -> None:
        file = write(tmp_path / "model", MODEL)
        read = load_vectors(file, words=["the", "unseen"])
        (entry,) = entries()
        whole = entry.read_bytes()

        @given(st.integers(0, len(whole) - 1), st.integers(0, 7))
        @settings(max_examples=200, deadline=None)
        def check(place: int, bit: int) -> None:
            loaded = cache.read_entry(write(entry, flip(whole, place, bit)), VectorsFile(file))
            if loaded is not None:  # it didn't matter
                kept = WordVectors(loaded.words, loaded.matrix, "whitespace", loaded.report, loaded.ngrams)
                assert_same(kept, read)

        check()

    def test_a_damaged_entry_that_cannot_be_removed(
        self, file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_vectors(file)
        write(entries()[0], b"garbage")

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("not yours")

        monkeypatch.setattr(Path, "unlink", refuse)
        assert np.array_equal(load_vectors(file).matrix, MATRIX)
        assert len(warnings(caplog)) == 1

    def test_a_folder_in_its_place(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        load_vectors(file)
        (entry,) = entries()
        entry.unlink()
        entry.mkdir()
        assert np.array_equal(load_vectors(file).matrix, MATRIX)
        assert "can't be kept" in "".join(warnings(caplog))

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Read-only")])
    def test_a_disk_that_cannot_be_written(
        self, file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        def half(path: Path, *_: object) -> None:
            path.write_bytes(b"half")
            raise error

        monkeypatch.setattr(cache, "save_vectors", half)
        assert np.array_equal(load_vectors(file).matrix, MATRIX)
        (warning,) = warnings(caplog)
        assert f"What was read can't be kept in {cache.folder()} ({error}), so it will be read again" in warning
        assert entries() == []

    def test_a_cache_that_cannot_be_made(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        cache.folder().parent.write_text("in the way")
        assert np.array_equal(load_vectors(file).matrix, MATRIX)
        assert len(warnings(caplog)) == 1


SLOW_WRITER = """
import sys
from glove_bilstm import load_vectors
from glove_bilstm.vectors import cache
save = cache.save_vectors
def save_slowly(path, *arguments):
    path.write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.readline()
    save(path, *arguments)
if "--slow" in sys.argv:
    cache.save_vectors = save_slowly
print(load_vectors(sys.argv[1]).words, flush=True)
"""


class TestProcesses:
    def start(self, tmp_path: Path, file: Path, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SLOW_WRITER, file, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=os.environ | {"HF_HOME": str(tmp_path)},
        )  # fmt: skip

    def start_writing(self, tmp_path: Path, file: Path) -> subprocess.Popen[str]:
        process = self.start(tmp_path, file, "--slow")
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        return process

    def test_killed_while_writing(self, tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        process = self.start_writing(tmp_path, file)
        process.kill()
        process.communicate()
        assert list(cache.folder().glob("incomplete/*"))
        assert np.array_equal(load_vectors(file).matrix, MATRIX)
        assert len(entries()) == 1 and warnings(caplog) == []

    def test_nobody_waits_for_one_that_writes(
        self, tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        process = self.start_writing(tmp_path, file)
        start = time.monotonic()
        assert np.array_equal(load_vectors(file).matrix, MATRIX)
        assert time.monotonic() - start < 5 and warnings(caplog) == []
        out, err = process.communicate("go on\n", timeout=30)
        assert (out, err) == (f"{WORDS}\n", "")
        assert len(entries()) == 1
        assert is_mapped(load_vectors(file).matrix)

    def test_many_at_once(self, tmp_path: Path) -> None:
        file = write(tmp_path / "v", word2vec_binary())
        for process in [self.start(tmp_path, file) for _ in range(3)]:
            assert process.communicate(timeout=30) == (f"{WORDS}\n", "")
        assert len(entries()) == 1
        assert is_mapped(load_vectors(file).matrix)
