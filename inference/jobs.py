"""Jobs: a file of texts in, a file with predictions out; cut off at any moment, they go on where they were."""

import errno
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice, tee, zip_longest
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from glove_bilstm.hub.files import new_file
from glove_bilstm.inference.backends import Classify
from glove_bilstm.inference.journal import Journal, claim, counted, is_done, note_done
from glove_bilstm.inference.onnx_classifier import BATCH, Text, read_chunk
from glove_bilstm.inference.parquet import Row, Types, append_columns, find_types
from glove_bilstm.inference.reading import BadRow, TextFile, count_rows, read_rows
from glove_bilstm.inference.writing import (
    ERROR,
    as_columns,
    as_json,
    check_target,
    predicted_columns,
    write_rows,
)
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)

OnError = Literal["stop", "skip"]
NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
REPORTED = 20
"""How many bad rows are told of one by one."""


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
        batch_size: Texts in one batch, at most.
    """

    source: TextFile
    target: TextFile
    text_columns: list[str]
    problem_type: str | None
    on_error: OnError
    identity: dict[str, Any]
    rows: tuple[int, int] | None = None
    batch_size: int = BATCH

    @property
    def added(self) -> dict[str, pa.DataType]:
        """The columns that the output has and the input hasn't, and their types."""
        return predicted_columns(self.problem_type) | ({ERROR: pa.string()} if self.on_error == "skip" else {})

    @property
    def state(self) -> dict[str, Any]:
        """What its answers depend on."""
        path = self.source.path
        stat = path.stat() if path is not None and path.is_file() else None
        return {
            **self.identity,
            "input": [str(path and path.absolute()), *([stat.st_size, stat.st_mtime] if stat else [])],
            "columns": self.text_columns,
            "rows": self.rows,
            "batch_size": self.batch_size,  # in int8 the texts of a batch share a scale
        }

    @property
    def table(self) -> bool:
        """Whether all rows of the output have the same columns."""
        return self.target.format in ("csv", "tsv", "parquet")

    @property
    def copies(self) -> bool:
        """Whether columns are added to a parquet file, whose others stay as they are."""
        return self.source.format == self.target.format == "parquet"

    def read(self) -> Iterator[Row | BadRow]:
        """The job's rows."""
        rows = read_rows(self.source, self.text_columns, self.added, same_columns=self.table, texts_alone=self.copies)
        return rows if self.rows is None else islice(rows, *self.rows)

    def text_of(self, row: Row) -> Text:
        """What the model reads of a row that can be read."""
        values = [row[column] for column in self.text_columns]
        return values[0] if len(values) == 1 else (values[0], values[1] or "")


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
        held = counted(number, "row", "rows")
        raise InputError(f"{source.path} holds {held}, fewer than there are processes ({world}).")
    return number * rank // world, number * (rank + 1) // world


def run_job(job: Job, classify: Classify, progress: Callable[..., Iterable[Any]]) -> None:
    """Predict all of a job's rows, then write them.

    Between two files, the answers are kept beside the output as they come; when there is one for each row, the input
    is read again and written with them. A part of a file that was finished before isn't done again.

    Args:
        job: The job.
        classify: The model.
        progress: Shows how far it is: takes the answers, and then the rows to write, and `initial`, `total` and
            `desc` as tqdm does.

    Raises:
        InputError: Something of the job is wrong. What was answered before is kept.
        OSError: The output, or what is kept beside it, can't be written; the message says so with its name.
    """
    check_target(job.target)
    output = job.target.path
    if output is None:
        _run_through(job, classify, progress)
        return
    with claim(output), _naming(output):
        if job.source.path is None:
            _run_through(job, classify, progress)
            return
        # Of several processes one may fail. Given the same command again, the others have nothing to do.
        ours = {**job.state, "on_error": job.on_error}
        if job.rows is not None and is_done(output, ours):
            logger.info("%s was finished before.", output)
            return
        total = count_rows(job.source) if job.rows is None else job.rows[1] - job.rows[0]
        types = _types(job, progress) if job.target.format == "parquet" and not job.copies else {}
        with Journal(output, job.state, errors=job.on_error == "skip") as journal:
            if journal.count:
                done = counted(journal.count, "row was", "rows were")
                logger.info("%s done before; going on from there.", done)
            again, rows = _go_on(job, journal.count)
            answers = islice(_answer(job, rows, classify, journal.bad, again), again, None)
            for answer in progress(answers, initial=journal.count, total=total):
                journal.add(answer)
            if job.copies:
                with new_file(output) as file:
                    kept = progress(journal.answers(), initial=0, total=total, desc="writing")
                    if not append_columns(job.source.path, file, job.added, kept, job.rows):
                        raise _changed(job)
            else:
                written = progress(job.read(), initial=0, total=total, desc="writing")
                write_rows(job.target, _complete(job, written, journal.answers()), types)
            if job.rows is not None:
                note_done(output, ours)
            journal.finished = True


@contextmanager
def _naming(output: Path) -> Iterator[None]:
    """Say which file it was that couldn't be written: the system doesn't of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE or error.filename is not None:
            raise
        raise OSError(f"{output} can't be written: {error}") from error


def _types(job: Job, progress: Callable[..., Iterable[Any]]) -> Types:
    """The types of a parquet file's columns, before anything is predicted, for there may be none.

    They are of all rows, so that the files of several processes have the same.
    """
    whole = replace(job, rows=None)
    rows = _mend(whole, progress(whole.read(), initial=0, total=None, desc="reading types"))
    return find_types(row for row, error in rows if not error or job.on_error == "skip") | job.added


def _run_through(job: Job, classify: Classify, progress: Callable[..., Iterable[Any]]) -> None:
    """Write as it is read, for a pipe can't be read, or written, twice."""
    rows, for_answers = tee(job.read())
    answers = progress(_answer(job, for_answers, classify), initial=0, total=None)
    write_rows(job.target, _complete(job, rows, answers), job.added)


def _go_on(job: Job, done: int) -> tuple[int, Iterator[Row | BadRow]]:
    """The rows to go on with after so many, and how many of the first are among those.

    Texts are sorted by length a chunk at a time, and in int8 a text's score depends on its batch. So a job goes on
    from the first row of a chunk: every batch is what it would have been.
    """
    rows = job.read()
    again: list[Row | BadRow] = []

    def texts() -> Iterator[Text]:
        for row in islice(rows, done):
            again.append(row)
            if not isinstance(row, BadRow):
                yield job.text_of(row)

    known = texts()
    while read_chunk(known, job.batch_size)[1]:
        again.clear()
    return len(again), chain(again, rows)


def _answer(
    job: Job, rows: Iterable[Row | BadRow], classify: Classify, bad_before: int = 0, again: int = 0
) -> Iterator[Row]:
    """The columns that are added to each row, in their order; of a bad row, what is wrong with it.

    Args:
        job: The job.
        rows: The rows.
        classify: The model.
        bad_before: How many bad rows were told of before.
        again: How many of the rows, the first ones, were answered before.
    """
    ahead: deque[Row | None] = deque()  # a place for each row that the model reads, and the bad ones between them
    stopped_by, bad = "", 0

    def texts() -> Iterator[Text]:
        nonlocal stopped_by, bad
        for place, row in enumerate(rows):
            if isinstance(row, BadRow):
                if job.on_error == "stop":
                    stopped_by = row.error
                    return
                bad += place >= again
                if place >= again and bad <= REPORTED:
                    logger.warning("%s It is passed through without a prediction.", row.error)
                ahead.append({ERROR: row.error})
            else:
                ahead.append(None)
                yield job.text_of(row)

    for answer in classify(texts(), job.batch_size):
        while (error := ahead.popleft()) is not None:
            yield error
        yield as_columns(answer, job.problem_type)
    yield from (error for error in ahead if error is not None)
    if stopped_by:
        raise InputError(
            f"{stopped_by} To go on, pass it through with --on_error skip; or mend or remove it, and begin anew."
        )
    if bad := bad + bad_before:
        told = counted(bad, "row could not be read; its", "rows could not be read; their")
        logger.warning("%s column %r says why.", told, ERROR)


def _complete(job: Job, rows: Iterable[Row | BadRow], answers: Iterable[Row]) -> Iterator[Row]:
    """The rows with their answers."""
    nothing = dict.fromkeys(job.added)
    for found, answer in zip_longest(_mend(job, rows), answers):
        if found is None or answer is None:
            raise _changed(job)
        row, error = found
        if error and job.on_error == "stop":  # in a table it is bad, and was answered for another format
            raise InputError(error)
        yield {**row, **nothing, **({ERROR: error} if error else answer)}


def _mend(job: Job, rows: Iterable[Row | BadRow]) -> Iterator[tuple[Row, str]]:
    """The rows, and what is wrong with them; bad ones get the columns of the first good one, as far as they are known.

    Outside of tables they keep their own too. What has no place then is said after what is wrong. Those before the
    first good one are kept until it comes.
    """
    columns: list[str] = []
    if job.rows is not None:  # all processes' rows have the columns of the file's first good one
        columns = next((list(row) for row in replace(job, rows=None).read() if not isinstance(row, BadRow)), [])
    first: list[BadRow] = []

    def mended(bad: BadRow) -> tuple[Row, str]:
        own = [] if job.table else [column for column in bad.row if column not in job.added]
        known = {column: bad.row.get(column) for column in [*columns, *own]}
        left = {column: value for column, value in bad.row.items() if column not in known}
        if job.target.format == "parquet":  # its column of texts holds nothing else
            known |= {column: json.dumps(known[column]) for column in job.text_columns if _is_no_text(known[column])}
        return known, f"{bad.error} Left over: {as_json(left)}." if left else bad.error

    for row in rows:
        if not isinstance(row, BadRow):
            columns = columns or list(row)
            yield from map(mended, first)
            first = []
            yield row, ""
        elif columns:
            yield mended(row)
        else:
            first.append(row)
    columns = columns or job.text_columns
    yield from map(mended, first)


def _is_no_text(value: Any) -> bool:
    return not isinstance(value, str | None)


def _changed(job: Job) -> InputError:
    return InputError(f"{job.source.path} was changed while it was read. Predict it again.")
