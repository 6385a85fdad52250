"""What the card shows beyond the figures, on answers whose facts are known."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from tiny_model import make_model
from transformers import AutoTokenizer

from glove_bilstm.hub.assessment import (
    BINS,
    calibrate,
    choose_examples,
    count_confusions,
    find_worst_answers,
    time_model,
)
from glove_bilstm.hub.card import KINDS, _results
from glove_bilstm.hub.pictures import draw_confusions
from glove_bilstm.training.run import Answers
from glove_bilstm.training.tasks import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType

THREE = ["a", "b", "c"]


def made(
    task: ProblemType, logits: Any, references: Any, labels: list[str], texts: list[str] | None = None, **more: Any
) -> Any:
    """A result of a run, as far as it is looked at."""
    texts = texts or [f"text {number}" for number in range(len(logits))]
    columns = {"text": texts, "label": references, **{name: more[name] for name in ("text_pair",) if name in more}}
    data = SimpleNamespace(
        problem_type=task,
        labels=labels,
        splits={"validation": Dataset.from_dict(columns)},
        are_pairs="text_pair" in more,
    )
    return SimpleNamespace(
        data=data,
        answers={"validation": Answers(np.array(logits, dtype=np.float32), np.array(references))},
        model=SimpleNamespace(
            config=SimpleNamespace(thresholds=more.get("thresholds"), id2label=dict(enumerate(labels)))
        ),
    )


def certain(share: float) -> list[float]:
    """Logits of two classes, of which the second has this probability."""
    return [0.0, float(np.log(share / (1 - share)))]


class TestConfusions:
    def test_classes(self) -> None:
        logits = [[9, 0, 0], [0, 9, 0], [0, 9, 0], [0, 0, 9]]
        counts = count_confusions(made(SINGLE_LABEL, logits, [0, 0, 1, 1], [*THREE, "never"]))
        assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]

    def test_labels(self) -> None:
        result = made(MULTI_LABEL, [[2, -2], [2, 2], [-2, -2]], [[1, 0], [0, 1], [1, 0]], ["a", "b"])
        assert count_confusions(result).tolist() == [[[0, 1], [1, 1]], [[2, 0], [0, 1]]]
        strict = made(MULTI_LABEL, [[2, -2], [2, 2]], [[1, 0], [0, 1]], ["a", "b"], thresholds=[0.99, 0.01])
        assert count_confusions(strict).tolist() == [[[1, 0], [1, 0]], [[0, 1], [0, 1]]]
        one = made(MULTI_LABEL, [[2], [-2], [2]], [[0], [1], [1]], ["only"])
        assert count_confusions(one).tolist() == [[[0, 1], [1, 1]]]


class TestCalibration:
    def test_as_sure_as_right(self) -> None:
        result = made(SINGLE_LABEL, [certain(0.75)] * 4, [1, 1, 1, 0], ["a", "b"])
        found = calibrate(result)
        assert found.error == pytest.approx(0, abs=1e-6) and found.counts.tolist() == [4]

    def test_too_sure(self) -> None:
        logits = [certain(0.95)] * 3 + [certain(0.05)]
        found = calibrate(made(SINGLE_LABEL, logits, [1, 0, 0, 0], ["a", "b"]))
        # Three said "b" at 0.95, one "a" at 0.95; two of the four are right.
        assert found.error == pytest.approx(0.45) and found.right.tolist() == [0.5]

    def test_each_label_of_several_counts(self) -> None:
        logits = np.array([[certain(0.9)[1], certain(0.1)[1]], [certain(0.9)[1], certain(0.1)[1]]])
        found = calibrate(made(MULTI_LABEL, logits, [[1, 0], [0, 0]], ["a", "b"]))
        assert found.counts.tolist() == [2, 2]
        assert found.error == pytest.approx((abs(0.1 - 0) + abs(0.9 - 0.5)) / 2)

    @given(st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=1, max_size=99))
    def test_of_any_answers(self, answers: list[tuple[int, bool]]) -> None:
        result = made(
            SINGLE_LABEL, [[0, logit] for logit, _ in answers], [int(right) for _, right in answers], ["a", "b"]
        )
        found = calibrate(result)
        assert 0 <= found.error <= 1 and found.counts.sum() == len(answers) and len(found.counts) <= BINS
        overall = np.mean([(logit > 0) == right for logit, right in answers])
        assert found.right @ found.counts / len(answers) == pytest.approx(overall)


class TestWorst:
    def test_classes(self) -> None:
        logits = [certain(0.9), certain(0.6), certain(0.99), certain(0.2)]
        worst = find_worst_answers(made(SINGLE_LABEL, logits, [0, 0, 1, 1], ["no", "yes"]))
        assert [(wrong.text, wrong.right, wrong.answer) for wrong in worst] == [
            ("text 0", "no", "yes"),
            ("text 3", "yes", "no"),
            ("text 1", "no", "yes"),
        ]
        assert [wrong.probability for wrong in worst] == pytest.approx([0.9, 0.8, 0.6])

    def test_labels(self) -> None:
        result = made(MULTI_LABEL, [[2, -2], [-9, 9], [1, 1]], [[1, 0], [1, 0], [1, 0]], ["a", "b"])
        worst = find_worst_answers(result)
        assert [(wrong.text, wrong.right, wrong.answer) for wrong in worst] == [
            ("text 1", "a", "b"),
            ("text 2", "a", "a · b"),
        ]

    def test_values_and_pairs(self) -> None:
        result = made(REGRESSION, [[1.5], [4.0]], [1.0, 1.0], ["stars"], text_pair=["one", "two"])
        worst = find_worst_answers(result)
        assert [(wrong.text, wrong.right, wrong.answer) for wrong in worst] == [
            ("text 1 / two", "1", "4"),
            ("text 0 / one", "1", "1.5"),
        ]

    def test_nothing_is_wrong(self) -> None:
        assert find_worst_answers(made(SINGLE_LABEL, [certain(0.9)], [1], ["a", "b"])) == []


class TestExamples:
    def test_one_of_each(self) -> None:
        texts = ["too short", "this one is fine", "and this one as well", "word " * 99, "the other class here"]
        result = made(SINGLE_LABEL, [certain(0.5)] * 5, [0, 0, 0, 1, 1], ["a", "b"], texts)
        assert choose_examples(result) == [("this one is fine", "a"), ("the other class here", "b")]

    def test_labels(self) -> None:
        texts = ["neither of the two", "both of the two"]
        result = made(MULTI_LABEL, [[0, 0]] * 2, [[0, 0], [1, 1]], ["a", "b"], texts)
        assert choose_examples(result) == [("neither of the two", "none"), ("both of the two", "a · b")]


@pytest.mark.parametrize("labels", [["neg", "pos"], [f"a label of some length {n}" for n in range(7)]])
def test_nothing_of_a_picture_is_cut_off(labels: list[str], tmp_path: Path) -> None:
    counts = 100 + np.arange(len(labels) ** 2).reshape(len(labels), -1)
    draw_confusions(counts, labels, tmp_path / "c.png")
    image = imread(tmp_path / "c.png")
    for border in (image[0], image[-1], image[:, 0], image[:, -1]):
        assert (border == 1).all()


def test_speed_is_of_this_machine(model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
    result = made(SINGLE_LABEL, [certain(0.5)] * 3, [0, 1, 0], ["a", "b"], ["a good film", "", "awful"])
    result.model, result.tokenizer = make_model(), tokenizer
    result.model.train()
    speed = time_model(result)
    assert speed.one > 0 and speed.many > 0 and speed.words == 1 and speed.threads > 0 and speed.cpu
    assert result.model.training


def test_right_and_wrong_labels_in_the_cards_order() -> None:
    result = made(MULTI_LABEL, [[2, -2], [2, 2], [2, -2]], [[1, 0], [0, 1], [0, 1]], ["a", "b"])
    result.figures = {"validation": {f"{kind}_{label}": 0.5 for kind in KINDS for label in "ab"}}
    # predicted, and true; predicted, but not true; true, but not predicted; neither
    assert _results(result)["confusions"] == [["a", "1", "2", "0", "0"], ["b", "1", "0", "1", "1"]]


def test_speed_in_the_units_of_the_card(model: Path) -> None:
    result = made(SINGLE_LABEL, [certain(0.5)] * 3, [0, 1, 0], ["a", "b"], ["a good film", "", "awful"])
    result.model, result.tokenizer = make_model(), AutoTokenizer.from_pretrained(model)
    result.model.register_forward_hook(lambda *_: time.sleep(0.05))
    speed = time_model(result)
    assert 50 <= speed.one < 5_000  # milliseconds
    assert 0.6 < speed.many <= 60  # three texts in one batch, texts a second
