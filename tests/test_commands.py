"""The commands, as a user types them."""

import gzip
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from helpers import TINY, run
from helpers import write_jsonl as write

from glove_bilstm.scripts.main import VERBS, main
from glove_bilstm.scripts.shared import command

ROOT = Path(__file__).parent.parent


def twice() -> bytes:
    """A parquet file with two columns of one name."""
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), buffer)
    return buffer.getvalue().to_pybytes()


class TestHelp:
    @pytest.mark.parametrize("verb", VERBS)
    def test_every_verb_explains_itself(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stop:
            main([verb, "--help"])
        assert stop.value.code == 0
        assert f"usage: glove-bilstm {verb}" in capsys.readouterr().out

    def test_help_loads_nothing_heavy(self) -> None:
        code = (
            "import sys; from glove_bilstm.scripts.main import main, VERBS\n"
            "main(['--help'])\n"
            "for verb in VERBS:\n"
            "    try: main([verb, '--help'])\n"
            "    except SystemExit: pass\n"
            "assert not {'torch', 'transformers', 'numpy', 'datasets'} & set(sys.modules)"
        )
        done = run(sys.executable, "-W", "error", "-c", code)
        assert done.returncode == 0, done.stderr
        assert all(verb in done.stdout for verb in VERBS)

    def test_unknown_verb(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["tarin"]) == 2
        assert "There is no verb 'tarin'" in capsys.readouterr().err

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.strip() == "0.1.0"

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_script_is_the_same_as_its_verb(self, verb: str) -> None:
        done = run(sys.executable, ROOT / "scripts" / f"{VERBS[verb][0]}.py", "--help")
        assert done.returncode == 0 and f"usage: glove-bilstm {verb}" in done.stdout


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (ValueError("no such word"), "no such word"),
            (OSError(28, "No space left"), "[Errno 28] No space left"),
            (KeyError("word"), "KeyError: 'word' (--debug shows where)"),
        ],
    )
    def test_one_that_nobody_foresaw_says_of_what_kind_it_is(
        self, error: Exception, told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(arguments: list[str]) -> None:
            raise error

        assert command(fail)([]) == 1
        assert capsys.readouterr().err == f"glove-bilstm: {told}\n"

    def test_of_several_processes_one_tells(self, monkeypatch: pytest.MonkeyPatch) -> None:
        levels = []
        for rank in ("1", "0"):
            monkeypatch.setenv("RANK", rank)
            command(lambda arguments: levels.append(logging.getLogger("glove_bilstm").level))([])
        assert levels == [logging.ERROR, logging.INFO]


class TestEvaluate:
    def test_prints_a_table_and_writes_json(
        self, model: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "figures.json"
        assert (
            main(["evaluate", "--model", str(model), "--dataset", str(dataset_folder), "--output", str(output)]) == 0
        )
        expected = json.loads((model / "all_results.json").read_text())
        figures = json.loads(output.read_text())
        assert figures["test_accuracy"] == pytest.approx(expected["test_accuracy"])
        out = capsys.readouterr().out
        assert "29 texts of split 'test'" in out and f"{figures['test_f1']:.4f}" in out and "test: pos" in out

    def test_another_split_and_a_file(self, model: Path, dataset_folder: Path, capsys: pytest.CaptureFixture) -> None:
        assert (
            main(["evaluate", "--model", str(model), "--dataset", str(dataset_folder), "--split", "validation"]) == 0
        )
        assert main(["evaluate", "--model", str(model), "--dataset", str(dataset_folder / "test.jsonl")]) == 0
        out = capsys.readouterr().out
        assert "31 texts of split 'validation'" in out and "29 texts of test.jsonl" in out and "train" not in out

    def test_a_label_the_model_does_not_know(self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        file = write(tmp_path / "test.jsonl", [{"text": "good", "label": "pos"}, {"text": "so", "label": "meh"}])
        assert main(["evaluate", "--model", str(model), "--dataset", str(file)]) == 1
        error = capsys.readouterr().err
        assert "test.jsonl, row 2: the model doesn't know the label 'meh'; it knows: neg, pos" in error

    def test_an_empty_text_has_a_prediction(self, model: Path, tmp_path: Path) -> None:
        file = write(tmp_path / "test.jsonl", [{"text": "", "label": "pos"}, {"text": "good", "label": "pos"}])
        assert main(["evaluate", "--model", str(model), "--dataset", str(file)]) == 0


class TestPredict:
    def test_texts_as_arguments(self, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["predict", "--model", str(model), "a superb film", "", "dull, weak and awful"]) == 0
        header, _, *rows = capsys.readouterr().out.splitlines()
        assert header.split() == ["text", "label", "score"]
        assert [row.split()[-2] for row in rows][::2] == ["pos", "neg"]

    @pytest.mark.parametrize("ending", ["txt", "csv", "jsonl", "parquet"])
    def test_files(self, model: Path, tmp_path: Path, ending: str) -> None:
        texts = ["a superb film", "", "x\u2028y\u0085 awful", 'with "quotes", commas', "naïve good 😀"] * 30
        source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
        if ending == "txt":
            source.write_text("\n".join(texts), encoding="utf-8")
        elif ending == "csv":
            pyarrow.csv.write_csv(pa.table({"id": range(len(texts)), "text": texts}), source)
        elif ending == "jsonl":
            write(source, [{"id": number, "text": text} for number, text in enumerate(texts)])
        else:
            pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), source)
        arguments = ["--model", str(model), "--input", str(source), "--output", str(target), "--batch_size", "7"]
        assert main(["predict", *arguments]) == 0
        if ending == "txt":
            predictions = target.read_text().splitlines()
        else:
            from datasets import load_dataset

            builder = {"csv": "csv", "jsonl": "json", "parquet": "parquet"}[ending]
            rows = load_dataset(builder, data_files=str(target), split="train")
            assert rows.column_names == ["id", "text", "prediction", "score"]
            assert [text or "" for text in rows["text"]] == texts and rows["id"][:] == list(range(len(texts)))
            assert all(0.5 <= score <= 1 for score in rows["score"])
            predictions = rows["prediction"][:]
        assert len(predictions) == len(texts)
        assert predictions[0] == "pos" and predictions[2] == "neg" and predictions[:5] * 30 == predictions

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("in.csv", "name,label\na,b\n", "in.csv has no column 'text'; it has: name, label"),
            ("in.csv", 'text,n\n"open', "can't be read as csv"),
            ("in.csv", "text,n\na\n", "line 2 has 1 fields, and the header 2"),
            ("in.jsonl", '{"text": "a"}\nnonsense\n', "line 2 isn't JSON"),
            ("in.jsonl", '{"text": "a"}\n{"text": 5}\n', "line 2: 'text' holds 5, which is no text"),
            ("in.jsonl", '"a"\n', "line 1 isn't an object"),
            ("in.parquet", "text\na\n", "can't be read as parquet"),
            ("in.csv", "text,score\na,5\n", "has a column 'score', which the output adds"),
            ("in.csv", "text,text\na,b\n", "a column name occurs twice"),
            ("in.parquet", twice(), "a column name occurs twice: text, text"),
            ("in.csv", "text,n\n", "holds no rows"),
            ("in.csv", "téxt,n\na,1\n".encode("latin-1"), "the header isn't UTF-8; save the file as UTF-8"),
            ("in.csv", "text,n\na,1\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
            ("in.jsonl", gzip.compress(b'{"text": "a"}\n', mtime=0), "is compressed (gzip); unpack it first"),
            ("in.docx", "text\na\n", "ends in none of .txt, .csv, .tsv, .jsonl, .parquet"),
        ],
    )
    def test_bad_files_leave_nothing_behind(
        self,
        model: Path,
        tmp_path: Path,
        name: str,
        content: str | bytes,
        message: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (tmp_path / "out.csv").write_text("what was there")
        arguments = ["--model", str(model), "--input", str(tmp_path / name), "--output", str(tmp_path / "out.csv")]
        assert main(["predict", *arguments]) == 1
        error = capsys.readouterr().err
        assert message in error and name in error and "Traceback" not in error
        assert (tmp_path / "out.csv").read_text() == "what was there"
        # What was answered before the row is kept, for the same command to go on from.
        kept = {".out.csv.answers"} if "line 2" in message and name.endswith("jsonl") else set()
        assert {file.name for file in tmp_path.iterdir()} == {name, "out.csv", *kept}

    def test_parquet_keeps_the_types_of_its_columns(self, model: Path, tmp_path: Path) -> None:
        kinds = pa.array(["x", "y"]).dictionary_encode()
        table = pa.table({"text": ["good", "bad"], "n": pa.array([1, None], pa.int8()), "kind": kinds})
        pq.write_table(table, tmp_path / "in.parquet")
        arguments = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out.parquet")]
        assert main(["predict", "--model", str(model), *arguments]) == 0
        written = pq.read_table(tmp_path / "out.parquet")
        assert written.select(table.column_names).schema.types == table.schema.types
        assert written["n"].to_pylist() == [1, None] and written["prediction"].to_pylist() == ["pos", "neg"]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([{"text": "a", "n": n} for n in (1, 2, "2")], "Column 'n' is of another type in later rows (string)"),
            ([{"text": "a", "n": n} for n in (1, 2**63)], "Column 'n' fits none of a parquet file"),
            ([{"text": "a", "n": {}}], "Column 'n' fits none of a parquet file"),
            ([{"text": "a"}, {"text": "b", "n": 1}], "line 2 has the columns text, n, and the first row text"),
        ],
    )
    def test_a_table_refuses_rows_of_other_shapes(
        self,
        rows: list[dict],
        message: str,
        model: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("glove_bilstm.inference.parquet.GROUP_ROWS", 2)
        write(tmp_path / "in.jsonl", rows)
        arguments = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.parquet")]
        assert main(["predict", "--model", str(model), *arguments]) == 1
        told = capsys.readouterr().err
        assert message in told and "Write .jsonl instead." in told
        # That is found before anything is predicted; but at a bad row what was answered before is kept.
        assert not (tmp_path / "out.parquet").exists()
        arguments[-1] = str(tmp_path / "out.jsonl")
        assert main(["predict", "--model", str(model), *arguments]) == 0
        assert ("1 row was done before" in caplog.text) is ("line 2" in message)
        written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [{**row, "prediction": 0, "score": 0} for row in rows] == [
            {**row, "prediction": 0, "score": 0} for row in written
        ]
        assert {file.name for file in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}

    def test_missing_things(self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        here = str(tmp_path / "in.txt")
        assert main(["predict", "--model", str(model), "--input", here, "--output", str(tmp_path / "o.csv")]) == 1
        assert f"There is no file {here}" in capsys.readouterr().err
        (tmp_path / "in.txt").write_text("a")
        nowhere = str(tmp_path / "nowhere" / "o.csv")
        assert main(["predict", "--model", str(model), "--input", here, "--output", nowhere]) == 1
        assert "There is no folder" in capsys.readouterr().err
        assert main(["predict", "--model", str(model), "--input", here, "--output", f"{tmp_path}/./in.txt"]) == 1
        assert "is the file to read" in capsys.readouterr().err and (tmp_path / "in.txt").read_text() == "a"
        assert main(["predict", "--model", str(tmp_path), "a"]) == 1
        assert "holds no model: it has no config.json" in capsys.readouterr().err
        assert main(["predict", "--model", str(tmp_path / "none"), "a"]) == 1
        assert f"There is no folder {tmp_path / 'none'}, and no repository on the Hub" in capsys.readouterr().err
        assert main(["predict", "--model", "none", "a"]) == 1
        assert "There is no model to load at none" in capsys.readouterr().err
        (tmp_path / "broken").mkdir()
        for file in model.glob("*.*"):
            if file.is_file():
                end = 5000 if file.suffix == ".safetensors" else None
                (tmp_path / "broken" / file.name).write_bytes(file.read_bytes()[:end])
        assert main(["predict", "--model", str(tmp_path / "broken"), "a"]) == 1
        assert "There is no model to load at" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["evaluate", "--model", str(model), "--dataset", "demo", "--output", str(tmp_path / "no" / "x.json")])
        assert "lies in none that exists" in capsys.readouterr().err
        for arguments, told in (
            ([], "give either texts or --input"),
            (["good", "bad\udcff"], "'bad\\udcff' isn't UTF-8; save it in a file as UTF-8"),
            (["good", "--format", "csv"], "--format is that of standard input or output"),
            (["--input", here, "--output", f"{tmp_path}/o.csv", "--format", "csv"], "--format is that of standard"),
        ):
            with pytest.raises(SystemExit):
                main(["predict", "--model", str(model), *arguments])
            assert told in capsys.readouterr().err

    def test_code_of_other_models_is_not_run(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / name).write_bytes((model / name).read_bytes())
        (tmp_path / "other.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')")
        names = {name: "other.Other" for name in ("AutoConfig", "AutoModelForSequenceClassification")}
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "other", "auto_map": names}))
        (tmp_path / "model.safetensors").touch()
        assert main(["predict", "--model", str(tmp_path), "good"]) == 1
        told = capsys.readouterr()
        assert "There is no model to load at" in told.err and "[y/N]" not in told.out
        assert not (tmp_path / "was run").exists()


class TestCoverage:
    def test_table_and_json(
        self, dataset_folder: Path, vectors_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(tmp_path / "data" / "train.jsonl", [{"text": "A good good zebra"}, {"text": "zebra okapi"}])
        output = tmp_path / "c.json"
        data = str(tmp_path / "data")
        assert main(["coverage", "--dataset", data, "--vectors", str(vectors_file), "--output", str(output)]) == 0
        out = capsys.readouterr().out
        with pytest.raises(SystemExit):
            main(["coverage", "--dataset", data, "--vectors", str(vectors_file), "--missing", "-3"])
        rows = [line.split() for line in out.splitlines()]
        assert ["train", "types", "4", "50.0%", "0.0%", "0.0%", "50.0%"] in rows
        assert ["train", "tokens", "6", "50.0%", "0.0%", "0.0%", "50.0%"] in rows
        assert rows.index(["zebra", "2"]) < rows.index(["okapi", "1"])
        assert "In train: Only 50.0% of the tokens have a vector. Most likely the language or the subject" in out
        assert json.loads(output.read_text())["train"]["token_share"] == 0.5


class TestFormats:
    @pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl.gz", "string labels", "dashes"])
    def test_what_train_reads(self, form: str, tmp_path: Path, make_rows: Callable, vectors_file: Path) -> None:
        rows = make_rows(60, 1)
        flags: list[str] = []
        file = tmp_path / f"mine.{form}"
        columns = {name: [row[name] for row in rows] for name in ("text", "label")}
        if form in ("csv", "tsv"):
            mark = {"csv": ",", "tsv": "\t"}[form]
            file.write_text(
                "".join(f'"{a}"{mark}{b}\n' for a, b in [("text", "label"), *zip(*columns.values(), strict=True)])
            )
        elif form == "parquet":
            pq.write_table(pa.table({"body": columns["text"], "label": columns["label"]}), file)
            flags = ["--text_column", "body"]
        elif form == "jsonl.gz":
            file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
        else:
            file = write(tmp_path / "mine.jsonl", rows)
            flags = ["--embedding-strategy", "finetune", "--lr-scheduler-type=constant"] if form == "dashes" else []
        arguments = ["--dataset", file, "--vectors", vectors_file, "--output-dir", tmp_path / "out", *TINY, *flags]
        assert main(["train", *map(str, arguments)]) == 0
        config = json.loads((tmp_path / "out" / "config.json").read_text())
        assert config["id2label"] == {"0": "neg", "1": "pos"}
        results = json.loads((tmp_path / "out" / "all_results.json").read_text())
        assert "eval_accuracy" in results and "test_accuracy" not in results
