"""The accuracy benchmark, on data sets made up here; what it measures then means nothing."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers import TINY, write_jsonl

EMOTIONS = ["joy", "anger", "fear"]


@pytest.fixture
def accuracy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark's script as a module, with two small data sets and flags that take a second."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    import accuracy

    data_sets = {
        "reviews": accuracy.DataSet(vectors="tiny.7d.txt"),
        "emotions": accuracy.DataSet(metric="f1", vectors="tiny.7d.txt"),
    }
    monkeypatch.setattr(accuracy, "DATA_SETS", data_sets)
    flags = {"random": ("--embedding_strategy", "finetune"), "frozen": ("--embedding_strategy", "frozen")}
    monkeypatch.setattr(accuracy, "PACKAGE", {name: (*strategy, *TINY) for name, strategy in flags.items()})
    monkeypatch.setattr(accuracy, "SMALL", 40)
    monkeypatch.setattr(accuracy, "commit", lambda: "0123456789abcdef0123456789abcdef01234567")
    return accuracy


@pytest.fixture
def data(tmp_path: Path, make_rows: Callable[[int, int], list[dict[str, str]]], vectors_file: Path) -> Path:
    """A folder of data sets: "reviews" without a validation split, "emotions" with several labels; and vectors."""
    folder = tmp_path / "data"
    for seed, (split, count) in enumerate({"train": 97, "test": 29}.items()):
        write_jsonl(folder / "reviews" / f"{split}.jsonl", make_rows(count, seed))
    choose = random.Random(0)
    for split, count in {"train": 97, "validation": 31, "test": 29}.items():
        rows = []
        for _ in range(count):
            labels = choose.sample(EMOTIONS, choose.choice([1, 1, 2]))
            rows.append({"text": " ".join([*labels, "the", "film"]), "label": labels})
        write_jsonl(folder / "emotions" / f"{split}.jsonl", rows)
    (folder / "vectors").mkdir()
    (folder / "vectors" / "tiny.7d.txt").write_bytes(vectors_file.read_bytes())
    return folder


@pytest.fixture
def bench(accuracy: ModuleType, data: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Runs the benchmark with these options, and gives the results so far."""

    def run(*options: str, status: int = 0) -> list[dict[str, Any]]:
        where = ["--data", str(data), "--work", str(tmp_path / "work"), "--results", str(tmp_path / "a.jsonl")]
        assert accuracy.main([*where, *options]) == status
        return accuracy.read(tmp_path / "a.jsonl")

    return run


def result(row: str, seed: int, test: float, **more: Any) -> dict[str, Any]:
    """A line of results, made up."""
    figures = {"accuracy": test, "f1": test, "micro_f1": test / 2}
    return {
        "row": row, "seed": seed, "validation": {**figures, "accuracy": test + 0.01}, "test": figures,
        "seconds": 240.0, "megabytes": 19.04, "vectors": "tiny.7d.txt", "coverage": 0.98, "commit": "a" * 40,
        "threads": 1, **more,
    }  # fmt: skip


def test_baselines_of_one_label(bench: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    for row in ("majority", "tfidf", "mean"):
        results = bench("--row", f"reviews/{row}")
    majority, tfidf, mean = results
    # 97 rows alternate, "pos" first, so a tenth of either class is five of 49 and five of 48.
    assert majority["test"]["accuracy"] == 15 / 29 and majority["validation"]["accuracy"] == 0.5
    assert tfidf["test"]["accuracy"] > 0.8 and mean["test"]["accuracy"] > 0.8
    assert mean["vectors"] == "tiny.7d.txt" and mean["coverage"] == 1.0 and tfidf["vectors"] is None
    # The embedding matrix counts: the 21 words and two special tokens, 7 dimensions of four bytes.
    assert mean["megabytes"] > 23 * 7 * 4 / 1e6
    assert mean["command"] == "python benchmarks/accuracy.py --row reviews/mean --seed 0"
    assert {"C", "class_weight"} == set(mean["chosen"])
    assert "| TF-IDF + logistic regression |" in (tmp_path / "a.md").read_text()


def test_baselines_of_several_labels(bench: Callable[..., list[dict[str, Any]]]) -> None:
    majority, tfidf = (bench("--row", f"emotions/{row}")[-1]["test"] for row in ("majority", "tfidf"))
    assert tfidf == {"accuracy": 1.0, "f1": 1.0, "micro_f1": 1.0}  # the labels stand in the texts
    assert 0 < majority["f1"] < majority["micro_f1"] < 1


def test_rows_share_their_splits(accuracy: ModuleType, data: Path, tmp_path: Path) -> None:
    runs = [accuracy.Run("reviews", method, False, seed) for method, seed in (("tfidf", 0), ("frozen", 2))]
    folders = {accuracy.prepare(run, data, tmp_path) for run in runs}
    splits = accuracy.load_splits(folders.pop())
    assert not folders
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 87, "validation": 10, "test": 29}
    assert accuracy.prepare(accuracy.Run("emotions", "tfidf", False, 0), data, tmp_path) == data / "emotions"


def test_few_texts_are_drawn_by_class_and_by_seed(accuracy: ModuleType, data: Path, tmp_path: Path) -> None:
    drawn = [
        accuracy.load_splits(accuracy.prepare(accuracy.Run("reviews", "tfidf", True, seed), data, tmp_path))
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0]["validation"] == drawn[2]["validation"] and len(drawn[0]["test"]) == 29
    assert Counter(row["label"] for row in drawn[0]["train"]) == {"neg": 20, "pos": 20}


def test_a_rare_label_is_drawn_too(accuracy: ModuleType) -> None:
    rows = [{"text": f"{number}", "label": ["common"]} for number in range(190)]
    rows += [{"text": f"rare {number}", "label": ["common", "rare"]} for number in range(10)]
    for seed in range(13):
        assert sum("rare" in row["label"] for row in accuracy.draw(rows, 40, seed)) == 2


@pytest.mark.slow
def test_rows_of_the_package(
    bench: Callable[..., list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bench("--row", "reviews/frozen")
    frozen, chance = bench("--row", "reviews/random/40", "--seed", "2")
    work = tmp_path / "work"
    assert frozen["command"] == (
        f"glove-bilstm train --dataset {work}/reviews --vectors {tmp_path}/data/vectors/tiny.7d.txt --output_dir "
        f"{work}/reviews-frozen-seed0 --embedding_strategy frozen {' '.join(TINY)} --seed 0"
    )
    assert f"--dataset {work}/reviews-40-seed2 --vectors {work}/random-tiny.7d.safetensors" in chance["command"]
    assert frozen["epochs"] == 2 and frozen["steps"] == 6  # 87 texts in batches of 32
    assert frozen["coverage"] == 1.0 and chance["coverage"] == 1.0  # the random vectors are of the same words
    assert set(frozen["test"]) == {"accuracy", "f1"} and frozen["seconds"] > 0 and frozen["megabytes"] > 0
    assert not any(work.glob("*seed0")) and {file.name for file in work.glob("reviews*")} == {
        "reviews",
        "reviews-40-seed2",
    }
    # Done already: nothing is run again.
    monkeypatch.setattr("subprocess.run", None)
    capfd.readouterr()
    assert bench("--row", "reviews/frozen") == [frozen, chance]
    known = f"reviews/frozen, seed 0: accuracy validation {frozen['validation']['accuracy']:.4f}, test "
    assert capfd.readouterr().out.startswith(known)


def test_random_vectors_are_as_wide_as_the_real_ones(accuracy: ModuleType, data: Path, tmp_path: Path) -> None:
    from glove_bilstm import load_vectors

    real = load_vectors(data / "vectors" / "tiny.7d.txt")
    drawn = load_vectors(accuracy.random_vectors(data / "vectors" / "tiny.7d.txt", tmp_path))
    assert drawn.words == real.words and drawn.matrix.shape == real.matrix.shape
    assert drawn.matrix.std() == pytest.approx(real.matrix.std(), rel=0.2)
    assert abs(np.corrcoef(drawn.matrix.ravel(), real.matrix.ravel())[0, 1]) < 0.3


def test_only_what_is_missing_is_run(
    accuracy: ModuleType, bench: Callable[..., list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def measure(run: Any, options: Any) -> None:
        if len(done) == 5:
            raise EOFError
        done.append(f"{run.row} {run.seed}")
        accuracy.append(options.results, result(run.row, run.seed, 0.5))

    monkeypatch.setattr(accuracy, "measure", measure)
    with pytest.raises(EOFError):
        bench("--seeds", "2")
    assert done == [f"reviews/{method}/40 0" for method in ("majority", "tfidf", "mean", "random", "frozen")]
    done.clear()
    bench("--datasets", "reviews", "--seeds", "1")
    assert done == [f"reviews/{method} 0" for method in ("majority", "tfidf", "mean", "random", "frozen")]
    monkeypatch.setattr(accuracy, "measure", lambda run, options: done.append(f"{run.row} {run.seed}"))
    done.clear()
    bench("--datasets", "reviews", "--seeds", "2")
    # The baselines on all texts know no chance, so one seed of them is enough.
    few = [f"reviews/{method}/40 1" for method in ("majority", "tfidf", "mean", "random", "frozen")]
    assert done == [*few, "reviews/random 1", "reviews/frozen 1"]


def test_a_failed_command_is_told_and_the_rest_goes_on(
    accuracy: ModuleType, bench: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import subprocess

    def measure(run: Any, options: Any) -> None:
        if run.method == "frozen":
            raise subprocess.CalledProcessError(1, "glove-bilstm")
        accuracy.append(options.results, result(run.row, run.seed, 0.5))

    monkeypatch.setattr(accuracy, "measure", measure)
    results = bench("--datasets", "reviews", "--seeds", "1", status=1)
    assert len(results) == 8
    assert capsys.readouterr().err == (
        "reviews/frozen/40, seed 0: the command failed\nreviews/frozen, seed 0: the command failed\n"
    )


@pytest.mark.parametrize("row", ["reviews", "reviews/frozen/99", "novels/frozen", "reviews/best", "reviews/mean/40/2"])
def test_rows_that_do_not_exist(
    row: str, bench: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench("--row", row)
    assert f"there is no row {row}; a row is one of reviews, emotions, a slash, one of" in capsys.readouterr().err


def test_the_table(accuracy: ModuleType, bench: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    lines = [
        result("reviews/majority", 0, 0.5, vectors=None, coverage=None, megabytes=0.0, seconds=0.0),
        *(result("reviews/frozen", seed, test) for seed, test in enumerate([0.8, 0.83, 0.86])),
        *(result("reviews/frozen/40", seed, test) for seed, test in enumerate([0.6, 0.7])),
        result("emotions/tuned/40", 0, 0.5, commit="b" * 40 + "-changed"),
    ]
    write_jsonl(tmp_path / "a.jsonl", lines)
    bench("--table")
    page = (tmp_path / "a.md").read_text()
    assert "| the most frequent label | 50.0 | 51.0 | 1 | 0 s | 0.0 MB |  |  |  |\n" in page
    assert (
        "| BiLSTM, frozen | 83.0 ± 3.0 | 84.0 ± 3.0 | 3 | 4 min | 19.0 MB | 65.0 ± 7.1 | 66.0 ± 7.1 | 2 of 3 |\n"
    ) in page
    assert "| BiLSTM, `--recipe tuned` |  |  |  |  |  | 50.0, 25.0 | 50.0 | 1 of 3 |\n" in page
    assert "Vectors: tiny.7d.txt (98.0% of the test split's tokens have a vector). Measured at aaaaaaa;" in page
    assert "Measured at bbbbbbb-changed;" in page
    assert page.index("## reviews") < page.index("## emotions") < page.index("## Published figures")
    assert "BiLSTM, two stages" not in page


def test_the_committed_table_is_that_of_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parent.parent / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    import accuracy

    metrics = {name: dataset.metric for name, dataset in accuracy.DATA_SETS.items()}
    page = accuracy.table(accuracy.read(folder / "accuracy.jsonl"), metrics, accuracy.SMALL, accuracy.SEEDS)
    assert (folder / "accuracy.md").read_text(encoding="utf-8") == page


def test_lines_of_two_processes_do_not_mix(accuracy: ModuleType, tmp_path: Path) -> None:
    import multiprocessing

    file = tmp_path / "a.jsonl"
    writers = [
        multiprocessing.get_context("fork").Process(target=append_many, args=(accuracy.append, file, number))
        for number in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [json.loads(line) for line in file.read_text().split("\n")[:-1]]
    assert Counter(line["number"] for line in lines) == {0: 97, 1: 97}


def append_many(append: Callable[[Path, dict[str, Any]], None], file: Path, number: int) -> None:
    for _ in range(97):
        append(file, {"number": number, "filler": "x" * 5_000})
