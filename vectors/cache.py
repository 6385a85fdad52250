"""What was read from a vectors file once, kept as safetensors and mapped into memory the next time."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import xxhash
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from glove_bilstm.vectors.download import home
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.fasttext import NGrams
from glove_bilstm.vectors.formats import Loaded
from glove_bilstm.vectors.report import ReadReport
from glove_bilstm.vectors.safetensors_file import map_tensors, save_vectors, split_words
from glove_bilstm.vectors.streams import VectorsFile

logger = logging.getLogger(__name__)

SAMPLES, SAMPLE = 64, 1 << 14
"""How many pieces of a file its fingerprint looks at, and the bytes of each: all of a file of up to 1 MB."""


def folder() -> Path:
    """Where the entries lie. Any of them, or all, can be deleted at any time."""
    return home() / "cache"


def fingerprint(file: Path) -> str:
    """What changes when a file does: its size, its times, and the hash of pieces from all over it.

    Not the hash of every byte, which would take longer than reading the vectors does. The second of the times is that
    of the last change of any kind, which can't be set back.
    """
    status = file.stat()
    hashed = xxhash.xxh3_128()
    with file.open("rb") as content:
        for piece in range(SAMPLES):
            content.seek(max(status.st_size - SAMPLE, 0) * piece // (SAMPLES - 1))
            hashed.update(content.read(SAMPLE))
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {hashed.hexdigest()}"


@cache
def code_version() -> str:
    """What changes with this package's code: other code may read a file, or spell a word, in another way."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return xxhash.xxh3_128(b"".join(source.read_bytes() for source in sources)).hexdigest()


def entry(file: VectorsFile, words: Iterable[str] | None, limit: int | None, profile: str) -> Path:
    """The file of what was read: another one for every content, vocabulary, limit, profile and version of the code."""
    # As JSON, because a word may hold any character, also one that would divide words, or half of a surrogate pair.
    wanted = None if words is None else xxhash.xxh3_128(json.dumps(sorted(set(words))).encode()).hexdigest()
    key = repr((code_version(), fingerprint(file.path), file.member, wanted, limit, profile))
    return folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def read_entry(path: Path, file: VectorsFile) -> Loaded | None:
    """What was read before; None if there is nothing, or if it is damaged, in which case it is removed if possible."""
    if not path.is_file():
        return None
    try:
        arrays, metadata = map_tensors(path)
        matrix = arrays["vectors"]
        if metadata["checksum"] != checksum(matrix, arrays["words"], metadata["report"], metadata["ngrams"]):
            raise ValueError("its checksum is wrong")
        ngrams = None
        if metadata["ngrams"] != "null":
            place = json.loads(metadata["ngrams"])
            rows = np.memmap(file.path, "<f4", "r", place.pop("offset"), tuple(place.pop("shape")))
            ngrams = NGrams(rows, **place)
        report = ReadReport.from_dict(json.loads(metadata["report"]))
        return Loaded(split_words(arrays["words"], len(matrix)), matrix, report, ngrams)
    except (InputError, ValueError, LookupError, TypeError, OSError) as error:
        logger.warning(f"The cache entry {path} can't be used ({error}); the vectors are read from {file} again.")
        with suppress(OSError):
            path.unlink()
        return None


def write_entry(path: Path, loaded: Loaded) -> None:
    """Keep what was read, whole or not at all. A cache that can't be written is no reason to fail, only to say so."""
    if not loaded.words:
        return
    ngrams = "null"
    if loaded.ngrams is not None:
        rows = loaded.ngrams.matrix
        if not isinstance(rows, np.memmap):
            return  # gigabytes, held in memory because the model is compressed
        place = {**vars(loaded.ngrams), "offset": rows.offset, "shape": rows.shape}
        del place["matrix"]
        ngrams = json.dumps(place)
    beside = path.with_name("incomplete")
    try:
        encoded = np.frombuffer("\n".join(loaded.words).encode(), dtype=np.uint8)
        report = json.dumps(loaded.report.to_dict())
        metadata = {"report": report, "ngrams": ngrams, "checksum": checksum(loaded.matrix, encoded, report, ngrams)}
        path.parent.mkdir(parents=True, exist_ok=True)
        # One writer at a time; what one left that was killed, the next removes.
        with FileLock(path.with_name("lock"), blocking=False):
            shutil.rmtree(beside, ignore_errors=True)
            if path.is_file():  # by another process, meanwhile
                return
            beside.mkdir()
            try:
                save_vectors(beside / path.name, loaded.words, loaded.matrix, metadata)
                (beside / path.name).replace(path)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    except Timeout:
        # Gigabytes may be on their way to the disk: what is in memory already is no reason to wait for that.
        logger.debug("Another process is writing to the cache, so what was read is not kept this time.")
    except (OSError, ValueError, SafetensorError) as error:
        logger.warning(f"What was read can't be kept in {path.parent} ({error}), so it will be read again next time.")


def checksum(matrix: np.ndarray, words: np.ndarray, *metadata: str) -> str:
    """Of all that an entry holds; a hash that runs as fast as memory is read."""
    hashed = xxhash.xxh3_64(json.dumps(metadata).encode())
    hashed.update(matrix.data.cast("B") if matrix.size else b"")
    hashed.update(words.data if words.size else b"")
    return hashed.hexdigest()
