"""How far word vectors moved, and where that is told."""

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_bilstm import GloveBiLSTMTrainingArguments
from glove_bilstm.hub.card import make_card
from glove_bilstm.hub.folder import write_model_folder
from glove_bilstm.hub.metadata import CardArguments
from glove_bilstm.scripts.tables import drift_table
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.run import TrainingResult, train_classifier
from glove_bilstm.vectors.drift import Band, Drift, Spread, measure_drift


def make_rows(number: int, seed: int, dim: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(number, dim)).astype(np.float32)


def make_words(number: int) -> list[str]:
    return [f"w{position}" for position in range(number)]


@pytest.fixture
def moved() -> Drift:
    """Five words in a plane: one stays, one grows from nothing, one vanishes, two go elsewhere."""
    before = np.array([[1, 0], [0, 2], [0, 0], [3, 4], [4, 3]], "f4")
    after = np.array([[1, 0], [0, -2], [0, 1], [0, 0], [4, 0]], "f4")
    counts = Counter({"east": 1, "north": 9, "zero": 10, "far": 100, "other": 99})
    return measure_drift(["east", "north", "zero", "far", "near|`<b>"], before, after, counts)


class TestMeasure:
    def test_by_hand(self, moved: Drift) -> None:
        assert (moved.words, moved.unmoved, moved.unmoved_share) == (5, 1, 0.2)
        assert moved.distance == Spread(pytest.approx(13 / 4), 3.5, pytest.approx(4.85), 5.0)
        assert moved.relative == Spread(pytest.approx((2 + 1 + 0.6) / 3), 1.0, pytest.approx(1.9), 2.0)
        assert moved.cosine == pytest.approx((-1 + 0.8) / 2)
        assert moved.by_count == {"1": Band(1, 0.0), "2–9": Band(1, 4.0), "10–99": Band(1, 1.0), "100+": Band(1, 5.0)}
        assert str(moved) == (
            "4 of 5 words moved (80.0%), by 3.25 on average (median 3.5, 95th percentile 4.85, maximum 5) or 120.0% "
            "of their length; mean cosine with where they were -0.100"
        )

    def test_most_moved_and_their_neighbours(self, moved: Drift) -> None:
        assert [one.word for one in moved.most_moved] == ["far", "north", "near|`<b>", "zero"]
        far, north, near, zero = moved.most_moved
        assert (far.count, far.distance, far.cosine) == (100, 5.0, None)
        assert (north.count, north.distance, north.cosine) == (9, 4.0, -1.0)
        assert (near.count, near.cosine) == (0, pytest.approx(0.8))
        assert far.nearest_before == ["near|`<b>", "north", "east"] and far.nearest_after == []
        assert near.nearest_before == ["far", "east", "north"] and near.nearest_after == ["east"]
        assert zero.cosine is None and zero.nearest_before == [] and zero.nearest_after == []
        assert north.nearest_after == []

    def test_the_most_moved_and_nearest_only(self) -> None:
        before, after = make_rows(99, seed=0), make_rows(99, seed=1)
        words = make_words(99)
        drift = measure_drift(words, before, after, None, most=13, neighbours=3)
        distance = np.linalg.norm(after - before, axis=1)
        expected = np.argsort(-distance)[:13]
        assert [one.word for one in drift.most_moved] == [words[row] for row in expected]
        for rows, name in ((before, "nearest_before"), (after, "nearest_after")):
            unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            for row, one in zip(expected, drift.most_moved, strict=True):
                order = [other for other in np.argsort(-(unit @ unit[row])) if other != row]
                assert getattr(one, name) == [words[other] for other in order[:3]]
        assert all(one.count is None for one in drift.most_moved) and drift.by_count == {}

    def test_ties_go_to_the_first_word(self) -> None:
        """The same rows over and over, so that equal cosines come from everywhere in the matrix."""
        before = np.tile(make_rows(3, seed=2), (33, 1))
        words = make_words(99)
        drift = measure_drift(words, before, before + np.float32(0.5), None, most=99, neighbours=5)
        distances = [one.distance for one in drift.most_moved]
        assert max(distances) - min(distances) < 1e-6
        for one in drift.most_moved:
            row = int(one.word[1:])
            same = [word for position, word in enumerate(words) if position % 3 == row % 3 and position != row]
            assert one.nearest_before == same[:5] == one.nearest_after
        shift = np.zeros_like(before)
        shift[:, 0] = 1
        still = measure_drift(words, np.zeros_like(before), shift, None, most=4)
        assert [one.word for one in still.most_moved] == words[:4]

    def test_matrices_of_several_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        words, before, after = make_words(99), make_rows(99, seed=3), make_rows(99, seed=4)
        counts = {word: position for position, word in enumerate(words)}
        whole = measure_drift(words, before, after, counts)
        monkeypatch.setattr("glove_bilstm.vectors.drift._ROWS", 13)
        assert measure_drift(words, before, after, counts).to_dict() == whole.to_dict()

    def test_moves_of_any_size_are_seen(self) -> None:
        """The squares of some float32 numbers are none."""
        before = np.full((3, 7), 1e-30, "f4")
        after = before.copy()
        after[1, 3] = 2e-30
        after[2] = 3e38
        drift = measure_drift(["a", "b", "c"], before, after, None)
        assert drift.unmoved == 1 and [one.word for one in drift.most_moved] == ["c", "b"]
        assert drift.most_moved[1].distance == pytest.approx(1e-30, rel=1e-6, abs=0)
        assert drift.to_dict()["most_moved"][1]["distance"] == 1e-30

    def test_rows_of_special_tokens_are_refused(self) -> None:
        with pytest.raises(ValueError, match="There are 3 words, and 5 and 5 rows.*special tokens"):
            measure_drift(make_words(3), make_rows(5, 0), make_rows(5, 1), None)

    @given(st.lists(st.integers(0, 30), max_size=20, unique=True), st.booleans())
    @settings(max_examples=50, deadline=None)
    def test_unmoved_rows_are_counted_exactly(self, rows: list[int], zeros: bool) -> None:
        before = np.zeros((31, 7), "f4") if zeros else make_rows(31, seed=5)
        after = before.copy()
        for row in rows:
            after[row, row % 7] = np.nextafter(after[row, row % 7], np.float32(np.inf))
        drift = measure_drift(make_words(31), before, after, None, most=31)
        assert drift.unmoved == 31 - len(rows)
        assert {one.word for one in drift.most_moved} == {f"w{row}" for row in rows}

    @given(st.permutations(range(23)), st.integers(0, 99))
    @settings(max_examples=50, deadline=None)
    def test_another_order_of_words_changes_nothing(self, order: list[int], seed: int) -> None:
        words, before, after = make_words(23), make_rows(23, seed), make_rows(23, seed + 100)
        before[seed % 23] = 0
        after[::3] = before[::3]
        counts = {word: position**2 for position, word in enumerate(words)}
        drift = measure_drift(words, before, after, counts)
        other = measure_drift([words[row] for row in order], before[order], after[order], counts)
        assert other.most_moved == drift.most_moved
        assert other.unmoved == drift.unmoved == 8
        for name in ("distance", "relative"):
            assert dataclasses.astuple(getattr(other, name)) == pytest.approx(
                dataclasses.astuple(getattr(drift, name))
            )
        assert other.cosine == pytest.approx(drift.cosine)
        assert other.by_count.keys() == drift.by_count.keys()
        for band, inside in drift.by_count.items():
            assert other.by_count[band].words == inside.words
            assert other.by_count[band].mean_distance == pytest.approx(inside.mean_distance)

    @given(st.integers(1, 31), st.booleans())
    @settings(max_examples=20, deadline=None)
    def test_a_matrix_against_itself(self, number: int, zeros: bool) -> None:
        rows = np.zeros((number, 7), "f4") if zeros else make_rows(number, seed=number)
        drift = measure_drift(make_words(number), rows, rows.copy(), Counter(make_words(number)))
        assert drift.unmoved_share == 1
        assert drift == Drift(number, number, None, None, None, {"1": Band(number, 0.0)}, [])
        assert str(drift) == f"0 of {number} words moved (0.0%)"
        json.dumps(drift.to_dict(), allow_nan=False)


class TestTelling:
    def test_as_json(self, moved: Drift) -> None:
        told = moved.to_dict()
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert told["unmoved_share"] == 0.2 and told["by_count"]["2–9"] == {"words": 1, "mean_distance": 4.0}
        assert told["distance"] == {"mean": 3.25, "median": 3.5, "percentile_95": 4.85, "maximum": 5.0}
        assert told["most_moved"][0] == {
            "word": "far",
            "count": 100,
            "distance": 5.0,
            "cosine": None,
            "nearest_before": ["near|`<b>", "north", "east"],
            "nearest_after": [],
        }

    def test_as_a_table(self, moved: Drift) -> None:
        summary, bands, words = drift_table(moved).split("\n\n")
        assert summary == f"{moved}."
        assert bands.splitlines()[-1].split() == ["100+", "1", "5"]
        assert words.splitlines()[3].split() == ["north", "9", "4", "-1.000", "far,", "near|`<b>"]
        assert words.splitlines()[5].split() == ["zero", "10", "1"]  # near to no word, before and after
        nothing = measure_drift(["a"], np.ones((1, 3), "f4"), np.ones((1, 3), "f4"), None)
        assert drift_table(nothing) == "0 of 1 words moved (0.0%)."


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path, vectors_file: Path) -> TrainingResult:
    arguments = GloveBiLSTMTrainingArguments(
        output_dir=str(tmp_path_factory.mktemp("run")),
        max_steps=1,
        use_cpu=True,
        disable_tqdm=True,
        eval_strategy="no",
    )
    return train_classifier(
        DataArguments(dataset=dataset_folder), ModelArguments(vectors=vectors_file, hidden_size=3), arguments
    )


class TestCard:
    def test_a_section_of_its_own(self, result: TrainingResult, moved: Drift) -> None:
        lines = str(make_card(dataclasses.replace(result, drift=moved), "tiny", CardArguments())).splitlines()
        start = lines.index("## How the word vectors moved")
        section = lines[start : lines.index("## Limits")]
        assert section == [
            "## How the word vectors moved",
            "",
            f"{moved}.",
            "",
            "| occurrences in training | words | mean distance |",
            "|---|---|---|",
            "| 1 | 1 | 0 |",
            "| 2–9 | 1 | 4 |",
            "| 10–99 | 1 | 1 |",
            "| 100+ | 1 | 5 |",
            "",
            "Those that moved farthest, and the words nearest to them by cosine:",
            "",
            "| word | occurrences in training | distance | cosine | nearest before | nearest after |",
            "|---|---|---|---|---|---|",
            r"| far | 100 | 5 |  | near\|\`\<b\> · north · east |  |",
            r"| north | 9 | 4 | -1.000 | far · near\|\`\<b\> |  |",
            r"| near\|\`\<b\> | 0 | 3 | 0.800 | far · east · north | east |",
            "| zero | 10 | 1 |  |  |  |",
            "",
        ]
        assert lines[start - 1] == "" and lines[start - 2].startswith("| classifier_dropout")

    def test_where_nothing_moved(self, result: TrainingResult) -> None:
        rows = make_rows(3, seed=0)
        still = measure_drift(make_words(3), rows, rows, None)
        lines = str(make_card(dataclasses.replace(result, drift=still), "tiny", CardArguments())).splitlines()
        section = lines[lines.index("## How the word vectors moved") : lines.index("## Limits")]
        assert section == ["## How the word vectors moved", "", "0 of 3 words moved (0.0%).", ""]

    def test_none_without_a_drift(self, result: TrainingResult) -> None:
        lines = str(make_card(result, "tiny", CardArguments())).splitlines()
        assert "## How the word vectors moved" not in lines
        limits = lines.index("## Limits")
        assert lines[limits - 1] == "" and lines[limits - 2].startswith("| classifier_dropout")


class TestFolder:
    def test_comes_and_goes_with_the_model(self, result: TrainingResult, moved: Drift, tmp_path: Path) -> None:
        write_model_folder(dataclasses.replace(result, drift=moved), tmp_path)
        assert json.loads((tmp_path / "drift.json").read_text(encoding="utf-8")) == moved.to_dict()
        write_model_folder(result, tmp_path)
        assert (tmp_path / "config.json").exists() and not (tmp_path / "drift.json").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize("old_has_one", [True, False])
    def test_interrupted_at_any_move_the_older_models_is_there(
        self, old_has_one: bool, result: TrainingResult, moved: Drift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = (
            dataclasses.replace(result, drift=moved if has else None) for has in (old_has_one, not old_has_one)
        )
        write_model_folder(old, tmp_path)
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        assert ("drift.json" in before) == old_has_one
        replace = os.replace
        stop = moves = 0

        def interrupted(*paths: Any) -> None:
            nonlocal moves
            moves += 1
            if moves == stop:
                raise KeyboardInterrupt
            replace(*paths)

        monkeypatch.setattr("glove_bilstm.hub.folder.write_json", lambda file, content: file.write_text("new"))
        monkeypatch.setattr("glove_bilstm.hub.folder.os.replace", interrupted)
        for number in range(1, 2 * len(before) + (0 if old_has_one else 2)):
            stop, moves = number, 0
            with pytest.raises(KeyboardInterrupt):
                write_model_folder(new, tmp_path)
            assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
        stop = 0
        write_model_folder(new, tmp_path)
        assert (tmp_path / "drift.json").exists() != old_has_one

    def test_what_a_killed_process_moved_away_comes_back(
        self, result: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_model_folder(result, tmp_path)
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        (tmp_path / ".incomplete-1" / "old").mkdir(parents=True)
        os.replace(tmp_path / "config.json", tmp_path / ".incomplete-1" / "old" / "config.json")

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(result.model, "save_pretrained", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_model_folder(result, tmp_path)
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    def test_who_may_read_one_file_may_read_all(self, result: TrainingResult, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            write_model_folder(result, tmp_path)
        finally:
            os.umask(before)
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o644}
