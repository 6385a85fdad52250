"""A job that goes on where it was cut off: its batches are the same, and so are its answers, in int8 too."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import write_jsonl
from tiny_model import VOCABULARY, make_model

from glove_bilstm import build_tokenizer
from glove_bilstm.hub.files import beside
from glove_bilstm.inference import OnnxClassifier, onnx_classifier
from glove_bilstm.inference.export import Variant, write_variant
from glove_bilstm.inference.jobs import Job, run_job
from glove_bilstm.inference.journal import Journal
from glove_bilstm.inference.reading import TextFile


@pytest.fixture
def int8(tmp_path: Path) -> OnnxClassifier:
    folder = tmp_path / "int8"
    folder.mkdir()
    tokenizer = build_tokenizer([f"w{number}" for number in range(VOCABULARY - 2)])
    write_variant(make_model(), tokenizer, Variant(quantize="int8"), folder)
    return OnnxClassifier(folder, threads=1)


@pytest.mark.parametrize("ends_by", ["number", "characters"])
def test_in_int8_the_answers_are_those_of_a_job_that_was_not_cut_off(
    ends_by: str, int8: OnnxClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_classifier, "CHUNK", 3 if ends_by == "number" else 99)
    monkeypatch.setattr(onnx_classifier, "MOST_CHARACTERS", 10**6 if ends_by == "number" else 70)
    rows: list[dict[str, Any]] = [{"text": " ".join(f"w{n * k % 97}" for k in range(n % 7))} for n in range(53)]
    for bad in (0, 12, 13, 14, 41, 52):
        rows[bad] = {"text": None}
    source = write_jsonl(tmp_path / "in.jsonl", rows)

    def job(name: str) -> Job:
        return Job(TextFile.at(source), TextFile.at(tmp_path / name), ["text"], None, "skip", {}, batch_size=4)

    def until(number: int) -> Any:
        def progress(items: Iterable[Any], initial: int, **_: Any) -> Iterator[Any]:
            for place, item in enumerate(items, initial):
                if place == number:
                    raise KeyboardInterrupt
                yield item

        return progress

    run_job(job("whole.jsonl"), int8.classify, until(99))
    for cuts in ([12, 13, 16, 31], *([cut] for cut in range(1, 53, 3))):
        for cut in cuts:
            with pytest.raises(KeyboardInterrupt):
                run_job(job("cut.jsonl"), int8.classify, until(cut))
        run_job(job("cut.jsonl"), int8.classify, until(99))
        assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes(), cuts


def test_of_a_full_disk_what_is_there_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = tmp_path / "out.jsonl"

    class Full:
        """A file on a disk that takes no more than was flushed."""

        def write(self, content: bytes) -> None:
            pass

        def close(self) -> None:
            with beside(output, "answers").open("ab") as file:
                file.write(b'{"prediction": "half')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for flushed, told in ((2, "2 answers are kept"), (0, "")):
        caplog.clear()
        with pytest.raises(OSError, match="No space left"), Journal(output, {"model": str(flushed)}, False) as journal:
            for _ in range(flushed):
                journal.add({"prediction": "x"})
            journal._file.flush()
            kept, journal._file = journal._file, Full()  # type: ignore[assignment]
            journal.add({"prediction": "x"})
            kept.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert told in caplog.text and bool(told) is bool(caplog.text) is beside(output, "answers").exists()
        beside(output, "answers").unlink(missing_ok=True)
