"""Pairs of texts, from the command that trains to those that use the model."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_tasks import LONGER, command, read_jsonl, run_example_of_card, words, write_splits
from transformers import AutoTokenizer, pipeline

from glove_bilstm import extend_vocabulary, load_vectors
from glove_bilstm.inference.bulk import classify_texts
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.scripts.main import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make_row(choose: random.Random) -> dict[str, Any]:
        good = choose.randint(0, 1)
        question = "which okapi , " + words(choose, 0, 0)
        return {"q": question, "a": words(choose, good, 1 - good), "label": ["neg", "pos"][good]}

    return write_splits(tmp_path_factory.mktemp("pairs"), make_row)


@pytest.fixture(scope="module")
def trained(data: Path, vectors_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "pairs"
    flags = ["--text_column", "q", "--text_pair_column", "a", "--max_length", "30", *LONGER]
    command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", folder, *flags)
    return folder


class TestPairs:
    """Only the second text tells the label."""

    def test_learns_from_the_second_text(self, trained: Path) -> None:
        assert json.loads((trained / "all_results.json").read_text())["test_accuracy"] > 0.9

    def test_the_separator_is_a_row_and_no_word(self, trained: Path, vectors_file: Path) -> None:
        model, tokenizer = load_classifier(str(trained))
        vocabulary = tokenizer.get_vocab()
        assert [vocabulary[token] for token in ("<pad>", "<unk>", "<sep>")] == [0, 1, 2]
        weight = model.get_input_embeddings().weight.detach()
        assert len(weight) == model.config.vocab_size == len(vocabulary)
        vectors = load_vectors(vectors_file)
        for word in set(vectors.words) - {"<unk>"}:
            assert np.array_equal(weight[vocabulary[word]].numpy(), vectors[word]), word
        assert weight[2].any() and not torch.equal(weight[1], weight[2])
        coverage = json.loads((trained / "coverage.json").read_text())
        for split in coverage.values():
            # Both columns were counted: "okapi" and "which" are in the first, the rest of the vocabulary in both.
            assert {one["word"] for one in split["missing"]} == {"okapi", "which"}
            assert split["types_found"] == 21

    def test_the_coverage_of_both_texts(self, data: Path, trained: Path, vectors_file: Path, tmp_path: Path) -> None:
        output = tmp_path / "coverage.json"
        flags = ["--text_column", "q", "--text_pair_column", "a", "--output", output]
        command("coverage", "--dataset", data, "--vectors", vectors_file, *flags)
        told, of_training = (json.loads(file.read_text()) for file in (output, trained / "coverage.json"))
        assert told["train"] == of_training["train"]

    def test_pairs_are_joined_and_single_texts_are_not(self, trained: Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(trained, trust_remote_code=False)
        ids = tokenizer.get_vocab()
        joined = [ids["good"], 2, ids["bad"], ids["film"]]
        assert tokenizer("good", "bad film")["input_ids"] == joined
        assert tokenizer("good")["input_ids"] == [ids["good"]]
        assert set(tokenizer("good", "bad")) == {"input_ids", "attention_mask"}
        assert tokenizer("good", "bad film", truncation=True, max_length=3)["input_ids"] == joined[:3]

    def test_agrees_with_the_pipeline(self, trained: Path) -> None:
        model, tokenizer = load_classifier(str(trained))
        pairs = [
            ("which film", "superb"),
            ("which film", "awful"),
            ("superb", ""),
            ("", "awful"),
            ("", ""),
            ("a", " "),
        ]
        classify = pipeline("text-classification", model=str(trained))
        expected = [classify({"text": one, "text_pair": other}) for one, other in pairs]
        for batch_size in (1, 64):
            for ours, theirs in zip(classify_texts(model, tokenizer, pairs, batch_size), expected, strict=True):
                assert ours["label"] == theirs["label"] and ours["score"] == pytest.approx(theirs["score"], abs=1e-6)
        assert [one["label"] for one in expected[:2]] == ["pos", "neg"]

    def test_evaluate_and_predict(self, trained: Path, data: Path, tmp_path: Path) -> None:
        flags = ["--text_column", "q", "--text_pair_column", "a", "--output"]
        command("evaluate", "--model", trained, "--dataset", data, *flags, tmp_path / "figures.json")
        expected = json.loads((trained / "all_results.json").read_text())
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert figures["test_accuracy"] == pytest.approx(expected["test_accuracy"])
        source = data / "test.jsonl"
        command("predict", "--model", trained, "--input", source, *flags, tmp_path / "out.jsonl")
        rows = read_jsonl(tmp_path / "out.jsonl")
        assert [row["label"] for row in rows] == [row["label"] for row in read_jsonl(source)]
        right = [row["prediction"] == row["label"] for row in rows]
        assert sum(right) / len(right) == pytest.approx(expected["test_accuracy"])

    def test_what_does_not_belong_together(
        self, trained: Path, model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = ["--input", data / "test.jsonl", "--output", tmp_path / "out.jsonl", "--text_column", "q"]
        for verb, more in (("predict", files), ("evaluate", ["--dataset", data, "--text_column", "q"])):
            arguments = [verb, "--model", model, *more, "--text_pair_column", "a"]
            assert main([str(one) for one in arguments]) == 1
            assert "The model was trained on single texts, not on pairs." in capsys.readouterr().err
        arguments = ["predict", "--model", trained, *files, "--text_pair_column", "b"]
        assert main([str(one) for one in arguments]) == 1
        assert "test.jsonl has no column 'b'" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["predict", "--model", str(trained), "good", "--text_pair_column", "a"])
        assert "--text_pair_column names a column of --input" in capsys.readouterr().err

    def test_a_single_text_is_read_with_a_warning(self, trained: Path, caplog: pytest.LogCaptureFixture) -> None:
        command("predict", "--model", trained, "superb")
        assert "The model was trained on pairs of texts" in caplog.text

    def test_words_can_be_added(self, trained: Path, vectors_file: Path, tmp_path: Path) -> None:
        model, tokenizer = load_classifier(str(trained))
        before = model.get_input_embeddings().weight.detach().clone()
        more = tmp_path / "more.txt"
        more.write_text(vectors_file.read_text() + "okapi" + " 0.5" * 7 + "\nnewt" + " 0.25" * 7 + "\n")
        done = extend_vocabulary(model, tokenizer, load_vectors(more), words=["<sep>", "newt"])
        assert done.added == ["newt"] and done.total == len(before) + 1 - 3
        weight = model.get_input_embeddings().weight.detach()
        assert torch.equal(weight[: len(before)], before) and weight[-1].tolist() == [0.25] * 7
        ids = tokenizer("newt", "good")["input_ids"]
        assert ids == [len(before), 2, tokenizer.get_vocab()["good"]]

    def test_card(self, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert "It reads pairs of texts." in (trained / "README.md").read_text()
        run_example_of_card(trained, monkeypatch, capsys)
