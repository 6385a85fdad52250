"""Jobs: a file of texts in, a file with predictions out; cut off at any moment, they go on where they were."""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice, tee
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from filelock import FileLock, Timeout

from glove_bilstm.inference.onnx_classifier import Text
from glove_bilstm.inference.reading import BadRow, Row, TextFile, count_rows, read_rows
from glove_bilstm.inference.writing import ERROR, as_columns, check_target, predicted_columns, row_writer, same_columns
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)

Classify = Callable[[Iterable[Text]], Iterator[dict[str, Any]]]
"""Texts → what `classify_texts` says of each, in their order."""
OnError = Literal["stop", "skip"]
REPORTED = 20
"""How many bad rows are told of one by one."""
FLUSHED = 1000
"""After how many answers what is known of them is on the disk, so that at most as many are computed again."""


@dataclass(frozen=True)
class Job:
    """What is read, how, and where to.

    Attributes:
        source: The texts.
        target: The file or pipe for the rows with their predictions.
        text_columns: One, or the two of a pair.
        problem_type: The model's.
        on_error: What to do at a row that can't be read: "stop", with all answers before it kept, or "skip" it: it
            comes out without a prediction, and what is wrong with it in a column `error`.
        identity: All that makes the answers what they are. Those of a job with another one aren't gone on with.
        rows: Which, counted from 0, the first and the one after the last. None: all.
    """

    source: TextFile
    target: TextFile
    text_columns: list[str]
    problem_type: str | None
    on_error: OnError
    identity: dict[str, Any]
    rows: tuple[int, int] | None = None

    @property
    def added(self) -> dict[str, pa.DataType]:
        """The columns that the output has and the input hasn't, and their types."""
        return predicted_columns(self.problem_type) | ({ERROR: pa.string()} if self.on_error == "skip" else {})

    def read(self) -> Iterator[Row | BadRow]:
        """The job's rows."""
        rows = read_rows(self.source, self.text_columns, self.added)
        return rows if self.rows is None else islice(rows, *self.rows)


def shard(source: TextFile, rank: int, world: int) -> tuple[int, int]:
    """The rows of one of several processes: as many as the others have, or one more, in one piece.

    Args:
        source: The texts, which are counted.
        rank: The process's number, from 0.
        world: How many processes there are.

    Raises:
        InputError: There are fewer rows than processes.
    """
    number = count_rows(source)
    if number < world:
        raise InputError(f"{source.path} holds {number} rows, fewer than there are processes ({world}).")
    return number * rank // world, number * (rank + 1) // world


def run_job(job: Job, classify: Classify, progress: Callable[..., Iterable[Any]]) -> None:
    """Predict all of a job's rows, then write them.

    Between two files, the answers are kept beside the output as they come; when there is one for each row, the input
    is read again and written with them.

    Args:
        job: The job.
        classify: The model.
        progress: Shows how far it is: takes the rows, and `initial`, `total` and `desc` as tqdm does.

    Raises:
        InputError: Something of the job is wrong. What was answered before is kept.
    """
    check_target(job.target)
    if job.source.path is None or job.target.path is None:
        rows, for_answers = tee(progress(job.read(), initial=0, total=None))
        with row_writer(job.target, job.added, job.source) as write:
            write(_complete(job, rows, _answer(job, for_answers, classify)))
        return
    total = count_rows(job.source) if job.rows is None else job.rows[1] - job.rows[0]
    with Journal(beside(job.target.path), job) as journal:
        if journal.count:
            logger.info("%s rows were done before; going on from there.", f"{journal.count:,}")
        remaining = progress(islice(_checked(job), journal.count, None), initial=journal.count, total=total)
        for answer in _answer(job, remaining, classify):
            journal.add(answer)
        rows_again = progress(job.read(), initial=0, total=total, desc="writing")
        with row_writer(job.target, job.added, job.source) as write:
            write(_complete(job, rows_again, journal.answers()))
        journal.finished = True


def _checked(job: Job) -> Iterator[Row | BadRow]:
    """The rows; in a table all must have the columns of the first, and better early than at the end."""
    return job.read() if job.target.format in ("txt", "jsonl") else same_columns(job.read())


def _answer(job: Job, rows: Iterable[Row | BadRow], classify: Classify) -> Iterator[Row]:
    """The columns that are added to each row, in their order; of a bad row, what is wrong with it."""
    ahead: deque[Row | None] = deque()  # a place for each row that the model reads, and the bad ones between them
    stopped_by, bad = "", 0

    def texts() -> Iterator[Text]:
        nonlocal stopped_by, bad
        for row in rows:
            if isinstance(row, BadRow):
                if job.on_error == "stop":
                    stopped_by = row.error
                    return
                bad += 1
                if bad <= REPORTED:
                    logger.warning("%s It is passed through without a prediction.", row.error)
                ahead.append({ERROR: row.error})
            else:
                ahead.append(None)
                values = [row[column] for column in job.text_columns]
                yield values[0] if len(values) == 1 else (values[0], values[1])

    for answer in classify(texts()):
        while (error := ahead.popleft()) is not None:
            yield error
        yield as_columns(answer, job.problem_type)
    yield from (error for error in ahead if error is not None)
    if stopped_by:
        raise InputError(f"{stopped_by} Mend or remove it, or pass it through with --on_error skip.")
    if bad:
        logger.warning("%s rows could not be read; their column %r says why.", f"{bad:,}", ERROR)


def _complete(job: Job, rows: Iterable[Row | BadRow], answers: Iterable[Row]) -> Iterator[Row]:
    """The rows with their answers; bad ones with the columns of the first good one, as far as they are known."""
    columns: list[str] = []
    first: list[tuple[Row, Row]] = []  # bad rows before the first good one
    nothing = dict.fromkeys(job.added)

    def mended(row: Row, answer: Row) -> Row:
        known = {column: row.get(column) for column in columns}
        if job.target.format == "parquet" != job.source.format:  # its column of texts holds nothing else
            known |= {column: json.dumps(known[column]) for column in job.text_columns if _is_no_text(known[column])}
        return {**known, **nothing, **answer}

    for row, answer in zip(rows, answers, strict=True):
        if not isinstance(row, BadRow):
            columns = columns or list(row)
            while first:
                yield mended(*first.pop(0))
            yield {**row, **nothing, **answer}
        elif columns:
            yield mended(row.row, answer)
        else:
            first.append((row.row, answer))
    columns = columns or job.text_columns
    yield from (mended(*early) for early in first)


def _is_no_text(value: Any) -> bool:
    return not isinstance(value, str | None)


def beside(output: Path) -> Path:
    """Where the answers are kept until the output is written; the same for every format of it."""
    return output.with_name(f".{output.stem}.answers")


class Journal(AbstractContextManager["Journal"]):
    """Answers in a file, one a line, from which a job that was cut off goes on.

    A process that is killed leaves half a line at most, which is dropped.

    Attributes:
        path: The file.
        count: How many answers are in it.
        finished: Whether it may go.
    """

    def __init__(self, path: Path, job: Job) -> None:
        """Open it.

        Args:
            path: The file. One of another job is begun anew.
            job: Its first line says what the answers depend on.
        """
        self.path, self.finished, self.count = path, False, 0
        self._lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise InputError(f"Another process is at work on {job.target.path}. Let it end, or end it.") from None
        source = job.source.path
        stat = source.stat() if source is not None and source.is_file() else None
        state = {
            **job.identity,
            "input": [str(source and source.absolute()), *([stat.st_size, stat.st_mtime] if stat else [])],
            "columns": job.text_columns,
            "rows": job.rows,
        }
        first = json.dumps(state, sort_keys=True).encode() + b"\n"
        end = 0
        if path.is_file():
            with path.open("rb") as file:
                if file.readline() == first:
                    end = len(first)
                    for line in file:
                        if not line.endswith(b"\n") or (job.on_error == "stop" and line.startswith(b'{"error"')):
                            break
                        end += len(line)
                        self.count += 1
                else:
                    logger.warning("%s is of another input, model or command; beginning anew.", path)
        self._file = path.open("r+b" if end else "wb")
        if end:
            self._file.truncate(end)
            self._file.seek(end)
        else:
            self._file.write(first)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, and remove it if it has served, or has nothing in it."""
        try:
            self._file.close()
        finally:
            self._lock.release()
            Path(self._lock.lock_file).unlink(missing_ok=True)
            if self.finished or not self.count:
                self.path.unlink(missing_ok=True)
            elif kind is not None:
                logger.error("%s answers are kept; the same command goes on from there.", f"{self.count:,}")

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
