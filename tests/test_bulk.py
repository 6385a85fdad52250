import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification
from glove_bilstm.inference.bulk import classify_texts, evaluate_texts
from glove_bilstm.inference.loading import load_classifier


class TestBulk:
    def test_order_is_kept_and_batches_make_no_difference(self, model: Path, make_rows: Callable) -> None:
        classifier, tokenizer = load_classifier(str(model))
        texts = [row["text"] for row in make_rows(301, 9)]
        alone = [next(classify_texts(classifier, tokenizer, [text])) for text in texts]
        for batch_size in (1, 2, 64):  # with 2, several chunks
            together = list(classify_texts(classifier, tokenizer, iter(texts), batch_size))
            assert [one["label"] for one in together] == [one["label"] for one in alone]
            assert [one["score"] for one in together] == pytest.approx([one["score"] for one in alone], abs=1e-5)
        assert list(classify_texts(classifier, tokenizer, [])) == []
        classifier.train()  # predicting is evaluation, in whichever mode the model was left
        again = [one["score"] for one in classify_texts(classifier, tokenizer, texts)]
        assert again == pytest.approx([one["score"] for one in alone], abs=1e-5)

    @pytest.mark.parametrize(
        ("problem_type", "num_labels"),
        [("single_label_classification", 3), ("regression", 1), (None, 1)],
    )
    def test_scores_are_those_of_the_pipeline(self, problem_type: Any, num_labels: int, model: Path) -> None:
        _, tokenizer = load_classifier(str(model))
        config = GloveBiLSTMConfig(
            vocab_size=len(tokenizer), embedding_dim=7, hidden_size=6, problem_type=problem_type, num_labels=num_labels
        )
        fresh = GloveBiLSTMForSequenceClassification(config).eval()
        texts = ["a good film", "", "dull"]
        answers = pipeline("text-classification", model=fresh, tokenizer=tokenizer, device="cpu")(texts)
        for ours, theirs in zip(classify_texts(fresh, tokenizer, texts), answers, strict=True):
            assert ours["label"] == theirs["label"]
            assert ours["score"] == pytest.approx(theirs["score"], abs=1e-6)

    def test_evaluate_texts_gives_the_trainer_figures(self, model: Path, dataset_folder: Path) -> None:
        classifier, tokenizer = load_classifier(str(model))
        rows = [json.loads(line) for line in (dataset_folder / "test.jsonl").read_text().splitlines()]
        figures = evaluate_texts(classifier, tokenizer, [row["text"] for row in rows], [row["label"] for row in rows])
        assert figures["accuracy"] == pytest.approx(
            json.loads((model / "all_results.json").read_text())["test_accuracy"]
        )
