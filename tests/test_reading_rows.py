"""Reading rows of texts: what a file that isn't as it should be does to the others of its rows."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glove_bilstm.hub.files import beside
from glove_bilstm.inference import parquet
from glove_bilstm.inference.journal import Journal
from glove_bilstm.inference.reading import HEAD, BadRow, TextFile, count_rows, read_rows
from glove_bilstm.vectors.errors import InputError


def read(path: Path) -> list[Any]:
    rows = list(read_rows(TextFile.at(path), ["text"], ["prediction"]))
    assert count_rows(TextFile.at(path)) == len(rows)
    return [row.error if isinstance(row, BadRow) else row["text"] for row in rows]


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_quote_that_is_not_closed_is_found_where_it_stands(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "id,text", "1,fine", '2,"well done', "3,lost", "4,lost too")
    fine, bad = read(file)
    assert fine == "fine" and "a.csv, line 3 can't be read as csv" in bad and "all up to line 5." in bad


def test_the_first_rows_may_lack_the_column(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", '{"id": 1}', "no JSON", '{"text": "fine"}', '{"id": 2}')
    found = read(file)
    assert "line 1 has no column 'text'; it has: id" in found[0] and "line 2 isn't JSON" in found[1]
    assert found[2] == "fine" and "line 4 has no column" in found[3]


@pytest.mark.parametrize("rows", [1, HEAD, HEAD + 7])
def test_a_file_that_lacks_the_column_is_refused(rows: int, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", *['{"id": 1}'] * rows)
    with pytest.raises(InputError, match="has no column 'text'; it has: id. Name the right one"):
        read(file)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_what_is_no_text_is_said(name: str, tmp_path: Path) -> None:
    texts = [("\ufefftext\n".encode(kind), "UTF-16") for kind in ("utf-16-le", "utf-16-be")]
    for content, kind in ((gzip.compress(b"text\n", mtime=0), "gzip"), *texts):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} is .*{kind}"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", "fine\n"), ("a.CSV", "text,n\nfine,1\n"), ("a.Tsv", "text\nfine\n"), ("a.JSONL", '{"text": "fine"}\n')],
)
def test_the_mark_that_other_programs_begin_with_is_no_text(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert read(tmp_path / name) == ["fine"]


def test_a_field_of_any_length(tmp_path: Path) -> None:
    csv.field_size_limit(131_072)  # as Python begins, whatever other tests read
    assert read(write(tmp_path / "a.csv", "text", "long " * 50_000)) == ["long " * 50_000]


def test_a_second_text_may_be_missing_and_is_nothing_but_text(tmp_path: Path) -> None:
    rows = ('{"text": "a", "more": null}', '{"text": "b", "more": 5}', '{"text": "c", "more": "d"}')
    missing, number, both = read_rows(TextFile.at(write(tmp_path / "a.jsonl", *rows)), ["text", "more"], [])
    assert missing == {"text": "a", "more": None} and both == {"text": "c", "more": "d"}
    assert isinstance(number, BadRow) and number.error.endswith("line 2: 'more' holds 5, which is no text.")


@pytest.mark.parametrize("depth", [300, 480, 900, 100_000])
def test_rows_however_deep(depth: int, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", f'{{"text": "deep", "x": {"[" * depth}{"]" * depth}}}', '{"text": "fine"}')
    (first, second), without = read(file), tmp_path / "b.jsonl"
    write(without, '{"text": "fine"}', file.read_text().partition("\n")[0].replace("text", "id"))
    assert "b.jsonl, line 2 " in read(without)[1]
    assert second == "fine" and (first == "deep" or "line 1" in first)


def test_long_rows_of_parquet_are_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_SIZE", 10_000)
    sizes: list[int] = []
    iter_batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda self, batch_size, columns: sizes.append(batch_size) or iter_batches(self, batch_size, columns=columns),
    )
    texts = [f"{number}" * 1000 for number in range(1, 10)] * 7
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", use_dictionary=False)
    assert [row["text"] for row in read_rows(TextFile.at(tmp_path / "a.parquet"), ["text"], [])] == texts
    assert sizes == [9]
    parquet.write_rows(tmp_path / "b.parquet", ({"text": text, "prediction": "x"} for text in texts), {})
    answers = [{"prediction": "x"}] * len(texts)
    added = {"prediction": pa.string()}
    assert parquet.append_columns(tmp_path / "a.parquet", tmp_path / "c.parquet", added, answers, None)
    for file in ("b.parquet", "c.parquet"):
        written = pq.ParquetFile(tmp_path / file)
        assert written.read()["text"].to_pylist() == texts and written.metadata.num_row_groups == 7


def test_a_journal_that_was_killed_at_once_is_of_no_other_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output, state = tmp_path / "out.csv", {"model": "one"}
    for begun in (b"", json.dumps(state).encode()[:5]):
        beside(output, "answers").write_bytes(begun)
        with Journal(output, state, errors=False) as journal:
            journal.add({"prediction": "x"})
            assert beside(output, "answers").read_bytes().endswith(b"}\n")
    assert not caplog.records
    with Journal(output, {"model": "two"}, errors=False):
        assert "is of another input, model or command" in caplog.text
