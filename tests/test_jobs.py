"""Files in, files out: bad rows, pipes, shards, and jobs that are cut off."""

import csv
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock
from helpers import run, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_tasks import read_jsonl

from glove_bilstm.hub.files import beside
from glove_bilstm.inference import onnx_classifier
from glove_bilstm.inference.jobs import Job, run_job
from glove_bilstm.inference.journal import Journal, claim
from glove_bilstm.inference.reading import TextFile, count_rows, read_rows
from glove_bilstm.inference.writing import TEXT_WRITERS
from glove_bilstm.scripts.main import main
from glove_bilstm.vectors.errors import InputError

LINES = ['{"text": "good", "n": 1}', "nonsense", '{"text": 5, "n": 2}', '{"n": 3}', "", '"x"', '{"text": "\\ud800"}',
         '{"text": "b\\u00e4d \\ud83d\\ude00", "n": 4}']  # fmt: skip
WRONG = {2: "isn't JSON", 3: "'text' holds 5, which is no text", 4: "has no column 'text'; it has: n",
         6: "isn't an object with columns", 7: "isn't all UTF-8"}  # fmt: skip


def predict(model: Path, *arguments: object) -> int:
    return main(["predict", "--model", str(model), *map(str, arguments)])


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "glove_bilstm.scripts.main", "predict", *map(str, arguments)]


class Fake:
    """Answers with the text itself, and remembers what it was asked; it fails after so many texts."""

    def __init__(self, until: int | None = None) -> None:
        self.asked: list[Any] = []
        self.until = until

    def __call__(self, texts: Iterable[Any], batch_size: int) -> Iterator[dict[str, Any]]:
        remaining = iter(texts)
        while batch := list(islice(remaining, batch_size)):
            for text in batch:
                if len(self.asked) == self.until:
                    raise KeyboardInterrupt
                self.asked.append(text)
                yield {"label": f"<{text}>", "score": 0.5}


def job(source: Path, target: Path, on_error: Any = "skip", identity: Any = "one") -> Job:
    return Job(TextFile.at(source), TextFile.at(target), ["text"], None, on_error, {"model": identity}, batch_size=3)


@pytest.fixture(autouse=True)
def _a_chunk_is_a_batch() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_classifier, "CHUNK", 1)
        yield


def read_output(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".jsonl":
        return read_jsonl(file)
    if file.suffix == ".csv":
        return list(csv.DictReader(file.read_text().splitlines()))
    return pq.read_table(file).to_pylist()


def quietly(rows: Iterable[Any], **_: Any) -> Iterable[Any]:
    return rows


class TestCutOff:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.sampled_from([*LINES, '{"text": "fine"}']), min_size=1), st.lists(st.integers(0, 9), max_size=4)
    )
    def test_however_often_it_comes_out_the_same(
        self, tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: list[int]
    ) -> None:
        lines = [LINES[0], *lines]  # with the column, or it is no file of texts
        folder = tmp_path_factory.mktemp("job")
        source = folder / "in.jsonl"
        source.write_text("\n".join(lines), encoding="utf-8")
        run_job(job(source, folder / "whole.jsonl"), Fake(), quietly)
        rows = read_jsonl(folder / "whole.jsonl")
        texts = [row["text"] for row in rows if row["error"] is None]
        answered = 0
        for cut in [*cuts, None]:
            fake = Fake(cut)
            try:
                run_job(job(source, folder / "cut.jsonl"), fake, quietly)
            except KeyboardInterrupt:
                assert not (folder / "cut.jsonl").exists()
            else:
                break
            finally:
                begun = answered // 3 * 3  # where a batch begins
                assert fake.asked == texts[begun : begun + len(fake.asked)]
                answered = max(answered, begun + len(fake.asked))
        assert (folder / "cut.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
        assert answered == len(texts)
        assert len(rows) == sum(1 for line in lines if line)
        assert not list(folder.glob(".*"))

    def test_half_a_line_is_dropped_and_another_job_begins_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": str(number)} for number in range(7)])
        with pytest.raises(KeyboardInterrupt):
            run_job(job(source, tmp_path / "out.jsonl"), Fake(4), quietly)
        kept = beside(tmp_path / "out.jsonl", "answers")
        with kept.open("a") as file:
            file.write('{"prediction": "<4>", "sco')
        fake = Fake(2)
        with pytest.raises(KeyboardInterrupt):
            run_job(job(source, tmp_path / "out.jsonl"), fake, quietly)
        assert fake.asked == ["3", "4"]
        fake = Fake(1)
        with pytest.raises(KeyboardInterrupt):
            run_job(job(source, tmp_path / "out.jsonl", identity="another"), fake, quietly)
        assert fake.asked == ["0"] and "is of another input, model or command; beginning anew" in caplog.text
        write_jsonl(source, [{"text": str(number)} for number in range(9)])
        fake = Fake()
        run_job(job(source, tmp_path / "out.jsonl", identity="another"), fake, quietly)
        assert len(fake.asked) == 9 and not list(tmp_path.glob(".*"))

    def test_bad_rows_of_before_are_counted_too(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        lines = ["nonsense", '{"text": "a"}', "5", '{"text": "b"}', '{"text": "c"}', "[]"]
        (tmp_path / "in.jsonl").write_text("\n".join(lines))
        with pytest.raises(KeyboardInterrupt):
            run_job(job(tmp_path / "in.jsonl", tmp_path / "out.jsonl"), Fake(2), quietly)
        assert "4 answers are kept" in caplog.text and "could not be read" not in caplog.text
        run_job(job(tmp_path / "in.jsonl", tmp_path / "out.jsonl"), Fake(), quietly)
        assert "3 rows could not be read; their column 'error' says why." in caplog.text
        caplog.clear()
        (tmp_path / "in.jsonl").write_text("\n".join(lines[:2]))
        run_job(job(tmp_path / "in.jsonl", tmp_path / "out.jsonl"), Fake(), quietly)
        assert "1 row could not be read; its column 'error' says why." in caplog.text

    def test_another_format_goes_on_and_another_job_does_not(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": str(number)} for number in range(7)])
        other = write_jsonl(tmp_path / "other.jsonl", [{"text": "x"}])
        with pytest.raises(KeyboardInterrupt):
            run_job(job(source, tmp_path / "out.jsonl"), Fake(4), quietly)
        run_job(job(other, tmp_path / "out.txt"), Fake(), quietly)  # of the same stem
        fake = Fake()
        with claim(tmp_path / "out.jsonl"), pytest.raises(KeyboardInterrupt):  # someone is at it
            run_job(job(source, tmp_path / "out.csv"), Fake(1), quietly)
        beside(tmp_path / "out.csv", "answers").unlink()
        run_job(job(source, tmp_path / "out.csv"), fake, quietly)
        assert fake.asked == ["3", "4", "5", "6"] and not list(tmp_path.glob(".*"))

    @pytest.mark.parametrize("endings", [("csv", "jsonl"), ("jsonl", "csv"), ("jsonl", "parquet")])
    @pytest.mark.parametrize("on_error", ["skip", "stop"])
    def test_another_format_has_rows_of_its_own_that_are_bad(
        self, endings: tuple[str, str], on_error: str, tmp_path: Path
    ) -> None:
        rows = [{"text": "a", "n": 1}, {"text": "b"}, {"text": "c", "n": 2}, {"text": "d", "n": 3}]
        source = write_jsonl(tmp_path / "in.jsonl", rows)
        with pytest.raises((KeyboardInterrupt, InputError)):
            run_job(job(source, tmp_path / f"out.{endings[0]}", on_error), Fake(2), quietly)
        target = tmp_path / f"out.{endings[1]}"
        if on_error == "stop" and endings[1] != "jsonl":
            with pytest.raises(InputError, match="line 2 has the columns text, and the first row text, n"):
                run_job(job(source, target, on_error), Fake(), quietly)
            assert not target.exists()
            return
        run_job(job(source, target, on_error), Fake(), quietly)
        whole = tmp_path / f"whole.{endings[1]}"
        run_job(job(source, whole, on_error), Fake(), quietly)
        assert read_output(target) == read_output(whole)

    def test_lines_of_spaces_are_no_rows_of_a_table(self, tmp_path: Path) -> None:
        lines = ["  ", "text,n", "0,a", " ", "", "1,b", "few", "2,c", "\u00a0", "3,d", "  "]
        (tmp_path / "in.csv").write_text("\n".join(lines), encoding="utf-8")
        for cut in range(4):
            with pytest.raises(KeyboardInterrupt):
                run_job(job(tmp_path / "in.csv", tmp_path / "out.csv"), Fake(cut), quietly)
            run_job(job(tmp_path / "in.csv", tmp_path / "out.csv"), Fake(), quietly)
            rows = read_output(tmp_path / "out.csv")
            assert [row["text"] for row in rows] == ["0", "1", "few", "2", "3"]
            assert [row["prediction"] for row in rows] == ["<0>", "<1>", "", "<2>", "<3>"]
            assert rows[2]["error"].endswith("line 7 has 1 fields, and the header 2.")
        (tmp_path / "one.csv").write_text("  \ntext\n  \na\n")  # of a single column, they are texts
        assert list(read_rows(TextFile.at(tmp_path / "one.csv"), ["text"], ())) == [{"text": "  "}, {"text": "a"}]

    def test_what_a_killed_writer_left_goes(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])
        beside(tmp_path / "out.jsonl", "incomplete").write_text("half a r")
        run_job(job(source, tmp_path / "out.jsonl"), Fake(), quietly)
        assert read_jsonl(tmp_path / "out.jsonl")[0]["prediction"] == "<good>" and not list(tmp_path.glob(".*"))

    def test_an_input_that_grows_meanwhile(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])

        def grow(texts: Iterable[Any], batch_size: int) -> Iterator[dict[str, Any]]:
            yield from Fake()(texts, batch_size)
            write_jsonl(source, [{"text": "good"}] * 2)

        with pytest.raises(InputError, match="was changed while it was read"):
            run_job(job(source, tmp_path / "out.jsonl"), grow, quietly)
        assert not (tmp_path / "out.jsonl").exists()

    def test_a_link_is_followed(self, model: Path, tmp_path: Path) -> None:
        write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])
        (tmp_path / "there").mkdir()
        (tmp_path / "out.csv").symlink_to("there/new")
        assert predict(model, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.csv") == 0
        assert (tmp_path / "out.csv").is_symlink() and read_output(tmp_path / "out.csv")[0]["prediction"] == "pos"
        assert [file.name for file in (tmp_path / "there").iterdir()] == ["new"]

    def test_a_disk_without_space_is_told_of_with_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Journal, "add", full)
        with pytest.raises(OSError, match=r"out\.csv can't be written: .*No space left on device"):
            run_job(job(source, tmp_path / "out.csv"), Fake(), quietly)
        monkeypatch.undo()
        monkeypatch.setitem(TEXT_WRITERS, "csv", full)
        with pytest.raises(OSError, match=r"out\.csv can't be written: .*No space left on device"):
            run_job(job(source, tmp_path / "out.csv"), Fake(), quietly)

    def test_two_at_once(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}])
        with (
            FileLock(tmp_path / ".out.jsonl.lock"),
            pytest.raises(InputError, match=r"Another process is at work on .*out\.jsonl"),
        ):
            run_job(job(source, tmp_path / "out.jsonl"), Fake(), quietly)

    @pytest.mark.slow
    def test_a_killed_process(self, model: Path, tmp_path: Path) -> None:
        rows = [{"text": f"a {'really ' * (number % 40)}good film {number}"} for number in range(30_000)]
        source = write_jsonl(tmp_path / "in.jsonl", rows)
        options = ["--model", model, "--input", source, "--output", tmp_path / "out.jsonl"]
        kept = beside(tmp_path / "out.jsonl", "answers")
        process = subprocess.Popen(command(*options), stderr=subprocess.PIPE, text=True)
        while not (kept.exists() and kept.stat().st_size > 100_000):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "out.jsonl").exists()
        done = run(*command(*options))
        assert done.returncode == 0 and "rows were done before; going on from there." in done.stderr
        again = run(*command(*options[:-1], tmp_path / "again.jsonl"))
        assert again.returncode == 0, again.stderr
        assert read_jsonl(tmp_path / "out.jsonl") == read_jsonl(tmp_path / "again.jsonl")
        assert {file.name for file in tmp_path.glob("*.jsonl")} == {"in.jsonl", "out.jsonl", "again.jsonl"}
        assert not kept.exists()

    @pytest.mark.slow
    def test_a_full_disk(self, model: Path, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}] * 2_000)

        def no_file_above_50_kb() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

        options = ["--model", model, "--input", source, "--output", tmp_path / "out.jsonl"]
        done = run(*command(*options), preexec_fn=no_file_above_50_kb)
        assert (
            done.returncode == 1
            and "out.jsonl can't be written: " in done.stderr
            and "File too large" in done.stderr
            and "Traceback" not in done.stderr
        )
        assert not (tmp_path / "out.jsonl").exists()
        assert run(*command(*options)).returncode == 0
        assert len(read_jsonl(tmp_path / "out.jsonl")) == 2_000
        assert sorted(os.listdir(tmp_path)) == ["in.jsonl", "out.jsonl"]

    @pytest.mark.parametrize(
        ("change", "prefix"),
        [({"text_columns": ["title"]}, "title "), ({"batch_size": 4}, "")],  # in int8 a batch decides its answers
    )
    def test_answers_to_something_else_are_of_another_job(
        self, change: dict[str, Any], prefix: str, tmp_path: Path
    ) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": str(n), "title": f"title {n}"} for n in range(7)])
        whole = job(source, tmp_path / "out.jsonl")
        with pytest.raises(KeyboardInterrupt):
            run_job(whole, Fake(4), quietly)
        fake = Fake()
        run_job(replace(whole, **change), fake, quietly)
        assert fake.asked == [f"{prefix}{number}" for number in range(7)]

    def test_of_a_name_that_a_pattern_would_read_otherwise(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": str(number)} for number in range(7)])
        with pytest.raises(KeyboardInterrupt):
            run_job(job(source, tmp_path / "out[1].jsonl"), Fake(4), quietly)
        fake = Fake()
        run_job(job(source, tmp_path / "out[1].csv"), fake, quietly)
        assert fake.asked == ["3", "4", "5", "6"] and not list(tmp_path.glob(".*"))

    def test_an_input_of_the_same_size_is_another_one(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": str(number)} for number in range(7)])
        os.utime(source, (1, 1))
        with pytest.raises(KeyboardInterrupt):
            run_job(job(source, tmp_path / "out.jsonl"), Fake(4), quietly)
        write_jsonl(source, [{"text": str(9 - number)} for number in range(7)])
        fake = Fake()
        run_job(job(source, tmp_path / "out.jsonl"), fake, quietly)
        assert len(fake.asked) == 7


class TestBadRows:
    @pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
    def test_they_pass_through_with_the_reason(
        self, ending: str, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "in.jsonl").write_text("\n".join(LINES[1:] + LINES[:1]))
        target = tmp_path / f"out.{ending}"
        assert predict(model, "--input", tmp_path / "in.jsonl", "--output", target, "--on_error", "skip") == 0
        rows = read_output(target)
        errors = [row["error"] for row in rows]
        assert len(rows) == 7 and not errors[-1] and not errors[-2]
        for error, number in zip(errors, [1, 2, 3, 5, 6], strict=False):
            assert f"in.jsonl, line {number}" in error and WRONG[number + 1] in error and error in caplog.text
        assert [bool(row["prediction"]) for row in rows] == [False] * 5 + [True] * 2
        assert [str(row["n"] or "") for row in rows] == ["", "2", "3", "", "", "4", "1"]
        assert list(rows[0]) == ["text", "n", "prediction", "score", "error"]
        assert "5 rows could not be read; their column 'error' says why." in caplog.text

    def test_the_first_twenty_are_told_of(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "in.jsonl").write_text('{"text": "good"}\n' + "nonsense\n" * 33)
        run_job(job(tmp_path / "in.jsonl", tmp_path / "out.jsonl"), Fake(), quietly)
        assert caplog.text.count("It is passed through without a prediction.") == 20
        assert "33 rows could not be read; their column 'error' says why." in caplog.text

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ('{"text": "bad", "m": {"a": ["\\ud800"]}}', "isn't all UTF-8"),
            ('{"text": "bad", "\\ud800": 1}', "isn't all UTF-8"),
            (f'{{"text": "bad", "m": {"9" * 5000}}}', "isn't JSON: Exceeds the limit"),
            ('{"text": "bad", "m": 1, "score": 5}', "has a column 'score', which the output adds"),
            ('{"text": "bad"}', "has the columns text, and the first row text, m; a table needs the same"),
        ],
    )
    @pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
    def test_odd_values_spoil_no_other_row(self, ending: str, line: str, error: str, tmp_path: Path) -> None:
        (tmp_path / "in.jsonl").write_text(f'{{"text": "good", "m": null}}\n{line}\n{{"m": null, "text": "fine"}}\n')
        target = tmp_path / f"out.{ending}"
        run_job(job(tmp_path / "in.jsonl", target), Fake(), quietly)
        rows = read_output(target)
        assert [row["prediction"] or None for row in rows][::2] == ["<good>", "<fine>"]
        if ending == "jsonl" and "a table" in error:  # any row may have its own
            assert rows[1]["prediction"] == "<bad>"
        else:
            assert f"in.jsonl, line 2 {error}" in rows[1]["error"] and not rows[1]["prediction"]

    def test_a_second_text_that_is_missing_stays_so(self, tmp_path: Path) -> None:
        rows = [{"q": "a", "a": None}, {"q": "b", "a": "c"}]
        source = write_jsonl(tmp_path / "in.jsonl", rows)
        fake = Fake()
        run_job(replace(job(source, tmp_path / "out.jsonl"), text_columns=["q", "a"]), fake, quietly)
        assert fake.asked == [("a", ""), ("b", "c")]
        assert [{"q": row["q"], "a": row["a"]} for row in read_jsonl(tmp_path / "out.jsonl")] == rows

    def test_csv(self, model: Path, tmp_path: Path) -> None:
        lines = [b"n,text", b"1,good", b"2", b'3,"ba"d', b"4,b\xff", b"5,x,y", b"  ", b"6,bad", b"", b'7,"to the end']
        (tmp_path / "in.csv").write_bytes(b"\n".join(lines))
        options = ["--input", tmp_path / "in.csv", "--output", tmp_path / "out.txt"]
        assert predict(model, *options, "--on_error", "skip") == 0
        assert (tmp_path / "out.txt").read_text() == "pos\n\n\n\n\nneg\n\n"
        errors = [
            row.error for row in read_rows(TextFile.at(tmp_path / "in.csv"), ["text"], ()) if hasattr(row, "error")
        ]
        assert [error.partition("in.csv, ")[2] for error in errors] == [
            "line 3 has 1 fields, and the header 2.",
            "line 4 can't be read as csv: ',' expected after '\"'.",
            "line 5 isn't all UTF-8.",
            'line 6 has 3 fields, and the header 2. Left over: ["y"].',
            "line 10 can't be read as csv: unexpected end of data.",
        ]

    def test_parquet_and_txt(self, model: Path, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": ["good", None, "bad"]}), tmp_path / "in.parquet")
        options = ["--output", tmp_path / "out.jsonl", "--on_error", "skip"]
        assert predict(model, "--input", tmp_path / "in.parquet", *options) == 0
        assert "row 2: 'text' holds None" in read_jsonl(tmp_path / "out.jsonl")[1]["error"]
        (tmp_path / "in.txt").write_bytes(b"good\nb\xe4d\n\nbad\r\n")
        assert predict(model, "--input", tmp_path / "in.txt", *options) == 0
        rows = read_jsonl(tmp_path / "out.jsonl")
        assert [row["text"] for row in rows] == ["good", "b\ufffdd", "", "bad"]
        assert "line 2 isn't all UTF-8" in rows[1]["error"]

    def test_stopped_at_one_and_gone_on_past_it(
        self, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "in.jsonl").write_text('{"text": "good"}\n{"text": "bad"}\nnonsense\n{"text": "fine"}\n')
        options = ["--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl"]
        for _ in range(2):
            assert predict(model, *options) == 1
            assert "line 3 isn't JSON" in (told := capsys.readouterr().err) and "with --on_error skip" in told
            assert "2 answers are kept; the same command goes on from there." in caplog.text
        assert predict(model, *options, "--on_error", "skip") == 0
        assert "2 rows were done before" in caplog.text
        assert [row["prediction"] for row in read_jsonl(tmp_path / "out.jsonl")] == ["pos", "neg", None, "pos"]

    def test_a_column_error_is_there_already(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good", "error": 1}])
        options = ["--input", source, "--output", tmp_path / "out.jsonl"]
        assert predict(model, *options, "--on_error", "skip") == 1
        assert "has a column 'error', which the output adds" in capsys.readouterr().err
        assert predict(model, *options) == 0


class TestPipes:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("options", "given", "expected"),
        [
            ([], "good\nbad\n", "pos\nneg\n"),
            (["--format", "txt"], "good", "pos\n"),
            (["--format", "csv"], "n,text\n1,good\n", "n,text,prediction,score\r\n1,good,pos,"),
            (["--format", "tsv"], 'n\ttext\n"1\t2"\tgood\n', 'n\ttext\tprediction\tscore\r\n"1\t2"\tgood\tpos\t'),
            (["--format", "jsonl"], '{"text": "bad"}\n', '{"text": "bad", "prediction": "neg", "score": '),
        ],
    )
    def test_in_and_out(self, options: list[str], given: str, expected: str, model: Path) -> None:
        # Without --output, too.
        arguments = command("--model", model, "--input", "-", *options, *(["--output", "-"] if options else []))
        done = subprocess.run(arguments, input=given.encode(), capture_output=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode().startswith(expected)

    @pytest.mark.slow
    def test_from_a_pipe_to_a_file_and_back(
        self, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        arguments = command("--model", model, "--input", "-", "--output", tmp_path / "out.jsonl")
        done = subprocess.run(arguments, input=b'{"text": "good"}\n', capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b"Standard input is read as jsonl; --format tells otherwise." in done.stderr
        [row] = read_jsonl(tmp_path / "out.jsonl")
        assert row["prediction"] == "pos"
        write_jsonl(tmp_path / "in.jsonl", [{"text": "bad"}])
        capfd.readouterr()
        assert predict(model, "--input", tmp_path / "in.jsonl") == 0  # standard output is the default
        assert json.loads(capfd.readouterr().out)["prediction"] == "neg"
        assert predict(model, "--input", tmp_path / "out.parquet", "--output", "-") == 1
        assert "A pipe can't hold parquet; name another with --format" in capfd.readouterr().err

    def test_a_format_without_columns(self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "in.txt").write_text("a")
        for source, told in (
            ("-", "Standard input is read as txt, which"),
            (tmp_path / "in.txt", "in.txt, a text file,"),
        ):
            assert predict(model, "--input", source, "--text_column", "review") == 1
            assert f"{told} has no columns. Leave out --text_column, or give the" in capsys.readouterr().err
        assert predict(model, "--input", tmp_path / "in.csv.gz") == 1
        assert "so its format is unknown. Unpack it first." in capsys.readouterr().err

    @pytest.mark.slow
    def test_a_reader_that_has_enough(self, model: Path, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "good"}] * 9_000)
        process = subprocess.Popen(
            command("--model", model, "--input", source, "--output", "-"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait() == 141 and "Broken pipe" not in told
        assert "Traceback" not in told and "Exception ignored" not in told


class TestShards:
    def test_each_process_has_its_rows(
        self, model: Path, tmp_path: Path, make_rows: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", make_rows(100, seed=5))
        options = ["--input", source, "--output", tmp_path / "out.jsonl"]
        assert predict(model, *options) == 0
        monkeypatch.setenv("WORLD_SIZE", "3")
        for rank in range(3):
            monkeypatch.setenv("RANK", str(rank))
            assert predict(model, *options) == 0
        parts = [read_jsonl(tmp_path / f"out-{rank:05}-of-00003.jsonl") for rank in range(3)]
        assert [len(part) for part in parts] == [33, 33, 34]
        for ours, alone in zip(
            [row for part in parts for row in part], read_jsonl(tmp_path / "out.jsonl"), strict=True
        ):
            assert ours.pop("score") == pytest.approx(alone.pop("score"), abs=1e-6) and ours == alone

    def test_bad_rows_have_the_columns_of_the_file(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "in.csv").write_text("id,text\n1,good\n2,bad\n3,x,y\n4,x,y\n")
        options = ["--input", tmp_path / "in.csv", "--output", tmp_path / "out.csv", "--on_error", "skip"]
        assert predict(model, *options) == 0
        monkeypatch.setenv("WORLD_SIZE", "2")
        parts = []
        for rank in range(2):
            monkeypatch.setenv("RANK", str(rank))
            caplog.clear()
            assert predict(model, *options) == 0
            assert ("in.csv, line 4 has 3 fields" in caplog.text) is (rank == 1)
            parts.append((tmp_path / f"out-{rank:05}-of-00002.csv").read_text().splitlines())
        assert parts[0] + parts[1][1:] == (tmp_path / "out.csv").read_text().splitlines()
        assert parts[1][0] == parts[0][0] == "id,text,prediction,score,error" and parts[1][1].startswith("3,x,")

    def test_what_is_finished_is_not_done_again(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "glove_bilstm.inference.jobs")
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": str(number)} for number in range(7)])
        target = tmp_path / "out-1.jsonl"
        whole = job(source, target)
        part = replace(whole, rows=(2, 5))

        def asked(job: Job) -> int:
            fake = Fake()
            run_job(job, fake, quietly)
            return len(fake.asked)

        assert asked(part) == 3
        written = target.read_bytes()
        assert asked(part) == 0 and target.read_bytes() == written
        assert "out-1.jsonl was finished before." in caplog.text
        for change in ({"rows": (2, 6)}, {"identity": {"model": "two"}}, {"on_error": "stop"}, {"rows": None}):
            assert asked(replace(part, **change)) > 0
            assert asked(part) == 3 and asked(part) == 0
        write_jsonl(source, [{"text": str(number)} for number in range(8)])
        assert asked(part) == 3 and asked(part) == 0
        target.write_bytes(written)
        os.utime(target, (1, 1))
        assert asked(part) == 3
        target.unlink()
        assert asked(part) == 3
        fake = Fake(1)
        with pytest.raises(KeyboardInterrupt):
            run_job(replace(part, identity={"model": "two"}), fake, quietly)
        assert asked(part) == 0  # the file is still that one's
        assert asked(replace(part, identity={"model": "two"})) == 3  # its batch again
        assert asked(whole) == asked(whole) == 8

    @pytest.mark.slow
    def test_torchrun(self, model: Path, tmp_path: Path, make_rows: Callable) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", make_rows(31, seed=6))
        script = Path(__file__).parents[1] / "scripts" / "predict.py"
        options = ["--model", model, "--input", source, "--output", tmp_path / "out.jsonl"]
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        done = run(*launcher, script, *options)
        assert done.returncode == 0, done.stderr
        assert [len(read_jsonl(tmp_path / f"out-0000{rank}-of-00002.jsonl")) for rank in range(2)] == [15, 16]

    def test_what_cannot_be_shared(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("WORLD_SIZE", "3")
        assert predict(model, "--input", "-", "--output", tmp_path / "out.txt") == 1
        assert "a pipe is for one" in capsys.readouterr().err
        (tmp_path / "in.txt").write_text("a\nb")
        assert predict(model, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt") == 1
        assert "in.txt holds 2 rows, fewer than there are processes (3)" in capsys.readouterr().err


class TestBackends:
    def test_onnx_says_the_same(self, model: Path, dataset_folder: Path, tmp_path: Path) -> None:
        assert main(["export", "--model", str(model), "--output", str(tmp_path / "onnx")]) == 0
        source = dataset_folder / "test.jsonl"
        for name, options in (("torch", [model]), ("onnx", [tmp_path / "onnx"]), ("two", [tmp_path / "onnx", 2])):
            more = ["--num_workers", options[1]] if options[1:] else []
            assert predict(options[0], "--input", source, "--output", tmp_path / f"{name}.jsonl", *more) == 0
        expected, *others = (read_jsonl(tmp_path / f"{name}.jsonl") for name in ("torch", "onnx", "two"))
        for rows in others:
            for ours, theirs in zip(rows, expected, strict=True):
                assert ours.pop("score") == pytest.approx(theirs["score"], abs=1e-6)
                assert ours == {name: value for name, value in theirs.items() if name != "score"}

    def test_onnx_needs_no_torch(self, model: Path, tmp_path: Path) -> None:
        assert main(["export", "--model", str(model), "--output", str(tmp_path / "onnx")]) == 0
        code = """
import sys
from glove_bilstm.scripts.main import main
assert main(["predict", "--model", sys.argv[1], "good"]) == 0
assert not {"torch", "transformers", "datasets"} & set(sys.modules)
"""
        done = run(sys.executable, "-c", code, tmp_path / "onnx")
        assert done.returncode == 0 and "pos" in done.stdout, done.stderr

    def test_weights_that_run_code_are_not_read(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        monkeypatch.delattr(torch, "load")
        assert predict(folder, "good") == 0
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
        capsys.readouterr()
        assert predict(folder, "good") == 1
        told = capsys.readouterr().err
        assert f"{folder} holds no weights in safetensors, the one format that is read" in told

    def test_whatever_openmp_is_told(self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert main(["export", "--model", str(model), "--output", str(tmp_path / "onnx")]) == 0
        for told in ("", "2,1", "-1", "many"):
            monkeypatch.setenv("OMP_NUM_THREADS", told)
            assert predict(tmp_path / "onnx", "good") == 0

    def test_the_model_that_answered_is_the_one_that_goes_on(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        ours = tmp_path / "ours"
        shutil.copytree(model, ours)
        assert main(["export", "--model", str(ours), "--output", str(ours / "onnx")]) == 0
        (tmp_path / "in.jsonl").write_text('{"text": "good"}\nnonsense\n')
        options = ["--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl"]
        for backend, file in (
            ("onnx", "onnx/model.onnx"),
            ("onnx", "onnx/tokenizer.json"),
            ("onnx", "onnx/config.json"),
            ("torch", "tokenizer.json"),
            ("torch", "tokenizer_config.json"),
            ("torch", "model.safetensors"),
            ("torch", "config.json"),
        ):
            told = []
            for change in (False, False, True):
                if change:
                    os.utime(ours / file, (1, 1))
                caplog.clear()
                assert predict(ours, *options, "--backend", backend) == 1
                told.append("beginning anew" in caplog.text)
            assert told[1:] == [False, True], file

    def test_answers_in_another_precision_are_of_another_job(
        self, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "in.jsonl").write_text('{"text": "good"}\nnonsense\n')
        told = []
        for dtype in ("float32", "float32", "bfloat16", "bfloat16"):
            caplog.clear()
            options = ["--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl", "--dtype", dtype]
            assert predict(model, *options) == 1
            told.append("beginning anew" in caplog.text)
        assert told == [False, False, True, False]

    def test_an_export_of_other_weights(self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ours = tmp_path / "ours"
        shutil.copytree(model, ours)
        assert main(["export", "--model", str(ours), "--output", str(ours / "onnx")]) == 0
        assert predict(ours, "good", "--backend", "onnx") == 0
        weights = load_file(ours / "model.safetensors")
        save_file({name: -weight for name, weight in weights.items()}, ours / "model.safetensors")
        assert predict(ours, "good", "--backend", "onnx") == 1
        told = capsys.readouterr().err
        assert f"{ours / 'onnx'} was exported from other weights than" in told and f"name {ours / 'onnx'} as" in told
        assert predict(ours / "onnx", "good") == 0
        (ours / "onnx" / "export.json").write_text("nonsense")
        assert predict(ours, "good", "--backend", "onnx") == 1
        assert "export.json is not JSON" in capsys.readouterr().err
        (ours / "model.safetensors").unlink()
        assert predict(ours, "good", "--backend", "onnx") == 0

    def test_what_does_not_fit(self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert predict(model, "good", "--backend", "onnx") == 1
        assert "holds no exported model: it has no model.onnx" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            predict(model, "good", "--backend", "onnx", "--dtype", "bfloat16")
        assert "--dtype is torch's" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            predict(model, "good", "--backend", "onnx", "--device", "cuda")
        assert "--device is torch's" in capsys.readouterr().err


def test_rows_are_counted_as_they_are_read(tmp_path: Path) -> None:
    contents = {
        "jsonl": b'{"text": "a"}\n \t\n{"text": "b"}\n\xc2\xa0\n',
        "csv": b'\ntext\n"two\nlines"\n\nb\nc,d\n',
        "tsv": b"  \ntext\tn\n \t\n   \na\t1\n\xc2\xa0\nb\t2\n ",
        "txt": b"a\n\nb",
    }
    for ending, content in contents.items():
        file = tmp_path / f"in.{ending}"
        file.write_bytes(content)
        assert count_rows(TextFile.at(file)) == 3 == sum(1 for _ in read_rows(TextFile.at(file), ["text"], ()))
    pq.write_table(pa.table({"text": ["a", None, "b"]}), tmp_path / "in.parquet")
    assert count_rows(TextFile.at(tmp_path / "in.parquet")) == 3
