"""What a job leaves beside its output: until that is written a lock and the answers so far; then that it is done."""

import glob
import json
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from glove_bilstm.hub.files import beside
from glove_bilstm.inference.parquet import Row
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)

FLUSHED = 1000
"""After how many answers what is known of them is on the disk: a killed process loses no more."""


def counted(number: int, one: str, many: str) -> str:
    """A number with the words that go with it, such as "1 row was" and "2 rows were"."""
    return f"{number:,} {one if number == 1 else many}"


@contextmanager
def claim(output: Path) -> Iterator[None]:
    """Keep other processes from writing the same file meanwhile.

    Raises:
        InputError: One is at it.
    """
    lock = FileLock(beside(output, "lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"Another process is at work on {output}. Let it end, or end it.") from None
    try:
        yield
    finally:
        # While it is held: who opened the file before sees then that it is gone, and takes it for no lock.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def note_done(output: Path, state: dict[str, Any]) -> None:
    """Remember of which job an output is; both have to be as they are now for `is_done`."""
    beside(output, "done").write_text(_done(output, state))


def is_done(output: Path, state: dict[str, Any]) -> bool:
    """Whether a job has written an output, which nobody has touched since."""
    note = beside(output, "done")
    return output.is_file() and note.is_file() and note.read_text() == _done(output, state)


def _done(output: Path, state: dict[str, Any]) -> str:
    stat = output.stat()
    return json.dumps({"job": state, "output": [stat.st_size, stat.st_mtime_ns]}, sort_keys=True)


class Journal(AbstractContextManager["Journal"]):
    """Answers in a file, one a line, from which a job that was cut off goes on; its output must be claimed.

    A process that is killed leaves half a line at most, which is dropped.

    Attributes:
        path: The file.
        count: How many answers are in it.
        bad: How many of those that were there before are of rows that couldn't be read.
        finished: Whether it may go.
    """

    def __init__(self, output: Path, state: dict[str, Any], errors: bool) -> None:
        """Open it.

        Args:
            output: What the answers are for. Those for the same rows in another format are taken over.
            state: What the answers depend on, which the first line says. A file that says otherwise is begun anew.
            errors: Whether rows that couldn't be read count as answered.
        """
        self.path, self.finished, self.count, self.bad = beside(output, "answers"), False, 0, 0
        first = json.dumps(state, sort_keys=True).encode() + b"\n"
        if not self.path.exists() and self._take_over(output, first):
            errors = False  # what is wrong in a table may be right in another format
        end = 0
        if self.path.is_file():
            with self.path.open("rb") as file:
                told = file.readline()
                if told == first:
                    end = len(first)
                    for line in file:
                        bad = line.startswith(b'{"error"')
                        if not line.endswith(b"\n") or (bad and not errors):
                            break
                        end += len(line)
                        self.count += 1
                        self.bad += bad
                elif told.endswith(b"\n"):  # else its process was killed before it had written that
                    logger.warning("%s is of another input, model or command; beginning anew.", self.path)
        self._file = self.path.open("r+b" if end else "wb")
        if end:
            self._file.truncate(end)
            self._file.seek(end)
        else:
            self._file.write(first)
            self._file.flush()

    def _take_over(self, output: Path, first: bytes) -> bool:
        for path in output.parent.glob(f".{glob.escape(output.stem)}.*.answers"):
            other = output.with_name(path.name.removeprefix(".").removesuffix(".answers"))
            with suppress(InputError), claim(other):  # not from a process that is at work
                with path.open("rb") as file:
                    ours = file.readline() == first
                if ours:
                    os.replace(path, self.path)
                    return True
        return False

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, and remove it if it has served, or has nothing in it."""
        try:
            self._file.close()
        finally:
            with self.path.open("rb") as file:  # of a full disk, fewer than were added
                kept = 0 if self.finished else sum(line.endswith(b"\n") for line in file) - 1
            if not kept:
                self.path.unlink(missing_ok=True)
            elif kind is not None:
                told = counted(kept, "answer is", "answers are")
                logger.error("%s kept; the same command goes on from there.", told)

    def add(self, answer: Row) -> None:
        """Write one more answer."""
        self._file.write(json.dumps(answer).encode() + b"\n")
        self.count += 1
        if self.count % FLUSHED == 0:
            self._file.flush()

    def answers(self) -> Iterator[Row]:
        """All of them."""
        self._file.flush()
        with self.path.open("rb") as file:
            next(file)
            yield from map(json.loads, file)
