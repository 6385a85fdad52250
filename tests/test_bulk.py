import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import pipeline

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification, build_tokenizer
from glove_bilstm.inference.bulk import classify_texts, evaluate_texts, predict_logits
from glove_bilstm.inference.loading import find_device, load_classifier
from glove_bilstm.inference.onnx_classifier import CHUNK, batches_by_length
from glove_bilstm.scripts.main import main


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

    @pytest.mark.parametrize("threads", [1, 3])
    def test_threads_make_no_difference_and_stay_as_they_were(
        self, threads: int, model: Path, make_rows: Callable
    ) -> None:
        classifier, tokenizer = load_classifier(str(model))
        texts = [row["text"] for row in make_rows(99, 9)]
        expected = torch.cat([classifier(**tokenizer(text, return_tensors="pt")).logits for text in texts])
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for _ in range(5):
                found = torch.stack(list(predict_logits(classifier, tokenizer, texts, batch_size=7)))
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
            assert torch.get_num_threads() == threads
            assert ThreadPoolExecutor(1).submit(torch.get_num_threads).result() == threads
        finally:
            torch.set_num_threads(before)

    def test_texts_are_read_as_they_are_needed(self, model: Path) -> None:
        read = 0

        def texts() -> Iterator[str]:
            nonlocal read
            while True:
                read += 1
                yield "a good film"

        answers = classify_texts(*load_classifier(str(model)), texts(), batch_size=2)
        next(answers)
        assert read == 2 * 2 * CHUNK
        answers.close()

    def test_fewer_long_texts_are_read_ahead(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("glove_bilstm.inference.onnx_classifier.MOST_CHARACTERS", 100)
        read = []

        def texts() -> Iterator[Any]:
            for number in range(99):
                read.append(number)
                yield "good" * (number % 13)

        answers = classify_texts(*load_classifier(str(model)), texts(), batch_size=2)
        next(answers)
        # 0 + 4 + … + 28 characters pass 100 with the eighth text, 32 + 36 + 40 with the third after it.
        assert len(read) == 8 + 3
        assert len(list(answers)) == 98

    def test_long_texts_go_in_small_batches(self) -> None:
        lengths = [3, 4096, 1000, 5000, 1, 1000, 1000, 1000, 2, 0]
        assert list(batches_by_length(lengths, 3, 1)) == [[3], [1], [2, 5, 6], [7], [0], [8], [4], [9]]
        lengths = [3, 4096, 1000, 4500, 1, 1000, 1000, 1000, 1000, 2, 0]
        assert list(batches_by_length(lengths, 16, 1)) == [[3], [1], [2, 5, 6, 7], [8, 0, 9, 4], [10]]
        assert list(batches_by_length([], 3, 2)) == []

    def test_a_batch_ends_with_its_length_once_it_is_large_enough(self) -> None:
        assert list(batches_by_length([5, 5, 4, 4, 4, 3], 8, 1)) == [[0, 1], [2, 3, 4], [5]]
        assert list(batches_by_length([5, 5, 4, 4, 4, 3], 100, 3)) == [[0, 1], [2, 3], [4, 5]]

    def test_in_bfloat16(self, model: Path, dataset_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        exact, tokenizer = load_classifier(str(model))
        rough, _ = load_classifier(str(model), "bfloat16")
        assert {weight.dtype for weight in rough.glove_bilstm.parameters()} == {torch.bfloat16}
        texts = ["a good film", "", "dull and weak , the plot", "the plot"]
        found, expected = (torch.stack(list(predict_logits(one, tokenizer, texts))) for one in (rough, exact))
        assert found.dtype == torch.float32 and 0 < (found - expected).abs().max() < 0.02
        for verb in (["predict", *texts], ["evaluate", "--dataset", str(dataset_folder)]):
            assert main([*verb, "--model", str(model), "--dtype", "bfloat16"]) == 0
        assert "accuracy" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            main(["predict", "--model", str(model), "--dtype", "float8", "a"])

    def test_where_it_computes(
        self, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for device in ("cuda", "cuda:3", "meta"):
            assert main(["predict", "--model", str(model), "good", "--device", device]) == 1
            assert f"torch finds no device {device} here. Leave --device out" in capsys.readouterr().err
        assert main(["predict", "--model", str(model), "good", "--device", "gpu"]) == 1
        assert "gpu is the name of no device; cpu is one, and cuda." in capsys.readouterr().err
        assert main(["predict", "--model", str(model), "good", "--device", "cpu"]) == 0
        assert [find_device(name) for name in ("auto", "cpu")] == [torch.device("cpu")] * 2
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("mps"))
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
        assert [find_device(name).type for name in ("auto", "mps")] == ["cpu", "mps"]
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda"))
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
        assert [find_device(name) for name in ("auto", "cpu")] == [torch.device("cuda"), torch.device("cpu")]
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
        for rank, number in (("0", 0), ("1", 1), ("2", 0)):
            monkeypatch.setenv("LOCAL_RANK", rank)
            assert find_device("auto") == torch.device("cuda", number)
            assert find_device("cuda:1") == torch.device("cuda", 1)

    def test_what_a_thread_raises_is_raised(self, model: Path) -> None:
        classifier, tokenizer = load_classifier(str(model))
        with pytest.raises(IndexError):  # ids that the model doesn't have
            list(predict_logits(classifier, build_tokenizer([f"w{number}" for number in range(999)]), ["w998"]))

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
