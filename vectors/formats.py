"""Reading the files that word vectors are published in, one row at a time."""

import codecs
import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from glove_bilstm.vectors.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
PROGRESS_LINES = 10_000
"""How often the progress bar is moved."""


@contextmanager
def open_lines(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a plain or gzipped file and give its lines; which of the two it is, its first bytes tell, not its name.

    A progress bar appears on a terminal when reading takes longer than two seconds.
    """
    with (
        path.open("rb") as raw,
        tqdm(
            total=path.stat().st_size, desc=f"Reading {path.name}", unit="B", unit_scale=True,
            delay=2, leave=False, disable=None,
        ) as progress,
    ):  # fmt: skip
        lines = gzip.open(raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw

        def lines_with_progress() -> Iterator[bytes]:
            for number, line in enumerate(lines):
                if number % PROGRESS_LINES == 0:
                    progress.update(raw.tell() - progress.n)
                yield line

        yield lines_with_progress()


def read_glove(
    path: Path, words: set[str] | None = None, limit: int | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    r"""Stream the rows of a GloVe text file, plain or gzipped.

    Rows end with ``\n`` alone and fields are divided by one ASCII space; the LAST ``dim`` fields are the vector,
    because GloVe 840B has words that contain spaces. The first of several rows for one word wins.

    Args:
        path: The file.
        words: Parse and yield only the rows of these words. None: all rows.
        limit: Look at the first `limit` rows only; published files hold the most frequent words first.

    Yields:
        A word and its vector, float32 ``[dim]``, in the file's order.

    Raises:
        InputError: The file isn't GloVe text, a row has too few values or one that isn't a finite number, or the
            compressed data ends early. The message names the file and the row.
    """
    # A row is told apart by its first field, before anything in it is parsed.
    first_fields = None if words is None else {word.encode().split(b" ", 1)[0] for word in words}
    seen: set[str] = set()
    dim = 0
    try:
        with open_lines(path) as lines:
            for number, line in enumerate(lines, 1):
                if limit is not None and number > limit:
                    break
                line = line.rstrip(b"\r\n")
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line:
                    continue
                if dim == 0:
                    dim = _dimension(path, line)
                if line.count(b" ") < dim:
                    raise InputError(
                        f"{path}, row {number}: {line.count(b' ')} values, where the first row has {dim}. "
                        "Every row must be a word and as many numbers; is the file cut off or damaged?"
                    )
                if first_fields is not None and line.split(b" ", 1)[0] not in first_fields:
                    continue
                fields = line.rsplit(b" ", dim)
                word = fields[0].decode("utf-8", errors="replace")
                if word in seen or (words is not None and word not in words):
                    continue
                seen.add(word)
                yield word, _parse_values(path, number, fields[1:])
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged: its compressed data can't be read ({error}). Fetch it again.") from error
    if dim == 0:
        raise InputError(f"{path} is empty. Give a GloVe text file: a word and its numbers on every row.")


def _dimension(path: Path, line: bytes) -> int:
    """How many of the first row's fields, counted from its end, are numbers: the dimension of the vectors."""
    fields = line.split(b" ")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        raise InputError(
            f"{path}, row 1 is a 'rows dimension' header, as word2vec and fastText files have it. "
            "GloVe text has none: give a GloVe file, or remove that row."
        )
    dim = 0
    # The word itself may look like a number, so it is never counted.
    for field in reversed(fields[1:]):
        if not _is_number(field):
            break
        dim += 1
    if dim < 2:
        shown = line[:60].decode("utf-8", errors="replace")
        raise InputError(
            f"{path} doesn't hold word vectors: its first row, {shown!r}, isn't a word and its numbers divided by "
            "single spaces. Give a GloVe text file, plain or gzipped."
        )
    return dim


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _parse_values(path: Path, number: int, fields: list[bytes]) -> np.ndarray:
    """The fields of one row as float32 ``[dim]``."""
    try:
        values = np.array(fields, dtype=np.float32)
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field)).decode("utf-8", errors="replace")
        raise InputError(f"{path}, row {number}: {wrong!r} is not a number. Mend or remove that row.") from None
    if not np.isfinite(values).all():
        wrong = next(field for field in fields if not math.isfinite(float(field))).decode()
        raise InputError(f"{path}, row {number}: {wrong} is not a finite number. Mend or remove that row.")
    return values
