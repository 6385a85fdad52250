"""What was read from a vectors file once, kept as safetensors and mapped into memory the next time."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
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

VERSION = 1
"""Of what is written; another version's entries are never looked at."""
SAMPLES, SAMPLE = 64, 1 << 14
"""How many pieces of a file its fingerprint looks at, and the bytes of each."""
PATIENCE = 60
"""Seconds to wait for another process that is writing."""


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


def entry(file: VectorsFile, words: Iterable[str] | None, limit: int | None, profile: str) -> Path:
    """The file of what was read: another one for every content, vocabulary, limit and profile."""
    wanted = None if words is None else xxhash.xxh3_128("\n".join(sorted(set(words))).encode()).hexdigest()
    key = json.dumps([VERSION, fingerprint(file.path), file.member, wanted, limit, profile])
    return folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def read_entry(path: Path, file: VectorsFile) -> Loaded | None:
    """What was read before; None if there is nothing, or if it is damaged, in which case it is removed."""
    if not path.is_file():
        return None
    try:
        arrays, metadata = map_tensors(path)
        matrix = arrays["vectors"]
        if metadata["checksum"] != checksum(matrix, arrays["words"]):
            raise ValueError("its checksum is wrong")
        ngrams = None
        if metadata["ngrams"] != "null":
            place = json.loads(metadata["ngrams"])
            rows = np.memmap(file.path, "<f4", "r", place.pop("offset"), tuple(place.pop("shape")))
            ngrams = NGrams(rows, **place)
        report = ReadReport.from_dict(json.loads(metadata["report"]))
        return Loaded(split_words(arrays["words"], len(matrix)), matrix, report, ngrams)
    except (InputError, ValueError, KeyError, TypeError, OSError) as error:
        logger.warning(f"The cache entry {path} is damaged ({error}); the vectors are read from {file} again.")
        path.unlink(missing_ok=True)
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
    encoded = np.frombuffer("\n".join(loaded.words).encode(), dtype=np.uint8)
    metadata = {
        "report": json.dumps(loaded.report.to_dict()),
        "ngrams": ngrams,
        "checksum": checksum(loaded.matrix, encoded),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One writer at a time; what one left that was killed, the next removes.
        with FileLock(path.with_name("lock"), timeout=PATIENCE):
            shutil.rmtree(path.with_name("incomplete"), ignore_errors=True)
            if path.is_file():
                return
            beside = path.with_name("incomplete")
            beside.mkdir()
            try:
                save_vectors(beside / path.name, loaded.words, loaded.matrix, metadata)
                (beside / path.name).replace(path)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    except (OSError, Timeout, ValueError, SafetensorError) as error:
        logger.warning(f"What was read can't be kept in {path.parent} ({error}), so it will be read again next time.")


def checksum(matrix: np.ndarray, words: np.ndarray) -> str:
    """A hash that runs as fast as memory is read."""
    hashed = xxhash.xxh3_64(matrix.data.cast("B") if matrix.size else b"")
    hashed.update(words.data if words.size else b"")
    return hashed.hexdigest()
