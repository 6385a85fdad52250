"""Multi-label classification, from the command that trains to those that use the model."""

import csv
import json
import random
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
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

from glove_bilstm.inference.bulk import classify_texts, evaluate_texts
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.scripts.main import main

PRAISE = "praise, or so"  # a comma in a name must not part it


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make_row(choose: random.Random) -> dict[str, Any]:
        good, bad = choose.randint(0, 1), choose.randint(0, 1)
        return {"text": words(choose, good, bad), "label": [PRAISE] * good + ["blame"] * bad}

    return write_splits(tmp_path_factory.mktemp("multi"), make_row)


@pytest.fixture(scope="module")
def trained(data: Path, vectors_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "multi"
    command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", folder, *LONGER)
    return folder


class TestMultiLabel:
    def test_learns_and_keeps_thresholds(self, trained: Path) -> None:
        config = AutoConfig.from_pretrained(trained)
        assert config.problem_type == "multi_label_classification"
        assert config.id2label == {0: "blame", 1: PRAISE}
        assert len(config.thresholds) == 2 and config.thresholds != [0.5, 0.5]
        results = json.loads((trained / "all_results.json").read_text())
        assert results["test_f1"] > 0.9 and results["test_micro_f1"] > 0.9 and results["test_accuracy"] > 0.8
        assert results[f"test_f1_{PRAISE}"] > 0.9
        state = json.loads(next(trained.glob("checkpoint-*/trainer_state.json")).read_text())
        # The best checkpoint is that of the best macro F1, and the thresholds are those that were tuned on it.
        assert results["eval_f1"] == state["best_metric"]

    def test_evaluate_gives_the_figures_of_training(
        self, trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command("evaluate", "--model", trained, "--dataset", data, "--output", tmp_path / "figures.json")
        expected = json.loads((trained / "all_results.json").read_text())
        for name, value in json.loads((tmp_path / "figures.json").read_text()).items():
            assert value == pytest.approx(expected[name]), name
        out = capsys.readouterr().out
        assert "all labels right" in out and f"test: {PRAISE}" in out

    def test_thresholds_decide(self, trained: Path) -> None:
        model, tokenizer = load_classifier(str(trained))
        probabilities = [sorted(one["scores"]) for one in self._with(model, tokenizer, [0.0, 0.0])]
        assert all(len(one) == 2 for one in probabilities)
        assert [one["labels"] for one in self._with(model, tokenizer, [1.0, 1.0])] == [[]] * len(TEXTS)
        for text, one in zip(TEXTS, self._with(model, tokenizer, [1.0, 0.0]), strict=True):
            assert one["labels"] == [PRAISE], text

    @staticmethod
    def _with(model: Any, tokenizer: Any, thresholds: list[float]) -> list[dict[str, Any]]:
        model.config.thresholds = thresholds
        return list(classify_texts(model, tokenizer, TEXTS))

    def test_agrees_with_the_pipeline(self, trained: Path) -> None:
        model, tokenizer = load_classifier(str(trained))
        classify = pipeline("text-classification", model=str(trained), device="cpu")
        thresholds = dict(zip(model.config.id2label.values(), model.config.thresholds, strict=True))
        answers = list(classify_texts(model, tokenizer, TEXTS))
        assert [set(one["labels"]) for one in answers[:4]] == [{PRAISE}, set(), {"blame"}, {PRAISE, "blame"}]
        for ours, theirs in zip(answers, classify(TEXTS, top_k=None), strict=True):
            applying = [one for one in theirs if one["score"] >= thresholds[one["label"]]]
            assert ours["labels"] == [one["label"] for one in applying]  # the highest first
            assert ours["scores"] == pytest.approx([one["score"] for one in applying], abs=1e-6)

    @pytest.mark.parametrize("ending", ["txt", "csv", "jsonl", "parquet"])
    @pytest.mark.parametrize("all_without", [False, True])
    def test_predict_files(self, ending: str, all_without: bool, trained: Path, tmp_path: Path) -> None:
        texts = ["the plot"] * 3 if all_without else TEXTS
        source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts])
        target = tmp_path / f"out.{ending}"
        command("predict", "--model", trained, "--input", source, "--output", target)
        model, tokenizer = load_classifier(str(trained))
        expected = list(classify_texts(model, tokenizer, texts))
        labels, scores = [one["labels"] for one in expected], [one["scores"] for one in expected]
        if ending == "txt":
            assert [json.loads(line) for line in target.read_text().splitlines()] == labels
            return
        if ending == "csv":
            with target.open(newline="") as file:
                rows: list[dict[str, Any]] = list(csv.DictReader(file))
            rows = [{name: json.loads(row[name]) for name in ("prediction", "score")} for row in rows]
        elif ending == "jsonl":
            rows = read_jsonl(target)
        else:
            table = pq.read_table(target)
            assert [str(table.schema.field(name).type.value_type) for name in ("prediction", "score")] == [
                "string",
                "double",
            ]
            rows = table.to_pylist()
        assert [row["prediction"] for row in rows] == labels
        for row, one in zip(rows, scores, strict=True):
            assert row["score"] == pytest.approx(one, abs=1e-6)

    def test_predict_on_the_terminal(self, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command("predict", "--model", trained, TEXTS[3], "the plot")
        header, _, *rows = capsys.readouterr().out.splitlines()
        assert header.split() == ["text", "label", "score"]
        assert len(rows) == 3 and rows[0].startswith(TEXTS[3]) and rows[1].startswith(" " * len(TEXTS[3]))
        assert rows[2].split() == ["the", "plot", "none"]

    def test_card(self, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        card = check_layout_of_card(trained)
        thresholds = AutoConfig.from_pretrained(trained).thresholds
        assert re.search(rf"^\| {PRAISE} \| {thresholds[1]:.4f} \|( [01]\.\d{{4}} \|){{6}}$", card, re.MULTILINE)
        assert "| micro_f1 |" in card and "share of texts with all labels right" in card
        assert "pipeline_tag: text-classification" in card and "- type: f1" in card and "matthews" not in card
        assert run_example_of_card(trained, monkeypatch, capsys).startswith("[")

    def test_a_label_the_model_does_not_know_and_one_that_is_no_list(
        self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = write_jsonl(tmp_path / "test.jsonl", [{"text": "a", "label": []}, {"text": "b", "label": ["meh"]}])
        assert main(["evaluate", "--model", str(trained), "--dataset", str(file)]) == 1
        error = capsys.readouterr().err
        assert f"test.jsonl, row 2: the model doesn't know the label 'meh'; it knows: blame, {PRAISE}" in error
        write_jsonl(file, [{"text": "a", "label": "blame"}])
        assert main(["evaluate", "--model", str(trained), "--dataset", str(file)]) == 1
        assert "test.jsonl, row 1: 'label' holds 'blame', which isn't a list of classes" in capsys.readouterr().err

    def test_csv_with_json_arrays_and_class_labels_in_parquet_measure_the_same(
        self, trained: Path, data: Path, tmp_path: Path
    ) -> None:
        rows = read_jsonl(data / "test.jsonl")
        with (tmp_path / "test.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows([row["text"], json.dumps(row["label"])] for row in rows)
        names = [PRAISE, "blame"]  # not the model's order
        features = Features({"text": Value("string"), "label": List(ClassLabel(names=names))})
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / "test.parquet")
        model, tokenizer = load_classifier(str(trained))
        texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
        expected = evaluate_texts(model, tokenizer, texts, labels)["f1"]
        for name in ("test.csv", "test.parquet"):
            output = tmp_path / "figures.json"
            command("evaluate", "--model", trained, "--dataset", tmp_path / name, "--output", output)
            assert json.loads(output.read_text())["test_f1"] == pytest.approx(expected)
