"""Parquet files in and out: what is the user's stays as it is, and what can't be read or written is said."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import write_jsonl

from glove_bilstm.inference import parquet
from glove_bilstm.inference.jobs import Job, run_job
from glove_bilstm.inference.reading import BadRow, TextFile, read_rows
from glove_bilstm.vectors.errors import InputError

NO_UTF8 = pa.Array.from_buffers(
    pa.string(),
    3,
    [None, pa.py_buffer(np.array([0, 10, 12, 14], "int32").tobytes()), pa.py_buffer(b"good\xff filmokno")],
)
LATE = pa.array([10**7, 2, None], pa.date32())


def classify(texts: Iterable[Any], batch_size: int) -> Iterator[dict[str, Any]]:
    for text in texts:
        yield {"label": f"<{text}>", "score": 0.5}


def predict(source: Path, target: Path, on_error: Any = "skip", rows: tuple[int, int] | None = None) -> Path:
    job = Job(TextFile.at(source), TextFile.at(target), ["text"], None, on_error, {"model": "one"}, rows)
    run_job(job, classify, lambda items, **_: items)
    return target


def lines_of(file: Path) -> list[dict[str, Any]]:
    def refuse(value: str) -> None:
        raise AssertionError(f"{value} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in file.read_text().splitlines()]


@pytest.fixture
def table() -> pa.Table:
    """23 rows of what Python objects don't hold: an order of categories, nanoseconds, metadata, dates after 9999."""
    count = 23
    kinds = pd.Categorical(["x", "y", "x"] * count, categories=["z", "y", "x"], ordered=True)[:count]
    frame = pd.DataFrame(
        {"kind": kinds, "text": [f"t{row}" for row in range(count)]}, index=[row * row for row in range(count)]
    )
    made = pa.Table.from_pandas(frame)
    times = pa.array([86_399_999_999_999 - row for row in range(count)], pa.time64("ns"))
    made = made.append_column(pa.field("time", times.type, metadata={"unit": "since midnight"}), times)
    made = made.append_column("date", pa.array([10**7] * count, pa.date32()))
    made = made.append_column("bytes", pa.array([b"\xff\x00"] * count))
    made = made.append_column("text.more", pa.chunked_array([NO_UTF8.take(pa.array([0] * count))]))
    return made.replace_schema_metadata({**made.schema.metadata, "mine": "stays"})


class TestFromParquetToParquet:
    @pytest.mark.parametrize("rows", [None, (0, 4), (9, 17), (20, 23)])
    def test_columns_stay_as_they_are(
        self, rows: tuple[int, int] | None, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet, "GROUP_ROWS", 3)
        pq.write_table(table, tmp_path / "in.parquet", row_group_size=8)
        written = pq.read_table(predict(tmp_path / "in.parquet", tmp_path / "out.parquet", "stop", rows))
        ours = pq.read_table(tmp_path / "in.parquet")
        ours = ours if rows is None else ours.slice(rows[0], rows[1] - rows[0])
        assert written.select(table.column_names).equals(ours) and ours["time"][0].value % 1000
        kept = written.select(table.column_names).schema
        assert kept.equals(pq.read_schema(tmp_path / "in.parquet"), check_metadata=True)
        assert kept.metadata[b"mine"] == b"stays" and kept.field("time").metadata[b"unit"] == b"since midnight"
        assert written.column_names == [*table.column_names, "prediction", "score"]
        assert written["prediction"].to_pylist() == [f"<{text}>" for text in ours["text"].to_pylist()]
        frame = pd.read_parquet(tmp_path / "out.parquet", columns=["kind", "prediction"])
        assert list(frame.kind.cat.categories) == ["z", "y", "x"] and frame.kind.cat.ordered
        assert list(frame.index) == [row * row for row in range(*(rows or (0, 23)))]

    def test_bad_rows(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": NO_UTF8, "date": LATE}), tmp_path / "in.parquet")
        with pytest.raises(InputError, match=r"in\.parquet, row 1 can't be read in column 'text' \('utf-8' codec"):
            predict(tmp_path / "in.parquet", tmp_path / "out.parquet", "stop")
        written = pq.read_table(predict(tmp_path / "in.parquet", tmp_path / "out.parquet"))
        assert written["prediction"].to_pylist() == [None, "<ok>", "<no>"]
        assert "row 1 can't be read in column 'text'" in written["error"][0].as_py()
        assert written["error"].to_pylist()[1:] == [None, None] and written["date"].combine_chunks().equals(LATE)
        assert written["text"][0].as_buffer().to_pybytes() == b"good\xff film"

    def test_only_texts_are_read_before(self, table: pa.Table, tmp_path: Path) -> None:
        pq.write_table(table.append_column("score", table["date"]), tmp_path / "in.parquet")
        with pytest.raises(InputError, match="has a column 'score', which the output adds"):
            predict(tmp_path / "in.parquet", tmp_path / "out.parquet")
        pq.write_table(table.drop_columns(["text"]), tmp_path / "in.parquet")
        with pytest.raises(
            InputError, match=r"no column 'text'; it has: kind, __index_level_0__, time, date, bytes, "
        ):
            predict(tmp_path / "in.parquet", tmp_path / "out.parquet")
        pq.write_table(table, tmp_path / "in.parquet")
        source = TextFile.at(tmp_path / "in.parquet")
        assert next(iter(read_rows(source, ["text", "text"], [], texts_alone=True))) == {"text": "t0"}

    @pytest.mark.parametrize("answers", [0, 6, 8])
    def test_answers_of_another_number(self, answers: int, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": list("abcdefg")}), tmp_path / "in.parquet")
        for rows in (None, (0, 7)):
            several = [{"prediction": "x"}] * answers
            added = {"prediction": pa.string()}
            assert not parquet.append_columns(tmp_path / "in.parquet", tmp_path / "out", added, several, rows)

    def test_a_file_that_is_damaged(self, tmp_path: Path) -> None:
        numbers = pa.array(range(999))
        pq.write_table(pa.table({"n": numbers, "text": ["x"] * 999}), tmp_path / "in.parquet", compression="NONE")
        content = bytearray((tmp_path / "in.parquet").read_bytes())
        content[4:60] = b"\xff" * 56  # the first page of "n"
        (tmp_path / "in.parquet").write_bytes(content)
        for ending in ("parquet", "jsonl"):
            with pytest.raises(InputError, match=r"in\.parquet can't be read as parquet: "):
                predict(tmp_path / "in.parquet", tmp_path / f"out.{ending}")
            assert not (tmp_path / f"out.{ending}").exists()


class TestToText:
    @pytest.mark.parametrize(("name", "column"), [("s", NO_UTF8), ("d", LATE)])
    @pytest.mark.parametrize("ending", ["jsonl", "csv"])
    def test_values_that_python_has_not(self, name: str, column: pa.Array, ending: str, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": list("abc"), name: column, "n": [1, 2, 3]}), tmp_path / "in.parquet")
        told = rf"in\.parquet, row 1 can't be read in column '{name}' \(.+\)\."
        with pytest.raises(InputError, match=f"{told} To go on, pass it through with --on_error skip"):
            predict(tmp_path / "in.parquet", tmp_path / f"out.{ending}", "stop")
        predict(tmp_path / "in.parquet", tmp_path / f"out.{ending}")
        rows = list(read_rows(TextFile.at(tmp_path / f"out.{ending}"), ["text"], []))
        assert not any(isinstance(row, BadRow) for row in rows)
        assert [(row["text"], int(row["n"]), row["prediction"] or None) for row in rows] == [
            ("a", 1, None),
            ("b", 2, "<b>"),
            ("c", 3, "<c>"),
        ]
        assert list(rows[0]) == ["text", name, "n", "prediction", "score", "error"] and not rows[0][name]
        assert [bool(row["error"]) for row in rows] == [True, False, False]

    def test_what_json_has_not(self, tmp_path: Path) -> None:
        numbers = pa.array([float("nan"), float("-inf"), 2.5])
        nested = pa.array([{"a": [float("inf")]}, {"a": [1.5]}, None])
        columns = {"text": list("abc"), "n": numbers, "m": nested, "b": [b"\xff\x00", b"", None]}
        pq.write_table(pa.table(columns), tmp_path / "in.parquet")
        rows = lines_of(predict(tmp_path / "in.parquet", tmp_path / "out.jsonl"))
        assert [row["n"] for row in rows] == [None, None, 2.5]
        assert [row["m"] for row in rows] == [{"a": [None]}, {"a": [1.5]}, None]
        assert [row["b"] for row in rows] == ["/wA=", "", None]
        predict(tmp_path / "in.parquet", tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith('a,nan,"{""a"": [null]}",/wA=,')


class TestToParquet:
    @pytest.mark.parametrize("group", [1, 2, 100])
    def test_types_are_those_of_all_rows(self, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet, "GROUP_ROWS", group)
        rows = [
            {"text": "a", "late": None, "n": 1, "o": {"k": 1}, "l": [], "e": {}},
            {"text": "b", "late": None, "n": None, "o": {"k": None, "j": "x"}, "l": [{}], "e": None},
            {"o": {"j": None}, "text": "c", "late": "here", "n": 2.5, "l": [{"i": 1.5}], "e": {"z": True}},
        ]
        source = write_jsonl(tmp_path / "in.jsonl", rows)
        types = {
            "text": pa.string(),
            "late": pa.string(),
            "n": pa.float64(),
            "o": pa.struct({"k": pa.int64(), "j": pa.string()}),
            "l": pa.list_(pa.field("element", pa.struct({"i": pa.float64()}))),
            "e": pa.struct({"z": pa.bool_()}),
            "prediction": pa.string(),
            "score": pa.float64(),
            "error": pa.string(),
        }
        whole = pq.read_table(predict(source, tmp_path / "out.parquet"))
        assert dict(zip(whole.column_names, whole.schema.types, strict=True)) == types
        assert whole["o"].to_pylist() == [{"k": 1, "j": None}, {"k": None, "j": "x"}, {"k": None, "j": None}]
        assert whole["n"].to_pylist() == [1, None, 2.5] and whole["e"].to_pylist()[0] == {"z": None}
        for part in range(3):  # of several processes each has the same types
            file = predict(source, tmp_path / f"out-{part}.parquet", rows=(part, part + 1))
            assert pq.read_table(file).equals(whole.slice(part, 1))

    def test_bad_rows_have_types_where_they_are_written(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "n": 1}, {"text": 5, "n": "x"}])
        with pytest.raises(InputError, match="line 2: 'text' holds 5"):
            predict(source, tmp_path / "out.parquet", "stop")
        with pytest.raises(InputError, match="Column 'n' fits none of a parquet file"):
            predict(source, tmp_path / "out.parquet")
        source.write_text(source.read_text().replace('"x"', "2.5"))
        assert pq.read_table(predict(source, tmp_path / "out.parquet"))["text"].to_pylist() == ["a", "5"]

    @pytest.mark.parametrize("value", ["x", 2**70, [{}], [[]], "\ud800"])
    def test_what_parquet_cannot_hold_is_found_before_anything_is_predicted(self, value: Any, tmp_path: Path) -> None:
        if value == [[]]:
            for _ in range(150):
                value = [value]
        asked: list[str] = []
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "n": 1}] * (value == "x"))
        with source.open("a") as file:
            file.write(json.dumps({"text": "b", "n": value}) + "\n")
        job = Job(TextFile.at(source), TextFile.at(tmp_path / "out.parquet"), ["text"], None, "stop", {})
        with pytest.raises(
            InputError, match="line 1 isn't all" if value == "\ud800" else "Column 'n' .* Write .jsonl"
        ):
            run_job(job, lambda texts, _: map(asked.append, texts), lambda items, **_: items)  # type: ignore[arg-type]
        assert not asked and [file.name for file in tmp_path.iterdir()] == ["in.jsonl"]

    def test_from_a_pipe_the_first_rows_tell(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
        target = TextFile.at(tmp_path / "out.parquet")

        def piped(*rows: dict[str, Any]) -> list[Any]:
            (tmp_path / "given").write_text("".join(json.dumps({"text": "a", **row}) + "\n" for row in rows))
            with (tmp_path / "given").open() as given, monkeypatch.context() as patch:
                patch.setattr(sys, "stdin", given)
                run_job(
                    Job(TextFile(None, "jsonl"), target, ["text"], None, "skip", {}),
                    classify,
                    lambda items, **_: items,
                )
            return pq.read_table(tmp_path / "out.parquet")["n"].to_pylist()

        one, half = {"k": 1, "j": 2.5}, {"n": {"k": 2}}
        assert piped({"n": 1}, {"n": 2.5}, {"n": 3}, {"n": None}) == [1, 2.5, 3, None]
        assert piped({"n": one}, {"n": None}, half) == [one, None, {"k": 2, "j": None}]
        for rows in ([{"n": None}] * 2 + [{"n": "x"}], [half] * 2 + [{"n": one}], [{"n": 1}] * 2 + [{"n": 2.5}]):
            with pytest.raises(InputError, match="Column 'n' is of another type in later rows .* Write .jsonl"):
                piped(*rows)
        with pytest.raises(InputError, match="Column 'n' fits none of a parquet file"):
            piped({"n": {}})


def test_jobs_between_parquet_files_alone_copy(tmp_path: Path) -> None:
    one = Job(TextFile.at(tmp_path / "a.parquet"), TextFile.at(tmp_path / "b.parquet"), ["text"], None, "stop", {})
    other = TextFile.at(tmp_path / "b.csv")
    assert [replace(one, **change).copies for change in ({}, {"source": other}, {"target": other})] == [
        True,
        False,
        False,
    ]
