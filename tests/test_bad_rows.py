"""With `--on_error skip` nothing of a bad row is lost: it can be found and mended in the output."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_tasks import read_jsonl

from glove_bilstm.inference.jobs import Job, run_job
from glove_bilstm.inference.reading import TextFile
from glove_bilstm.scripts.main import main


def skip(source: Path, target: Path) -> None:
    def classify(texts: Iterable[Any], batch_size: int) -> Iterator[dict[str, Any]]:
        return ({"label": text, "score": 0.5} for text in texts)

    job = Job(TextFile.at(source), TextFile.at(target), ["text"], None, "skip", {})
    run_job(job, classify, lambda items, **_: items)


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".jsonl":
        return read_jsonl(file)
    if file.suffix == ".csv":
        with file.open(newline="") as opened:
            return list(csv.DictReader(opened))
    return pq.read_table(file).to_pylist()


LINES = [
    '{"text": "fine", "n": 1}',
    '{"n": 2, "more": {"a": [1]}}',
    '{"text": "cut o',
    '["no", "object"]',
    '{"text": 5, "error": "my own", "score": 9, "n": 3}',
]


def test_of_jsonl_to_jsonl_keys_stay(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\r\n".join(LINES))
    skip(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    fine, lacking, cut, array, taken = read(tmp_path / "out.jsonl")
    assert fine == {"text": "fine", "n": 1, "prediction": "fine", "score": 0.5, "error": None}
    assert (lacking["n"], lacking["more"], lacking["text"]) == (2, {"a": [1]}, None)
    assert "Left over" not in lacking["error"] + cut["error"] + array["error"]
    assert [cut["text"], array["text"]] == LINES[2:4]
    assert taken["text"] == 5 and taken["n"] == 3 and taken["score"] is None and taken["prediction"] is None
    told, _, left = taken["error"].partition(" Left over: ")
    assert told.endswith("which is no text.") and json.loads(left[:-1]) == {"error": "my own", "score": 9}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_in_a_table_what_has_no_column_is_said(ending: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n".join(LINES))
    skip(tmp_path / "in.jsonl", tmp_path / f"out.{ending}")
    rows = read(tmp_path / f"out.{ending}")
    assert {tuple(row) for row in rows} == {("text", "n", "prediction", "score", "error")}
    left = [(row["error"] or "").partition(" Left over: ")[2][:-1] for row in rows]
    assert [json.loads(one) if one else {} for one in left] == [
        {},
        {"more": {"a": [1]}},
        {},
        {},
        {"error": "my own", "score": 9},
    ]
    assert [row["text"] for row in rows[2:]] == [*LINES[2:4], "5"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_of_csv_fields_and_lines_stay(ending: str, tmp_path: Path) -> None:
    lines = ["id,text", "1,fine", "2,not quoted, so it is cut, twice", '3,"a"b', "4", '5,"to', "the end"]
    (tmp_path / "in.csv").write_text("\r\n".join(lines))
    skip(tmp_path / "in.csv", tmp_path / f"out.{ending}")
    _, more, odd, few, rest = read(tmp_path / f"out.{ending}")
    assert (more["id"], more["text"]) == ("2", "not quoted")
    assert more["error"].endswith('has 4 fields, and the header 2. Left over: [" so it is cut", " twice"].')
    assert odd["text"] == lines[3] and "line 4 can't be read as csv" in odd["error"]
    assert few["id"] == "4" and few["error"].endswith("has 1 fields, and the header 2.")
    assert rest["text"] == "\r\n".join(lines[5:])


def test_a_label_of_several_lines_is_one_in_txt(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "one"}\n{"text": "two\\nlines"}\n{"text": "three\\rü"}\n')
    skip(tmp_path / "in.jsonl", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_bytes().decode() == 'one\n"two\\nlines"\n"three\\rü"\n'


@pytest.mark.parametrize(("name", "options"), [("stdout", ["good"]), ("stdin", ["--input", "-", "--output", "x.txt"])])
def test_standard_input_or_output_that_is_closed(
    name: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"sys.{name}", None)
    with pytest.raises(SystemExit):
        main(["predict", "--model", "any", *options])
    told = {
        "stdin": "input is closed; name a file by --input",
        "stdout": "output is closed; name files by --input and --output",
    }
    assert f"standard {told[name]}" in capsys.readouterr().err
