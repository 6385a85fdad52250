"""What can't be trained on: each is a sentence that names file, row and remedy; nothing is left behind."""

import gzip
from pathlib import Path

import pytest
from helpers import write_jsonl as write

from glove_bilstm.scripts.main import main


class TestBadTrainingInput:
    """Each is a sentence that names the file, the row and the remedy; the status isn't 0, and nothing is left."""

    GOOD = [{"text": f"good {n}", "label": n % 2} for n in range(20)]
    LISTS = [{"text": f"good {n}", "label": ["a"] * (n % 2)} for n in range(20)]
    NUMBERS = [{"text": f"good {n}", "label": n / 2} for n in range(20)]
    SINGLE = ["--problem_type", "single_label_classification"]

    @pytest.mark.parametrize(
        ("rows", "flags", "message"),
        [
            (GOOD, ["--label_column", "lable"], "has no column 'lable'; it has: text, label"),
            (GOOD, ["--text_column", "body"], "has no column 'body'; it has: text, label"),
            ([*GOOD, {"text": "", "label": 1}], [], "train.jsonl, row 21: 'text' is empty"),
            ([*GOOD, {"text": " \t", "label": 1}], [], "train.jsonl, row 21: 'text' is empty"),
            ([*GOOD, {"text": None, "label": 1}], [], "train.jsonl, row 21: 'text' is empty"),
            ([*GOOD, {"text": 5, "label": 1}], [], "train.jsonl, row 21: 'text' holds 5, a int and not a text"),
            ([*GOOD, {"text": "x", "label": None}], [], "train.jsonl, row 21: 'label' holds None"),
            ([*GOOD, {"text": "x", "label": 0.5}], SINGLE, "train.jsonl, row 21: 'label' holds 0.5"),
            (
                [{"text": "x", "label": ["a", "b"]}] * 9,
                SINGLE,
                "row 1: 'label' holds ['a', 'b'], which isn't one",
            ),
            ([*GOOD, {"text": "x", "label": ["a"]}], [], "train.jsonl, row 21: 'label' holds ['a'], which isn't one"),
            (
                [*LISTS, {"text": "x", "label": None}],
                [],
                "row 21: 'label' holds None, which isn't a list",
            ),
            ([*LISTS, {"text": "x", "label": ["a", ""]}], [], "row 21: 'label' holds ['a', ''], which isn't a list"),
            ([*LISTS, {"text": "x", "label": [["a"]]}], [], "row 21: 'label' holds [['a']], which isn't a list"),
            (GOOD, ["--problem_type", "multi_label_classification"], "row 1: 'label' holds 0, which isn't a list"),
            ([{"text": "x", "label": []}] * 20, [], "not one list in column 'label' names a label"),
            (
                [{"text": "x", "label": [0, 1]}] * 20 + [{"text": "x", "label": [1, 0, 1]}],
                [],
                "row 21: 'label' holds [1, 0, 1], which looks like a yes or no for every label",
            ),
            (
                [{"text": "x", "label": [0, 1]}, {"text": "x", "label": [1, 0]}] * 20,
                [],
                "row 1: 'label' holds [0, 1], which looks like a yes or no for every label",
            ),
            (
                [{"text": "x", "label": ["a", "b"]}, {"text": "x", "label": ["b", "a"]}] * 20,
                [],
                "every row has every label of column 'label'. There is nothing to tell apart",
            ),
            (
                [{"text": "x", "label": 1764288000.5 + number} for number in range(60)],
                [],
                "deviate from it by 17.3, which single precision, whose numbers lie 128 apart there, can't tell",
            ),
            (
                [*NUMBERS, {"text": "x", "label": None}],
                [],
                "train.jsonl, row 21: 'label' holds None, which is no",
            ),
            (
                [*NUMBERS, {"text": "x", "label": 1e39}],
                [],
                "row 21: 'label' holds 1e+39, which is no finite",
            ),
            ([*NUMBERS, {"text": "x", "label": float("nan")}], [], "row 21: 'label' holds nan, which is no finite"),
            (
                [{"text": "x", "label": 0.5}] * 20,
                [],
                "every value in column 'label' is 0.5. There is nothing",
            ),
            (
                [{"text": "x", "label": "a"}] * 20,
                ["--problem_type", "regression"],
                "row 1: 'label' holds 'a', which is no",
            ),
            (GOOD, ["--text_pair_column", "b"], "has no column 'b'; it has: text, label. Name the right one"),
            (GOOD, ["--text_pair_column", "text", "--max_length", "2"], "--max_length must be at least 3; it is 2"),
            ([{"text": f"t{n}", "label": "a"} for n in range(20)], [], "every label in column 'label' is 'a'"),
            (GOOD[:3], [], "10% of 3 training rows can't be held out"),
        ],
    )
    def test_rows(
        self,
        rows: list[dict],
        flags: list[str],
        message: str,
        tmp_path: Path,
        vectors_file: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        write(tmp_path / "data" / "train.jsonl", rows)
        out = tmp_path / "out"
        arguments = ["--dataset", tmp_path / "data", "--vectors", vectors_file, "--output_dir", out, *flags]
        assert main(["train", *map(str, arguments)]) == 1
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
        assert not out.exists()

    def test_labels_that_differ_between_splits(
        self, tmp_path: Path, vectors_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(tmp_path / "train.jsonl", self.GOOD)
        write(tmp_path / "test.jsonl", [{"text": "a", "label": 1}, {"text": "b", "label": 7}])
        arguments = ["--dataset", tmp_path, "--vectors", vectors_file, "--output_dir", tmp_path / "out"]
        assert main(["train", *map(str, arguments)]) == 1
        assert "test.jsonl, row 2: the label '7' doesn't occur in the training split" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("train.jsonl", b'{"text": "a", "label": 1}\nnonsense\n', "can't be read as a data set"),
            ("train.csv", b"", "train.csv is empty"),
            ("train.csv", b"\n", "must begin with a row of column names"),
            ("train.csv", b"text,label,text\na,b,c\n", "must begin with a row of column names, each once"),
            ("train.csv", b"text,label\n", "train.csv has no rows"),
            ("train.csv", b"text,label\na,1\nwell, really,2\n", "row 2: there are 3 fields and 2 column names"),
            ("train.csv.gz", gzip.compress(b"text,label\na,1\n" * 999, mtime=0)[:-20], "is damaged"),
            ("data.xlsx", b"PK", "ends in none of .csv, .tsv, .json, .jsonl, .parquet"),
        ],
    )
    def test_files(
        self,
        name: str,
        content: bytes,
        message: str,
        tmp_path: Path,
        vectors_file: Path,
        capsys: pytest.CaptureFixture,
    ) -> None:
        (tmp_path / name).write_bytes(content)
        arguments = ["--dataset", tmp_path / name, "--vectors", vectors_file, "--output_dir", tmp_path / "out"]
        assert main(["train", *map(str, arguments)]) == 1
        error = capsys.readouterr().err
        assert message in error and name in error

    def test_missing_files(
        self, dataset_folder: Path, vectors_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        out = str(tmp_path / "out")
        nothing = str(tmp_path / "nothing.csv")
        assert main(["train", "--dataset", nothing, "--vectors", str(vectors_file), "--output_dir", out]) == 1
        assert f"There is no file or folder {nothing}" in capsys.readouterr().err
        assert main(["train", "--dataset", str(dataset_folder), "--vectors", nothing, "--output_dir", out]) == 1
        assert f"There is no vectors file {nothing}" in capsys.readouterr().err
        under_a_file = str(vectors_file / "out")
        assert main(["train", "--vectors", str(vectors_file), "--output_dir", under_a_file]) == 1
        assert f"--output_dir {under_a_file} can't be written, because of {vectors_file}" in capsys.readouterr().err
        assert main(["train", "--dataset", "no_such_set", "--vectors", str(vectors_file), "--output_dir", out]) == 1
        assert "the Hub, where a data set of that name might be, can't be reached" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--max_steps", "1", "--learning_rate", "1e39"], "not all weights are numbers"),
            (["--batch_eval_metrics", "True"], "batch_eval_metrics and prediction_loss_only leave out"),
            (["--label_names", "targets"], "label_names must be labels"),
            (["--embedding_strategy", "two_stage", "--unfreeze_at", "9999"], "--unfreeze_at 9999 is after step 9,999"),
            (["--restore_callback_states_from_checkpoint", "True"], "would make the callbacks anew"),
        ],
    )
    def test_flags(
        self,
        flags: list[str],
        message: str,
        dataset_folder: Path,
        vectors_file: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture,
    ) -> None:
        arguments = ["--dataset", dataset_folder, "--vectors", vectors_file, "--output_dir", tmp_path / "out", *flags]
        assert main(["train", "--recipe", "classic", "--hidden_size", "6", *map(str, arguments)]) == 1
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
        assert "--max_steps" in flags or not (tmp_path / "out").exists()  # but for checkpoints, nothing is left
        assert not (tmp_path / "out" / "config.json").exists()

    def test_debug_shows_the_traceback(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="There is no file or folder"):
            main(["train", "--dataset", "./nothing", "--output_dir", str(tmp_path / "out"), "--debug"])

    def test_unknown_flag_and_bad_value(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = str(tmp_path / "out")
        assert main(["train", "--output_dir", out, "--lerning_rate", "1"]) == 1
        assert "There is no option --lerning_rate; glove-bilstm train --help" in capsys.readouterr().err
        assert main(["train", "--output_dir", out, "--hidden_size", "0"]) == 1
        assert "hidden_size must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dataset", "x.csv"], True),
        (["--dataset", "x.csv", "--vectors", "demo"], False),
        (["--dataset", "demo"], False),
    ],
)
def test_the_demos_vectors_for_other_texts(
    options: list[str], told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Without a file of that name, or with a folder that holds something, nothing is trained.
    (tmp_path / "config.json").touch()
    assert main(["train", *options, "--output_dir", str(tmp_path)]) == 1
    assert ("No --vectors: the demo's 12,000 words" in caplog.text) == told
