"""The named sets of vectors, fetched over HTTP from a server on this machine."""

import errno
import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_server import Server, serve, serve_instead
from huggingface_hub import close_session, constants
from test_reading import zipped
from vector_files import WORDS, glove_text, word2vec_binary, write

from glove_bilstm import WordVectors, load_vectors
from glove_bilstm.tokenization.profiles import PROFILES
from glove_bilstm.vectors import download
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.named_sets import NAMED_SETS
from glove_bilstm.vectors.sources import find_source

HUB, HUB_FILE = "glove.6B.100d", "glove.6B.zip"
PLAIN, PLAIN_FILE = "fasttext-wiki-news-300d-1M", "wiki-news-300d-1M.vec.zip"
UNCHECKED, UNCHECKED_FILE = "glove.2024.wikigiga.100d", "glove.2024.wikigiga.100d.zip"
GOOGLE, GOOGLE_FILE = "word2vec-google-news-300", "word2vec-google-news-300.gz"
BOTH = [(HUB, HUB_FILE), (PLAIN, PLAIN_FILE)]
PIECE = 1 << 18
"""Bytes that are received together; as with the real 10 MB, more than a file buffers."""
FILLER = np.random.default_rng(1).bytes(13 * PIECE)


def make_archive(file: str) -> bytes:
    """The vectors of the set that the file belongs to."""
    if file != HUB_FILE:
        return zipped(**{"vectors.txt": glove_text(), "__MACOSX/filler": FILLER})
    members = {f"glove.6B.{dim}d.txt": glove_text(matrix=np.full((5, dim), dim, "f4")) for dim in (50, 100, 200, 300)}
    return zipped(**members, **{"__MACOSX/filler": FILLER})


ARCHIVES = {file: make_archive(file) for file in (HUB_FILE, PLAIN_FILE, UNCHECKED_FILE)}


def facts(server: str, file: str) -> dict[str, object]:
    """What a set says of the archive that the server at a URL has for it."""
    content = ARCHIVES[file]
    url = None if file == HUB_FILE else f"{server}/{file}"
    if file == UNCHECKED_FILE:
        return {"url": url, "checksum": None, "size": None}
    return {"url": url, "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that has the archives, which this process asks in place of the real ones."""
    monkeypatch.setenv("NO_PROXY", "*")
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds / 50))  # between tries
    with serve() as server:
        server.files = dict(ARCHIVES)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", PIECE)
        point_to(server.url, monkeypatch)
        close_session()  # it read the proxies when it was opened
        yield server
        close_session()


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server for the sets."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    for name, chosen in list(NAMED_SETS.items()):
        if (file := chosen.archive.file) in ARCHIVES:
            monkeypatch.setitem(NAMED_SETS, name, serve_instead(name, **facts(url, file)))


def load(name: str) -> WordVectors:
    return load_vectors(name, use_cache=False)


def fails(name: str) -> str:
    """The message with which a set can't be fetched."""
    with pytest.raises(InputError) as caught:
        load(name)
    message = str(caught.value)
    archive = NAMED_SETS[name].archive
    assert message.startswith(f"The vectors {name} ({archive.megabytes:,} MB, licence: {archive.licence}) can't be ")
    assert f"elsewhere and put it at {download.home() / 'vectors' / archive.file}, or give its path" in message
    assert "\n" not in message and ".." not in message.replace("...", "")
    return message


def left_behind(tmp_path: Path) -> list[str]:
    """The files of any content that lie in the caches."""
    return sorted(
        path.name
        for path in tmp_path.rglob("*")
        if path.is_file() and path.stat().st_size and "CACHEDIR" not in str(path)
    )


class TestFetching:
    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_fetched_once(
        self, server: Server, name: str, file: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "glove_bilstm"):
            vectors = load(name)
        assert vectors.words == WORDS
        assert vectors.profile == NAMED_SETS[name].archive.profile
        assert server.starts == [0]
        assert f"Fetching {file} (" in caplog.text and "licence: " in caplog.text and f"Checking {file}" in caplog.text
        server.asked.clear(), caplog.clear()
        assert load(name).words == WORDS and "Fetching" not in caplog.text
        assert not server.asked
        assert capfd.readouterr().err == ""

    def test_the_member_of_the_dimension(self, server: Server) -> None:
        for dim in (50, 100, 200, 300):
            vectors = load(f"glove.6B.{dim}d")
            assert vectors.dim == dim and vectors.matrix[0, 0] == dim
        assert server.starts == [0]  # one archive holds them all

    def test_another_place_and_no_token(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """GitHub sends to another server; nobody but the Hub is sent the Hub's token."""
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        server.moved[PLAIN_FILE] = f"{server.url}/elsewhere"
        server.files["elsewhere"] = ARCHIVES[PLAIN_FILE]
        server.cuts = [9 * PIECE]
        assert load(PLAIN).words == WORDS
        assert "hf_secret" not in str(server.headers)
        assert [path for _, path, _ in server.asked] == [PLAIN_FILE, "elsewhere"] * 2

    def test_md5(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a machine in FIPS mode, too, which refuses it for security."""
        new = hashlib.new

        def in_fips_mode(name: str, usedforsecurity: bool = True) -> object:
            if usedforsecurity:
                raise ValueError("unsupported")
            return new(name, usedforsecurity=False)

        monkeypatch.setattr(hashlib, "new", in_fips_mode)
        server.files[GOOGLE_FILE] = content = word2vec_binary()
        wanted = {"url": f"{server.url}/{GOOGLE_FILE}", "size": len(content)}
        wrong = serve_instead(GOOGLE, **wanted, checksum=f"md5:{'0' * 32}")
        monkeypatch.setitem(NAMED_SETS, GOOGLE, wrong)
        digest = hashlib.md5(content).hexdigest()
        assert f"what came has the md5 {digest}, not 00000" in fails(GOOGLE)
        monkeypatch.setitem(NAMED_SETS, GOOGLE, serve_instead(GOOGLE, **wanted, checksum=f"md5:{digest}"))
        vectors = load(GOOGLE)
        assert vectors.words == WORDS and vectors.profile == "word2vec-google-news"


class TestInterrupted:
    @pytest.mark.parametrize(("name", "file"), [*BOTH, (UNCHECKED, UNCHECKED_FILE)])
    def test_the_rest_is_fetched(self, server: Server, name: str, file: str) -> None:
        server.cuts = [9 * PIECE + 5, 3 * PIECE]
        assert load(name).words == WORDS
        assert server.starts == [0, 9 * PIECE, 12 * PIECE]

    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_a_server_that_knows_no_ranges(self, server: Server, name: str, file: str) -> None:
        server.ranges, server.cuts = False, [9 * PIECE]
        assert load(name).words == WORDS
        assert server.starts == [0, 9 * PIECE]

    @pytest.mark.parametrize("ranges", [True, False])
    @pytest.mark.parametrize(("name", "file"), [(PLAIN, PLAIN_FILE), (UNCHECKED, UNCHECKED_FILE)])
    def test_the_next_call_goes_on(self, server: Server, tmp_path: Path, name: str, file: str, ranges: bool) -> None:
        server.cuts = [9 * PIECE, 0, 0, 0, 0, 0]
        assert "without sending complete message body" in (message := fails(name))
        assert "Try again (what came so far is kept), or" in message
        assert left_behind(tmp_path) == [f"{file}.incomplete"]
        server.asked.clear()
        server.ranges = ranges
        assert load(name).words == WORDS
        assert server.starts == [9 * PIECE]
        assert left_behind(tmp_path) == [file]

    def test_the_hubs_next_call_begins_anew(self, server: Server, tmp_path: Path) -> None:
        server.cuts = [9 * PIECE, 0, 0, 0, 0, 0]
        assert "Try again, or" in fails(HUB)
        assert left_behind(tmp_path) == []
        assert load(HUB).words == WORDS

    @pytest.mark.parametrize("name", [PLAIN, UNCHECKED])
    def test_a_whole_file_that_was_not_renamed_yet(self, server: Server, name: str) -> None:
        """The process was killed in the last moment."""
        file = NAMED_SETS[name].archive.file
        self.put_incomplete(file, ARCHIVES[file])
        assert load(name).words == WORDS
        assert server.starts == ([] if name == PLAIN else [len(ARCHIVES[file])])  # where none is published, its size

    @pytest.mark.parametrize("name", [PLAIN, UNCHECKED])
    def test_a_part_of_another_file(self, server: Server, tmp_path: Path, name: str) -> None:
        file = NAMED_SETS[name].archive.file
        self.put_incomplete(file, b"x" * (len(ARCHIVES[file]) + 9))  # the server's is shorter
        assert load(name).words == WORDS
        (tmp_path / "glove_bilstm" / "vectors" / file).unlink()
        self.put_incomplete(file, b"x" * 99)
        assert "what came has the sha256" in (message := fails(name)) or "what came is damaged: " in message
        assert left_behind(tmp_path) == []
        assert load(name).words == WORDS

    def test_a_proxy_that_cannot_be_used(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client's ValueError says nothing about what is here."""
        self.put_incomplete(PLAIN_FILE, ARCHIVES[PLAIN_FILE][:99])
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9/")
        close_session()
        message = fails(PLAIN)
        assert "proxy" in message and "Try again (what came so far is kept), or" in message
        assert left_behind(tmp_path) == [f"{PLAIN_FILE}.incomplete"]
        monkeypatch.setenv("NO_PROXY", "*")
        close_session()
        assert load(PLAIN).words == WORDS and server.starts == [99]

    def put_incomplete(self, file: str, content: bytes) -> None:
        path = download.home() / "vectors" / f"{file}.incomplete"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class TestWrong:
    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_checksum(self, server: Server, tmp_path: Path, name: str, file: str) -> None:
        good = server.files[file]
        server.files[file] = good[:-1] + bytes([good[-1] ^ 1])
        message = fails(name)
        assert re.search(r"what came has the sha256 \w{64}, not \w{64}, so it isn't the published file", message)
        assert left_behind(tmp_path) == []
        server.files[file] = good
        assert load(name).words == WORDS

    @pytest.mark.parametrize("change", [lambda content: content + b"more", lambda content: b"<html>Log in!</html>"])
    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_size(self, server: Server, tmp_path: Path, name: str, file: str, change: Callable) -> None:
        server.files[file] = change(server.files[file])
        size, published = f"{len(server.files[file]):,}", f"{len(ARCHIVES[file]):,}"
        assert f"what came has {size} bytes, not {published}, so" in fails(name)
        assert left_behind(tmp_path) == []
        server.files[file] = ARCHIVES[file]
        assert load(name).words == WORDS

    @pytest.mark.parametrize("damage", [lambda data: data[:100] + b"?" + data[101:], lambda data: data[:-30]])
    def test_a_zip_without_a_published_checksum(self, server: Server, tmp_path: Path, damage: Callable) -> None:
        server.files[UNCHECKED_FILE] = damage(ARCHIVES[UNCHECKED_FILE])
        assert "what came is damaged: " in fails(UNCHECKED)
        assert left_behind(tmp_path) == []
        server.files[UNCHECKED_FILE] = ARCHIVES[UNCHECKED_FILE]
        assert load(UNCHECKED).words == WORDS

    def test_any_flipped_bit_of_a_zip(self, tmp_path: Path) -> None:
        """Some don't matter; whatever else one does is damage."""
        whole = zipped(**{"naïve.txt": b"the 1 2\n"})
        for place in range(0, 8 * len(whole), 3):
            content = bytearray(whole)
            content[place // 8] ^= 1 << place % 8
            try:
                download.verify(write(tmp_path / "v", bytes(content)), NAMED_SETS[UNCHECKED].archive)
            except ValueError as error:
                assert "what came is damaged: " in str(error)

    @pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EIO, "Input/output error")])
    def test_what_the_machine_fails_at_is_no_damage(
        self, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: zipfile.ZipFile) -> None:
            raise error

        monkeypatch.setattr(zipfile.ZipFile, "testzip", fail)
        with pytest.raises(type(error)):
            download.verify(write(tmp_path / "v", ARCHIVES[UNCHECKED_FILE]), NAMED_SETS[UNCHECKED].archive)

    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_not_there(self, server: Server, tmp_path: Path, name: str, file: str) -> None:
        del server.files[file]
        assert ": the server says 404 Not Found. Try again, or" in fails(name)
        assert left_behind(tmp_path) == []

    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_no_server(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, file: str
    ) -> None:
        point_to("http://127.0.0.1:9", monkeypatch)  # "discard"; nobody listens
        assert "Connection refused. Try again, or" in fails(name)
        assert left_behind(tmp_path) == []

    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_offline(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, file: str
    ) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with caplog.at_level(logging.INFO, "glove_bilstm"):
            message = fails(name)
        assert "Fetching" not in caplog.text
        assert "it isn't on this machine yet, and HF_HUB_OFFLINE forbids to fetch it" in message
        place = re.search(r"put it at (.*?), or", message)
        assert place is not None
        Path(place[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(place[1]).write_bytes(ARCHIVES[file])
        assert load(name).words == WORDS
        assert not server.asked

    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_offline_with_what_was_fetched(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, name: str, file: str
    ) -> None:
        load(name)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert load(name).words == WORDS

    def test_a_folder_that_cannot_be_made(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "glove_bilstm").write_text("in the way")
        assert "Not a directory" in fails(PLAIN) or "File exists" in fails(PLAIN)


SCRIPT = """
import json, sys
from huggingface_hub import constants
constants.DOWNLOAD_CHUNK_SIZE = 1 << 18
from hub_server import serve_instead
from glove_bilstm import load_vectors
from glove_bilstm.vectors.named_sets import NAMED_SETS
name = sys.argv[1]
NAMED_SETS[name] = serve_instead(name, **json.loads(sys.argv[2]))
print(load_vectors(name, use_cache=False).words)
"""


class TestProcesses:
    def start(self, server: Server, tmp_path: Path, name: str, file: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_HOME": str(tmp_path), "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*", "PYTHONPATH": str(Path(__file__).parent)}
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, name, json.dumps(facts(server.url, file))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_two_at_once(self, server: Server, tmp_path: Path, name: str, file: str) -> None:
        server.stalls, server.cuts = True, [9 * PIECE]
        first = self.start(server, tmp_path, name, file)
        assert server.stalled.wait(30)
        second = self.start(server, tmp_path, name, file)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.8)  # it waits for the first
        server.resumed.set()
        for process in (first, second):
            out, err = process.communicate(timeout=30)
            assert out == f"{WORDS}\n"
            assert "Traceback" not in err
        assert server.starts == [0, 9 * PIECE]
        assert not [name for name in left_behind(tmp_path) if "incomplete" in name]

    @pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
    @pytest.mark.parametrize(("name", "file"), BOTH)
    def test_stopped_in_the_middle(
        self, server: Server, tmp_path: Path, name: str, file: str, stop: signal.Signals
    ) -> None:
        server.stalls, server.cuts = True, [9 * PIECE]
        process = self.start(server, tmp_path, name, file)
        assert server.stalled.wait(30)
        while not any(path.stat().st_size for path in tmp_path.rglob("*.incomplete")):  # until some is received
            time.sleep(1)
        process.send_signal(stop)
        out, err = process.communicate(timeout=30)
        assert process.returncode == -stop and out == ""
        server.asked.clear()
        process = self.start(server, tmp_path, name, file)
        out, err = process.communicate(timeout=30)
        assert (out, err) == (f"{WORDS}\n", "")
        (start,) = server.starts
        assert start == 0 if name == HUB else 0 < start <= 9 * PIECE
        assert [name for name in left_behind(tmp_path) if "incomplete" in name] == [] or (name, stop) == (HUB, 9)


class TestNames:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        {
            "glove.6b.100": "glove.6B.100d",
            "glov.6B.100d": "glove.6B.100d",
            "GloVe.6B.100D.txt": "glove.6B.100d",
            "word2vec-googlenews-300": "word2vec-google-news-300",
            "fasttext-crawl-300d": "fasttext-crawl-300d-2M",
            "Demo": "demo",
        }.items(),
    )
    def test_typos(self, typed: str, meant: str) -> None:
        with pytest.raises(InputError) as caught:
            load_vectors(typed)
        assert f"There is no vectors file {typed}, and no set of that name. " in str(caught.value)
        assert re.search(rf"The nearest names? (is|are) {re.escape(meant)}[,.]", str(caught.value))

    def test_what_looks_like_no_name_gets_all_of_them(self) -> None:
        with pytest.raises(InputError) as caught:
            load_vectors("/nowhere/vectors.txt")
        assert all(f" {name}" in str(caught.value) for name in [*NAMED_SETS, "demo"])

    @pytest.mark.parametrize("name", NAMED_SETS)
    def test_facts(self, name: str) -> None:
        archive, member = NAMED_SETS[name].archive, NAMED_SETS[name].member
        assert archive.profile in PROFILES
        assert archive.licence
        assert archive.checksum is None or re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", archive.checksum)
        assert archive.checksum is not None or archive.file.endswith(".zip")  # which has checksums of its own
        assert archive.size is None or round(archive.size / 1e6) == archive.megabytes
        assert archive.url is None or re.fullmatch(f"https://.*/{re.escape(archive.file)}", archive.url)
        assert archive.url is not None or (archive.checksum and archive.size)
        assert member is None or (re.fullmatch(r"\d+d", member) and name.endswith(f".{member}"))
        # As somebody's copy of the file would be told.
        assert profile_of(f"{name}.txt") == archive.profile

    @pytest.mark.parametrize(
        ("file", "profile"),
        {
            "glove.6B.50d.subset.txt": "glove",
            "glove_6B_50d.txt": "glove",
            "glove.42B.300d.zip": "glove",
            "wiki_giga_2024_50_MFT20_vectors_seed_123_alpha_0.75_eta_0.075_combined.txt": "glove",
            "glove.840B.300d.head.txt": "glove-cased",
            "glove.twitter.27B.25d.subset.txt": "glove-twitter",
            "glove-twitter-25.gz": "glove-twitter",
            "GoogleNews-vectors-negative300.bin.gz": "word2vec-google-news",
            "word2vec-google-news-300.gz": "word2vec-google-news",
            "crawl-300d-2M.vec": "glove-cased",
            "wiki-news-300d-1M-subword.bin": "glove-cased",
            "my-own.vec": None,
            "vectors.6B.txt": None,
        }.items(),
    )
    def test_profiles_of_files(self, file: str, profile: str | None) -> None:
        assert profile_of(file) == profile

    def test_the_folder_tells_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "glove.6B" / "mine.txt"
        file.parent.mkdir()
        file.touch()
        assert find_source(file).profile is None


def profile_of(file: str) -> str | None:
    """The profile that belongs to a file of this name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.touch()
        return find_source(path).profile
