"""Regression, from the command that trains to those that use the model."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import write_jsonl
from tiny_tasks import (
    LONGER,
    TEXTS,
    check_layout_of_card,
    command,
    read_jsonl,
    run_example_of_card,
    words,
    write_splits,
)
from transformers import AutoConfig, pipeline

from glove_bilstm.inference.bulk import classify_texts
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.scripts.main import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make_row(choose: random.Random) -> dict[str, Any]:
        good, bad = choose.choice([(0, 0), (1, 0), (0, 1)])
        # Far from 0 and wide: without standardising, so short a training couldn't reach it.
        return {"text": words(choose, good, bad), "stars": 5000.5 + 800 * (good - bad) + choose.random()}

    return write_splits(tmp_path_factory.mktemp("regression"), make_row)


@pytest.fixture(scope="module")
def trained(data: Path, vectors_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "regression"
    flags = ["--label_column", "stars", *LONGER]
    command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", folder, *flags)
    return folder


class TestRegression:
    def test_learns_in_the_units_of_the_target(self, trained: Path, data: Path) -> None:
        config = AutoConfig.from_pretrained(trained)
        assert config.problem_type == "regression" and config.num_labels == 1 and config.id2label == {0: "stars"}
        targets = np.array([row["stars"] for row in read_jsonl(data / "train.jsonl")])
        assert config.target_mean == float(targets.mean()) and config.target_std == float(targets.std())
        results = json.loads((trained / "all_results.json").read_text())
        assert results["test_r2"] > 0.8 and results["test_mae"] < 300 and results["test_pearson"] > 0.9
        assert results["test_loss"] == pytest.approx(results["test_mse"] / config.target_std**2, rel=1e-3)
        state = json.loads(next(trained.glob("checkpoint-*/trainer_state.json")).read_text())
        assert results["eval_r2"] == pytest.approx(state["best_metric"])

    def test_evaluate(self, trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        flags = ["--label_column", "stars", "--output", tmp_path / "figures.json"]
        command("evaluate", "--model", trained, "--dataset", data, *flags)
        figures = json.loads((tmp_path / "figures.json").read_text())
        expected = json.loads((trained / "all_results.json").read_text())
        assert set(figures) == {f"test_{name}" for name in ("mse", "mae", "r2", "pearson", "spearman")}
        for name, value in figures.items():
            assert value == pytest.approx(expected[name], rel=1e-4), name
        out = capsys.readouterr().out
        assert "R²" in out and "class" not in out and f"{figures['test_mae']:.6g}" in out
        assert main(["evaluate", "--model", str(trained), "--dataset", str(data), "--label_column", "text"]) == 1
        assert "which is no finite number" in capsys.readouterr().err

    def test_agrees_with_the_pipeline(self, trained: Path) -> None:
        model, tokenizer = load_classifier(str(trained))
        answers = list(classify_texts(model, tokenizer, TEXTS))
        assert [one["label"] for one in answers] == ["stars"] * len(TEXTS)
        assert answers[0]["score"] > 5300 and answers[2]["score"] < 4700
        for ours, theirs in zip(answers, pipeline("text-classification", model=str(trained))(TEXTS), strict=True):
            assert theirs["label"] == "stars" and theirs["score"] == pytest.approx(ours["score"], rel=1e-6)

    def test_predict_texts(self, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command("predict", "--model", trained, *TEXTS[:2])
        head, _, *rows = capsys.readouterr().out.splitlines()
        assert head.split() == ["text", "prediction"]
        model, tokenizer = load_classifier(str(trained))
        expected = [answer["score"] for answer in classify_texts(model, tokenizer, TEXTS[:2])]
        assert [float(row.split()[-1]) for row in rows] == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("ending", ["txt", "csv", "jsonl", "parquet"])
    def test_predict_files(self, ending: str, trained: Path, tmp_path: Path) -> None:
        """The number alone: a column called score, which regression data often have, may stay."""
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": text, "score": 1} for text in TEXTS])
        target = tmp_path / f"out.{ending}"
        command("predict", "--model", trained, "--input", source, "--output", target)
        if ending == "txt":
            values = [float(line) for line in target.read_text().splitlines()]
        else:
            rows: list[dict[str, Any]]
            if ending == "csv":
                with target.open(newline="") as file:
                    rows = list(csv.DictReader(file))
            else:
                rows = read_jsonl(target) if ending == "jsonl" else pq.read_table(target).to_pylist()
            assert list(rows[0]) == ["text", "score", "prediction"] and {int(row["score"]) for row in rows} == {1}
            values = [float(row["prediction"]) for row in rows]
        model, tokenizer = load_classifier(str(trained))
        assert values == pytest.approx([one["score"] for one in classify_texts(model, tokenizer, TEXTS)], rel=1e-6)

    def test_card(self, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        card = check_layout_of_card(trained)
        assert "\n\n| text | true | predicted |\n|---|---|---|\n| " in card  # and no probability
        assert "It predicts stars, a number; in training it had mean " in card and "Labels:" not in card
        results = json.loads((trained / "all_results.json").read_text())
        assert f"| mse | {results['eval_mse']:.6g} | {results['test_mse']:.6g} |" in card
        assert "- type: pearsonr" in card and "- type: mse" in card and "accuracy" not in card
        run_example_of_card(trained, monkeypatch, capsys)
