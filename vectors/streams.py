"""Opening a vectors file, compressed or not, as one stream of bytes."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow
from tqdm.std import tqdm

from glove_bilstm.vectors.errors import InputError

BUFFER = 1 << 18
"""Bytes. Larger ones were no faster, and leave the processor's cache."""
HEAD = 1 << 20
"""Bytes that are enough to tell a format: some rows of the widest vectors there are."""


def _open_zstd(file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], pyarrow.CompressedInputStream(file, "zstd"))


DECOMPRESSORS: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda file: cast(IO[bytes], gzip.open(file)),
    b"BZh": lambda file: cast(IO[bytes], bz2.open(file)),
    b"\xfd7zXZ\x00": lambda file: cast(IO[bytes], lzma.open(file)),
    b"\x28\xb5\x2f\xfd": _open_zstd,
}
"""First bytes → what reads the rest."""
ZIP = (b"PK\x03\x04", b"PK\x05\x06")


class VectorsFile:
    """A vectors file that can be opened again and again; what it is compressed with, its first bytes tell.

    Attributes:
        path: The file on disk.
        member: The file wanted inside a zip archive: its name, or its dimension (``"100d"``). None: the only one.
    """

    def __init__(self, path: Path, member: str | None = None) -> None:
        """Name a file; nothing is opened yet."""
        self.path = path
        self.member = member

    def __str__(self) -> str:
        """How a message names the file."""
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    @property
    def is_plain(self) -> bool:
        """Whether the bytes on disk are the content, so that they can be mapped into memory."""
        with self.path.open("rb") as raw:
            head = raw.read(8)
        return not head.startswith((*DECOMPRESSORS, *ZIP))

    def head(self) -> bytes:
        """The first bytes of the content, `HEAD` of them where there are as many."""
        with self.open(progress=False) as stream:
            return stream.read(HEAD)

    @contextmanager
    def open(self, progress: bool = True) -> Iterator[io.BufferedReader]:
        """Open the decompressed content.

        A progress bar appears on a terminal when reading takes longer than two seconds; it moves with the bytes read
        from disk.

        Raises:
            InputError: The compressed data is damaged (while it is read, too), or the zip archive's member isn't
            clear.
        """
        with ExitStack() as stack:
            raw = stack.enter_context(self.path.open("rb"))
            bar = tqdm(
                total=self.path.stat().st_size, desc=f"Reading {self.path.name}", unit="B", unit_scale=True,
                delay=2, leave=False, disable=None if progress else True,
            )  # fmt: skip
            stack.enter_context(bar)
            counted = cast(IO[bytes], raw if bar.disable else _Counted(raw, bar))
            try:
                head = raw.peek(8)
                if head.startswith(ZIP):
                    archive = stack.enter_context(zipfile.ZipFile(counted))
                    chosen = self._choose_member(archive)
                    try:
                        counted = stack.enter_context(archive.open(chosen))
                    except RuntimeError as error:  # a password, or a compression that Python doesn't know
                        raise InputError(
                            f"{self} can't be unzipped ({error}). Unpack it with another program."
                        ) from error
                elif self.member is not None:
                    raise InputError(f"{self.path} is no zip archive, so it holds no {self.member}.")
                for magic, decompress in DECOMPRESSORS.items():
                    if head.startswith(magic):
                        counted = stack.enter_context(decompress(counted))
                yield io.BufferedReader(cast(io.RawIOBase, counted), BUFFER)
            except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
                raise self._damaged(error) from error
            except OSError as error:
                if error.errno is not None:  # the disk's own
                    raise
                raise self._damaged(error) from error  # BadGzipFile, bz2's and zstd's

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self} is damaged: its compressed data can't be read ({error}). Delete it, and fetch it again."
        )

    def _choose_member(self, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
        """The one file that `member` means; without one, the only file there is."""
        infos = [info for info in archive.infolist() if not (info.is_dir() or _is_by_product(info.filename))]
        if any(info.filename.endswith("data.pkl") for info in infos):
            raise InputError(f"{self.path} is a PyTorch file, which holds a pickle; {PICKLE_ADVICE}")
        if infos and all(info.filename.endswith(".npy") for info in infos):
            raise InputError(f"{self.path} is a file of NumPy arrays, which has no words.")
        if not infos:
            raise InputError(f"{self.path} is an empty zip archive.")
        chosen = infos
        if self.member is not None:
            dimension = re.compile(rf"(?<!\d){re.escape(self.member.removesuffix('d'))}d?(?!\d)")
            chosen = [info for info in infos if info.filename == self.member]
            chosen = chosen or [info for info in infos if Path(info.filename).name == self.member]
            if not chosen and self.member.removesuffix("d").isdigit():
                chosen = [info for info in infos if dimension.search(_without_corpus_size(info.filename))]
        if len(chosen) != 1:
            names = ", ".join(info.filename for info in infos)
            example = max(infos, key=lambda info: info.file_size).filename
            raise InputError(
                f"{self.path} holds {names}. Say which one with its name or its dimension after a colon, for instance "
                f"{self.path}:{example}."
            )
        return chosen[0]


PICKLE_ADVICE = (
    "pickles can run any code when they are opened, so none is. Save the vectors again in another format, for "
    "instance with gensim's vectors.save_word2vec_format(...)."
)


def _is_by_product(name: str) -> bool:
    """Whether an archive's member is one that a file manager left there: __MACOSX/…, .DS_Store."""
    return "__MACOSX" in name or Path(name).name == ".DS_Store"


def _without_corpus_size(name: str) -> str:
    """A member's name without what counts words or years rather than dimensions: 6B, 1.2M, 2024."""
    return re.sub(r"\d+(?:\.\d+)?[BM]\b|20\d\d", "", Path(name).name)


class _Counted(io.RawIOBase):
    """A file whose reading moves a progress bar."""

    def __init__(self, file: io.BufferedReader, bar: tqdm) -> None:
        self._file, self._bar = file, bar

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        count = self._file.readinto(buffer)
        self._bar.update(count)
        return count
