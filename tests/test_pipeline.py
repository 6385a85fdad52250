"""`pipeline("text-classification")` on a trained model: what the model says itself, and no warning."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from helpers import FILLERS, GOOD
from transformers import AutoTokenizer, pipeline
from transformers.pipelines.pt_utils import KeyDataset
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification

TEXTS = ["a good film", "", "awful", "  ", "unheard-of", "the plot was a really good plot and it was " * 9, "dull"]


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> TokenizersBackend:
    return AutoTokenizer.from_pretrained(model)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test in which transformers logged a warning."""
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    yield
    logger.removeHandler(caplog.handler)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


pytestmark = pytest.mark.usefixtures("log")


def make(tokenizer: TokenizersBackend, **options: Any) -> GloveBiLSTMForSequenceClassification:
    torch.manual_seed(3)
    config = GloveBiLSTMConfig(
        vocab_size=len(tokenizer), embedding_dim=7, hidden_size=5, pooling="mean_max", **options
    )
    return GloveBiLSTMForSequenceClassification(config).eval()


@torch.no_grad()
def logits(model: Any, tokenizer: TokenizersBackend, texts: list[str]) -> torch.Tensor:
    return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


@pytest.fixture(scope="module")
def classifier(model: Path) -> Any:
    return pipeline("text-classification", model=str(model), device="cpu")


@pytest.fixture(scope="module")
def expected(classifier: Any) -> list[dict[str, float]]:
    """Each text's probabilities, by label."""
    shares = logits(classifier.model, classifier.tokenizer, TEXTS).softmax(dim=-1).tolist()
    names = classifier.model.config.id2label
    return [{names[number]: share for number, share in enumerate(row)} for row in shares]


def agrees(answers: list[dict[str, Any]], expected: list[dict[str, float]]) -> bool:
    best = [max(row, key=row.__getitem__) for row in expected]
    return [answer["label"] for answer in answers] == best and all(
        answer["score"] == pytest.approx(row[answer["label"]], abs=1e-6)
        for answer, row in zip(answers, expected, strict=True)
    )


class TestInputs:
    def test_one_text(self, classifier: Any, expected: list) -> None:
        assert agrees(classifier(TEXTS[0]), expected[:1])
        assert agrees([classifier({"text": TEXTS[0]})], expected[:1])

    @pytest.mark.parametrize("batch_size", [1, 3, 64])
    def test_lists_generators_and_data_sets(self, batch_size: int, classifier: Any, expected: list) -> None:
        assert agrees(classifier(TEXTS, batch_size=batch_size), expected)
        assert agrees(list(classifier((text for text in TEXTS), batch_size=batch_size)), expected)
        rows = KeyDataset(Dataset.from_dict({"review": TEXTS}), "review")
        assert agrees(list(classifier(rows, batch_size=batch_size)), expected)

    def test_no_text_has_words(self, classifier: Any) -> None:
        for batch_size in (1, 2):
            answers = classifier(["", "   "], batch_size=batch_size)
            assert answers[0] == answers[1] and 0 < answers[0]["score"] < 1

    def test_truncation(self, classifier: Any, expected: list) -> None:
        short = " ".join(TEXTS[5].split()[:4])
        cut = classifier([TEXTS[5], TEXTS[0]], truncation=True, max_length=4, batch_size=2)
        assert cut == classifier([short, TEXTS[0]])
        assert cut[0] != classifier(TEXTS[5])[0]

    def test_pairs(self, tokenizer: TokenizersBackend) -> None:
        model = make(tokenizer, num_labels=3)
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        pairs = [{"text": "a good film", "text_pair": "awful"}, {"text": "dull", "text_pair": "plot"}]
        for pair, answer in zip(pairs, classify(pairs, batch_size=2), strict=True):
            with torch.no_grad():
                whole = model(**tokenizer(pair["text"], pair["text_pair"], return_tensors="pt")).logits
            assert answer["score"] == pytest.approx(float(whole.softmax(-1).max()), abs=1e-6)


class TestAnswers:
    def test_top_k(self, classifier: Any, expected: list) -> None:
        for answers, row in zip(classifier(TEXTS, top_k=None), expected, strict=True):
            assert {answer["label"]: pytest.approx(answer["score"], abs=1e-6) for answer in answers} == row
            assert answers[0]["score"] >= answers[1]["score"]
        assert [len(answers) for answers in classifier(TEXTS, top_k=1)] == [1] * len(TEXTS)

    @pytest.mark.parametrize("function", ["none", "sigmoid", "softmax"])
    def test_function_to_apply(self, function: str, classifier: Any) -> None:
        raw = logits(classifier.model, classifier.tokenizer, TEXTS)
        wanted = {"none": raw, "sigmoid": raw.sigmoid(), "softmax": raw.softmax(-1)}[function]
        for answer, row in zip(classifier(TEXTS, function_to_apply=function), wanted, strict=True):
            assert answer["score"] == pytest.approx(float(row.max()), abs=1e-6)

    def test_several_labels(self, tokenizer: TokenizersBackend) -> None:
        names = dict(enumerate(["joy", "love", "anger", "fear", "grief"]))
        model = make(tokenizer, id2label=names, problem_type="multi_label_classification")
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu", top_k=None)
        wanted = logits(model, tokenizer, TEXTS).sigmoid()
        for answers, row in zip(classify(TEXTS, batch_size=3), wanted, strict=True):
            shares = {answer["label"]: answer["score"] for answer in answers}
            assert [shares[name] for name in names.values()] == pytest.approx(row.tolist(), abs=1e-6)

    def test_regression(self, tokenizer: TokenizersBackend) -> None:
        model = make(tokenizer, num_labels=1, problem_type="regression", target_mean=3.5, target_std=1.25)
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        answers = [answer["score"] for answer in classify(TEXTS, batch_size=3)]
        assert answers == pytest.approx(logits(model, tokenizer, TEXTS).flatten().tolist(), abs=1e-5)
        assert max(answers) > 1  # no sigmoid


class TestWhere:
    def test_device(self, model: Path, expected: list) -> None:
        for device in ("cpu", -1, torch.device("cpu")):
            assert agrees(pipeline("text-classification", model=str(model), device=device)(TEXTS), expected)

    def test_bfloat16(self, model: Path, classifier: Any) -> None:
        classify = pipeline("text-classification", model=str(model), dtype=torch.bfloat16, device="cpu")
        assert classify.model.dtype is torch.bfloat16
        for batch_size in (1, 4):
            for rough, exact in zip(classify(TEXTS, batch_size=batch_size), classifier(TEXTS), strict=True):
                assert rough["label"] == exact["label"] or abs(exact["score"] - 0.5) < 0.01
                assert rough["score"] == pytest.approx(exact["score"], abs=0.02)

    def test_many_texts(self, classifier: Any) -> None:
        texts = [f"{FILLERS[number % 7]} {GOOD[number % 5]}" for number in range(101)]
        answers = list(classifier((text for text in texts), batch_size=16))
        assert [answer["score"] for answer in answers] == pytest.approx([one["score"] for one in classifier(texts)])
