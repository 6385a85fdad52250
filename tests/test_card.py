"""The card of a model, read as the Hub and as a stranger read it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, write_jsonl
from huggingface_hub import ModelCard
from tiny_tasks import check_layout_of_card, command, read_jsonl, run_example_of_card

from glove_bilstm.hub.card import _most_confused, _two_digits
from glove_bilstm.hub.metadata import name_dataset
from glove_bilstm.hub.plan import name_after_repository


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path, vectors_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("cards") / "moods"
    command("train", "--dataset", dataset_folder, "--vectors", vectors_file, "--output_dir", folder, *TINY,
            "--license", "mit", "--language", "en", "--data_seed", "0")  # fmt: skip
    return folder


def table(card: str, first: str) -> tuple[list[str], dict[str, list[str]]]:
    """The header and the rows, by their first cells, of the table that begins with this cell."""
    found = re.search(rf"^\|( *{re.escape(first)} \|.*)\n\|.*\n((?:\|.*\n)+)", card, re.MULTILINE)
    assert found is not None
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in (found[1], *found[2].splitlines())
    ]
    return header[1:], {row[0]: row[1:] for row in rows}


class TestCard:
    def test_metadata(self, trained: Path, dataset_folder: Path) -> None:
        card = ModelCard.load(trained / "README.md")
        data = card.data.to_dict()
        assert data["license"] == "mit" and data["language"] == "en" and data["library_name"] == "transformers"
        assert data["pipeline_tag"] == "text-classification" and "glove-bilstm" in data["tags"]
        assert "datasets" not in data  # a folder is none of the Hub's
        texts = (dataset_folder / "validation.jsonl").read_text()
        assert len(data["widget"]) == 2
        assert all(f'"text": "{one["text"]}", "label": "{one["example_title"]}"' in texts for one in data["widget"])
        results = card.data.eval_results
        assert {(one.dataset_split, one.metric_type) for one in results} == {
            (split, metric)
            for split in ("validation", "test")
            for metric in ("accuracy", "f1", "matthews_correlation")
        }
        assert all(isinstance(one.metric_value, float) for one in results)

    def test_sections(self, trained: Path) -> None:
        card = (trained / "README.md").read_text()
        assert re.findall(r"^#+ (.*)", card, re.MULTILINE) == [
            *("moods", "Use", "Results", "By class", "Confusions", "Calibration", "What it gets wrong"),
            *("Size and speed", "Training data", "Word vectors", "Training", "Limits", "Citation"),
        ]
        # 31 validation texts, in the table of confusions and in that of probabilities.
        rows = re.search(r"\| true \|.*?\n\|.*?\n(.*?)\n\n", card, re.DOTALL)
        assert rows is not None and sum(map(int, re.findall(r"\| (\d+) ", rows[1]))) == 31
        rows = re.search(r"\| probability, on average \|.*?\n\|.*?\n(.*?)\n\n", card, re.DOTALL)
        assert rows is not None and sum(int(row.split("|")[3]) for row in rows[1].splitlines()) == 31
        assert "CPU of the machine that trained it" in card and "license = {Apache-2.0}" in card

    def test_options(self, trained: Path) -> None:
        options = dict(re.findall(r"^\| (\w+) \| (.*) \|$", (trained / "README.md").read_text(), re.MULTILINE))
        assert (options["seed"], options["data_seed"], options["early_stopping_patience"]) == ("42", "0", "4")
        assert options["metric_for_best_model"] == "accuracy" and options["eval_strategy"] == "epoch"
        assert options["hidden_size"] == "6" and "class_weights" not in options

    def test_tables_and_pictures(self, trained: Path) -> None:
        assert check_layout_of_card(trained).count("![") == 2

    def test_its_example_runs(
        self, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "'label': " in run_example_of_card(trained, monkeypatch, capsys)

    def test_without_what_was_not_told(self, model: Path) -> None:
        data = ModelCard.load(model / "README.md").data.to_dict()
        assert "license" not in data and "language" not in data

    def test_strange_texts_and_labels(self, tmp_path: Path, vectors_file: Path) -> None:
        texts = ["a | good <b>film</b>", "`awful` *plot* $x$ [link](here)", "the\nfilm", "dull " * 200]
        rows = [{"text": text, "label": name} for name in ("a|b", "<i>c</i> $d$") for text in texts * 6]
        data = write_jsonl(tmp_path / "strange.jsonl", rows)
        command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", tmp_path / "out", *TINY)
        card = (tmp_path / "out" / "README.md").read_text()
        assert "| a\\|b |" in card and "| \\<i\\>c\\</i\\> \\$d\\$ |" in card
        wrong = re.search(r"\| text \| true \|.*?\n\|.*?\n(.*?)\n\n", card, re.DOTALL)
        assert wrong is not None
        for line in wrong[1].splitlines():
            assert len(re.findall(r"(?<!\\)\|", line)) == 5 and len(line) < 900 and "<b>" not in line

    def test_many_classes_and_few_steps(self, tmp_path: Path, vectors_file: Path) -> None:
        """The table of confusions grows with the square of the classes; and steps end a run, not epochs."""
        rows = [{"text": f"the film {n}", "label": f"class {n % 33}"} for n in range(330)]
        data = write_jsonl(tmp_path / "many.jsonl", rows)
        steps = ["--max_steps", "7"]
        command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", tmp_path / "out", *TINY, *steps)
        card = (tmp_path / "out" / "README.md").read_text()
        assert len(re.findall(r"^\| class \d+ \| class \d+ \| \d+ \|$", card, re.MULTILINE)) in range(3, 31)
        assert max(map(len, card.splitlines())) < 2_000
        assert "7 steps of 32 texts were taken (0.7 epochs), of at most 7 steps." in card
        assert "| num_train_epochs |" not in card

    def test_what_stands_behind_its_figures(self, tmp_path: Path, vectors_file: Path) -> None:
        rows = [{"text": f"the film {n % 7}", "label": f"a, {n % 3}"} for n in range(160)]
        data = write_jsonl(tmp_path / "mine.jsonl", rows)
        told = ["--class_weights", "balanced", "--label_smoothing_factor", "0.1", "--validation_share", "0.125",
                "--optim", "sgd", "--metric_for_best_model", "eval_f1"]  # fmt: skip
        command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", tmp_path / "out", *TINY, *told)
        card = (tmp_path / "out" / "README.md").read_text()
        assert "The loss is that of training, with class weights and label smoothing." in card
        assert "Validation is 12.5% of what was given" in card and "had the best validation f1." in card
        assert "Labels: a, 0 · a, 1 · a, 2." in card and "name: F1, the mean over the classes" in card
        assert "| adam_" not in card and "| max_steps |" not in card and "| optim | sgd |" in card

    @pytest.mark.parametrize(
        ("megabytes", "shown"), [(0.0316, "0.032"), (7.349, "7.3"), (99.6, "100"), (4574, "4,574")]
    )
    def test_sizes_are_plain_numbers(self, megabytes: float, shown: str) -> None:
        assert _two_digits(megabytes) == shown

    @pytest.mark.parametrize(
        ("dataset", "named"),
        [
            ("demo", ("the bundled demo reviews", False)),
            ("~/reviews", ("reviews", False)),
            (".", ("reviews", False)),
            ("latest", ("latest", False)),
            (Path("../reviews/train.csv"), ("train.csv", False)),
            ("some/body", ("some/body", True)),
        ],
    )
    def test_a_data_set_by_its_name(
        self, dataset: str | Path, named: tuple[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reviews = tmp_path / "reviews"
        reviews.mkdir()
        (reviews / "train.csv").touch()
        (reviews / "latest").symlink_to(reviews / "train.csv")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(reviews)
        assert name_dataset(dataset) == named

    def test_its_figures_are_those_of_the_run(self, trained: Path, dataset_folder: Path) -> None:
        card = (trained / "README.md").read_text()
        results = json.loads((trained / "all_results.json").read_text())
        prefixes = {"validation": "eval", "test": "test"}
        for one in ModelCard.load(trained / "README.md").data.eval_results:
            measured = results[f"{prefixes[one.dataset_split]}_{one.metric_type}"]
            assert one.metric_value == pytest.approx(measured, abs=5e-5), one
        columns, whole = table(card, "metric")
        assert columns == ["validation", "test"]
        for name, cells in whole.items():
            assert cells == [f"{results[f'{prefixes[split]}_{name}']:.4f}" for split in columns], name
        columns, classes = table(card, "")
        assert set(classes) == {"neg", "pos"} and len(columns) == 6
        for label, cells in classes.items():
            places = [column.split(": ") for column in columns]
            assert cells == [f"{results[f'{prefixes[split]}_{kind}_{label}']:.4f}" for split, kind in places], label
        splits = {name: read_jsonl(dataset_folder / f"{name}.jsonl") for name in ("train", "validation", "test")}
        assert ", ".join(f"{len(rows):,} {name}" for name, rows in splits.items()) in card
        # The answers of each row that are right, together: all that are.
        rows = re.search(r"\| probability, on average \| right .*\n\|.*\n((?:\|.*\n)+)", card)
        assert rows is not None
        bins = [[float(cell) for cell in line.strip("| ").split("|")] for line in rows[1].splitlines()]
        right = sum(share * count for _, share, count in bins)
        assert right / 31 == pytest.approx(results["eval_accuracy"], abs=1e-3)

    def test_a_step_of_several_batches_and_words_without_vectors(self, tmp_path: Path, vectors_file: Path) -> None:
        rows = [{"text": f"the film {n % 7}", "label": f"a, {n % 3}"} for n in range(160)]
        data = write_jsonl(tmp_path / "mine.jsonl", rows)
        command("train", "--dataset", data, "--vectors", vectors_file, "--output_dir", tmp_path / "out", *TINY,
                "--gradient_accumulation_steps", "2")  # fmt: skip
        card = (tmp_path / "out" / "README.md").read_text()
        assert "steps of 64 texts were taken" in card
        # "the" and "film" have vectors and stand in every text, the numbers from 0 to 6 have none.
        columns, coverage = table(card, "split")
        assert columns[:3] == ["types with a vector", "tokens with a vector", "of which as spelled"]
        assert coverage["train"] == ["22.2%", "66.7%", "66.7%", "0.0%", "0.0%"]


class TestRepository:
    EXAMPLE = 'classify = pipeline("text-classification", model="tiny", trust_remote_code=True)'
    CARD = f'---\nx: model="y"\n---\n\n# tiny\n\n{EXAMPLE}\n\n# other tiny\n| a "tiny" film |\n'

    def test_its_name_instead_of_the_folders(self) -> None:
        named = name_after_repository(self.CARD, "some/body")
        assert named == self.CARD.replace('model="tiny"', 'model="some/body"').replace("# tiny", "# body", 1)
        assert name_after_repository(named, "some/body") == named
        assert name_after_repository(named, "else/where") == named.replace("some/body", "else/where").replace(
            "# body", "# where"
        )

    def test_the_results_are_the_repositorys_too(self, trained: Path) -> None:
        card = name_after_repository((trained / "README.md").read_text(), "some/body")
        assert ModelCard(card).data.to_dict()["model-index"][0]["name"] == "body"

    def test_a_folder_called_as_the_task(self) -> None:
        card = self.CARD.replace("tiny", "text-classification")
        assert 'pipeline("text-classification", model="some/body"' in name_after_repository(card, "some/body")

    def test_a_card_without_an_example(self) -> None:
        assert name_after_repository("# mine\n", "some/body") == "# mine\n"


def test_the_most_frequent_confusions() -> None:
    counts = np.array([[9, 2, 0], [5, 9, 0], [0, 1, 9]])
    rows = [["b", "a", "5"], ["a", "b", "2"], ["c", "b", "1"]]
    assert _most_confused(counts, ["a", "b", "c"]) == (rows, 3)
