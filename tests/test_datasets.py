"""What loading makes of data sets as they come."""

import csv
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from helpers import write_jsonl

from glove_bilstm.training.datasets import LabelledTexts, load_labelled_texts
from glove_bilstm.training.labels import guess_problem_type
from glove_bilstm.training.splits import is_file_alone, load_raw_splits
from glove_bilstm.vectors.errors import InputError


def load(dataset: Path, share: float = 0.25, seed: int = 0, **options: Any) -> LabelledTexts:
    return load_labelled_texts(dataset, "text", "label", share, seed, **options)


def rows(*labels: object) -> list[dict[str, object]]:
    return [{"text": f"t{number}", "label": label} for number, label in enumerate(labels)]


def test_splits_under_their_usual_names(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        write_jsonl(tmp_path / f"{name}.jsonl", rows("a", "b"))
    data = load(tmp_path)
    assert set(data.splits) == {"train", "validation", "test"}
    assert data.splits["validation"]["text"][:] == ["t0", "t1"]


def test_splits_of_other_names_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    splits = {name: Dataset.from_list(rows(*"ab" * 7)) for name in ("train", "dev", "challenge")}
    DatasetDict(splits).save_to_disk(tmp_path / "d")
    with caplog.at_level(logging.INFO, "glove_bilstm"):
        data = load(tmp_path / "d")
    assert set(data.splits) == {"train", "validation"} and data.own_validation
    assert "Neither trained nor measured on: challenge." in caplog.text


def test_validation_is_cut_by_class_and_repeatably(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write_jsonl(tmp_path / "mine.jsonl", rows(*(["a"] * 40 + ["b"] * 12 + ["c"])))
    with caplog.at_level(logging.INFO, "glove_bilstm"):
        data = load(file)
    assert "There is no validation split: 13 of the 53 training rows are held out" in caplog.text
    labels = [data.labels[label] for label in data.splits["validation"]["label"]]
    assert (labels.count("a"), labels.count("b"), labels.count("c")) == (10, 3, 0)
    texts = {name: set(split["text"]) for name, split in data.splits.items()}
    assert not texts["train"] & texts["validation"] and len(texts["train"] | texts["validation"]) == 53
    assert set(load(file).splits["validation"]["text"]) == texts["validation"]
    assert set(load(file, seed=1).splits["validation"]["text"]) != texts["validation"]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["pos", "neg"], ["neg", "pos"]),
        ([10, 9, 1], ["1", "9", "10"]),
        ([True, False], ["False", "True"]),
        ([1.0, 0.0], ["0", "1"]),
        (["10", "9"], ["9", "10"]),
    ],
)
def test_names_of_labels(values: list, names: list[str], tmp_path: Path) -> None:
    data = load(write_jsonl(tmp_path / "mine.jsonl", rows(*values * 4)))
    assert data.labels == names
    assert {data.labels[label] for label in data.splits["train"]["label"]} == set(names)


def test_class_label_keeps_its_order_and_an_unlabelled_test_split_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["zebra", "ape"])})
    for name, labels in (("train", [0, 1] * 4), ("validation", [1, 0]), ("test", [-1, -1])):
        texts = [f"{name}{number}" for number in range(len(labels))]
        Dataset.from_dict({"text": texts, "label": labels}, features=features).to_parquet(tmp_path / f"{name}.parquet")
    with caplog.at_level(logging.INFO, "glove_bilstm"):
        data = load(tmp_path)
    assert data.labels == ["zebra", "ape"] and data.splits["validation"]["label"][:] == [1, 0]
    assert set(data.splits) == {"train", "validation"} and "The test split has no labels" in caplog.text


@pytest.mark.parametrize("in_lists", [False, True])
def test_a_row_without_its_class_is_named(in_lists: bool, tmp_path: Path) -> None:
    """In a column of classes -1 says that there is none."""
    kind = ClassLabel(names=["zebra", "ape"])
    labels: list[Any] = [[0], [1], [-1], [0, 1]] if in_lists else [0, 1, -1, 1]
    features = Features({"text": Value("string"), "label": List(kind) if in_lists else kind})
    Dataset.from_dict({"text": list("abcd"), "label": labels}, features=features).to_parquet(tmp_path / "v.parquet")
    with pytest.raises(InputError, match=r"v\.parquet, row 3: 'label' holds .*-1.*, which isn't"):
        load(tmp_path / "v.parquet")


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    content = '\ufefftext,label\r\n"said ""no"", twice",a\r\n"two\nlines", b\r\n1984,a\r\nNA,b\r\n'
    (tmp_path / "mine.csv").write_bytes(content.encode())
    data = load(tmp_path / "mine.csv", share=0.5)
    texts = {text for split in data.splits.values() for text in split["text"]}
    assert texts == {'said "no", twice', "two\nlines", "1984", "NA"}
    assert data.labels == ["a", "b"]


@pytest.mark.parametrize("folder", [True, False])
def test_csv_values_stay_as_they_are_written(folder: bool, tmp_path: Path) -> None:
    """Numbers, and what pandas takes for missing."""
    lines = ["text,label", *(f"{number},{label}" for number in range(8) for label in ("None", "NA"))]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    data = load(tmp_path if folder else tmp_path / "train.csv")
    assert data.labels == ["NA", "None"] and "7" in data.splits["train"]["text"][:]


def test_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows("a", "b"))
    monkeypatch.chdir(tmp_path)
    assert len(load_raw_splits(".")["train"].rows) == 2


@pytest.mark.parametrize("folder", [True, False])
def test_a_parquet_file_without_rows(folder: bool, tmp_path: Path) -> None:
    file = tmp_path / "validation.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}), file)
    with pytest.raises(InputError, match=r"validation\.parquet is empty\. Fill it"):
        load_raw_splits(tmp_path if folder else file)


def test_many_classes_of_few_rows(tmp_path: Path) -> None:
    data = load(write_jsonl(tmp_path / "mine.jsonl", rows(*[f"class {n % 25}" for n in range(50)])), share=0.1)
    assert len(data.splits["validation"]) == 5 and len(data.splits["train"]) == 45


def test_a_text_without_words_may_stand_in_the_test_split(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows(*["a", "b"] * 9))
    write_jsonl(tmp_path / "test.jsonl", [{"text": "", "label": "a"}])
    assert load(tmp_path).splits["test"]["text"][:] == [""]


def test_errors_name_the_file_of_a_split(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows("a", "b") * 9)
    write_jsonl(tmp_path / "validation.jsonl", [*rows("a"), {"text": " ", "label": "b"}])
    with pytest.raises(InputError, match=r"validation\.jsonl, row 2: 'text' is empty"):
        load(tmp_path)


def test_without_a_train_split(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "test.jsonl", rows("a", "b"))
    with pytest.raises(InputError, match="has no split 'train'; it has: test"):
        load(tmp_path)


def test_several_files_of_one_split(tmp_path: Path) -> None:
    for part in (1, 2):
        pq.write_table(pa.table({"text": ["x"], "label": ["a"]}), tmp_path / f"train-0000{part}-of-00002.parquet")
    (split,) = load_raw_splits(tmp_path).values()
    assert len(split.rows) == 2 and split.file is None and split.at(1) == "split 'train', row 2"


def labels_of(data: LabelledTexts) -> dict[str, Any]:
    """Text → label, of all splits."""
    return {text: label for split in data.splits.values() for text, label in zip(*split[:].values(), strict=True)}


@pytest.mark.parametrize(
    ("values", "problem_type"),
    [
        ([["a"], [], ["b", "a"], ["a, b"]], "multi_label_classification"),
        ([[1], [], [2], []], "multi_label_classification"),
        ([[1], ["a"], [], []], "multi_label_classification"),
        ([0.5, 1.0, 2, 3], "regression"),
        ([1.0, 2.0, 1.0, 2.0], "single_label_classification"),
        ([1.0, 2.0, None, 2.0], "single_label_classification"),
        ([1, 2, 1, 2], "single_label_classification"),
        (["0.5", "1.5", "0.5", "1.5"], "single_label_classification"),  # written as names, unlike in csv
        (["a", "b", "a", "b"], "single_label_classification"),
    ],
)
def test_the_labels_tell_the_task(values: list, problem_type: str, tmp_path: Path) -> None:
    (split,) = load_raw_splits(write_jsonl(tmp_path / "mine.jsonl", rows(*values))).values()
    assert guess_problem_type(split, "label") == problem_type


@pytest.mark.parametrize(
    ("cells", "problem_type", "labels"),
    [
        (["1", "2.0", "0.25", "-1e3"], "regression", [1.0, 2.0, 0.25, -1000.0]),
        (["1", "2.0", "", "3"], "single_label_classification", None),
        (["0.5", "a", "0.5", "a"], "single_label_classification", [0, 1, 0, 1]),
        (["3", "2", "3", "2"], "single_label_classification", [1, 0, 1, 0]),
        (['["a"]', "[]", '["b", "a"]', '[" a"]'], "multi_label_classification", [[1, 0], [0, 0], [1, 1], [1, 0]]),
    ],
)
def test_in_csv_the_cells_tell(
    cells: list[str], problem_type: str, labels: list | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (tmp_path / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *([f"t{n}", cell] for n, cell in enumerate(cells * 2))])
    (split,) = load_raw_splits(tmp_path).values()
    assert guess_problem_type(split, "label") == problem_type
    if labels is not None:
        with caplog.at_level(logging.INFO, "glove_bilstm"):
            found = labels_of(load(tmp_path))
        assert [found[f"t{n}"] for n in range(len(cells))] == labels
        told = f"{problem_type} (--problem_type tells otherwise)" in caplog.text
        assert told == (problem_type != "single_label_classification")


def test_told_the_task_the_labels_are_read_so(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "mine.jsonl", rows(*[1, 2, 5] * 4))
    data = load(file, problem_type="regression")
    assert data.problem_type == "regression" and data.labels == ["label"]
    assert labels_of(data)["t2"] == 5.0 and data.splits["train"].features["label"] == Value("float64")
    (tmp_path / "mine.csv").write_text("text,label\n" + "".join(f"t{n},{n}\n" for n in range(8)))
    assert labels_of(load(tmp_path / "mine.csv", problem_type="regression"))["t7"] == 7.0


@pytest.mark.parametrize("kind", ["names", "ints", "mixed", "class labels"])
def test_lists_of_labels_become_vectors(kind: str, tmp_path: Path) -> None:
    lists: list[list[Any]] = [["b"], [], ["a, b", "b"], ["b", "b"]] * 3
    names = ["a, b", "b"]
    if kind == "class labels":
        names = ["never", "b", "a, b"]
        features = Features({"text": Value("string"), "label": List(ClassLabel(names=names))})
        Dataset.from_list(rows(*lists), features=features).to_parquet(tmp_path / "mine.parquet")
    else:
        if kind == "ints":
            lists, names = [[{"b": 10, "a, b": 9}[label] for label in one] for one in lists], ["9", "10"]
        elif kind == "mixed":
            lists, names = [[{"b": 10, "a, b": "x"}[label] for label in one] for one in lists], ["10", "x"]
        write_jsonl(tmp_path / "mine.jsonl", rows(*lists))
    data = load(next(tmp_path.iterdir()))
    assert data.problem_type == "multi_label_classification" and data.labels == names
    found = labels_of(data)
    b, a_b = {"names": (1, 0), "ints": (1, 0), "mixed": (0, 1), "class labels": (1, 2)}[kind]
    for text, labels in (("t0", {b}), ("t1", set()), ("t2", {a_b, b}), ("t3", {b})):
        assert found[text] == [float(position in labels) for position in range(len(names))], text


def test_a_label_in_a_list_that_training_does_not_have(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows(*[["a"], ["b"]] * 9))
    write_jsonl(tmp_path / "test.jsonl", rows(["a"], [], ["b", "meh", "a"]))
    with pytest.raises(InputError, match=r"test\.jsonl, row 3: the label 'meh' doesn't occur in the training split"):
        load(tmp_path)


def test_a_test_split_of_empty_lists_is_unlabelled(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows(*[["a"], ["b"]] * 9))
    write_jsonl(tmp_path / "test.jsonl", rows([], []))
    assert set(load(tmp_path).splits) == {"train", "validation"}


def test_multi_label_validation_has_its_share_of_rare_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lists = [["often", *(["rare"] if number % 10 == 0 else [])] for number in range(80)] + [[]] * 20
    file = write_jsonl(tmp_path / "mine.jsonl", rows(*lists))
    with caplog.at_level(logging.INFO, "glove_bilstm"):
        data = load(file, share=0.25)
    assert data.labels == ["often", "rare"] and "(by the rarest label of each, seed 0)" in caplog.text
    for seed in range(5):  # not by chance
        vectors = np.array(load(file, seed=seed).splits["validation"]["label"][:])
        assert vectors.sum(axis=0).tolist() == [20, 2] and (~vectors.any(axis=1)).sum() == 5
    assert labels_of(load(file)) == labels_of(load(file, seed=1))
    assert data.splits["validation"]["text"][:] == load(file).splits["validation"]["text"][:]
    assert data.splits["validation"]["text"][:] != load(file, seed=1).splits["validation"]["text"][:]


def test_regression_validation_is_cut_at_random(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write_jsonl(tmp_path / "mine.jsonl", rows(*(number / 2 for number in range(51))))
    with caplog.at_level(logging.INFO, "glove_bilstm"):
        cut = load(file).splits["validation"]["text"][:]
    assert len(cut) == 13 and cut == load(file).splits["validation"]["text"][:]
    assert cut != load(file, seed=1).splits["validation"]["text"][:] and "(at random, seed 0)" in caplog.text


def test_many_labels_of_few_rows(tmp_path: Path) -> None:
    lists = [[f"label {n % 25}", f"label {(n + 3) % 25}"] for n in range(50)]
    data = load(write_jsonl(tmp_path / "mine.jsonl", rows(*lists)), share=0.1)
    assert len(data.labels) == 25 and len(data.splits["validation"]) == 5
    one_large = ["large"] * 10 + [f"class {n}" for n in range(40)]
    data = load(write_jsonl(tmp_path / "other.jsonl", rows(*one_large)), share=0.1)
    assert len(data.splits["validation"]) == 5  # and not the one row that its class's share would be


def test_pairs(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "mine.jsonl", [{**row, "b": None if n == 3 else f"b{n}"} for n, row in enumerate(rows(*"xy" * 9))]
    )
    data = load(tmp_path / "mine.jsonl", text_pair_column="b")
    train = data.splits["train"]
    assert data.are_pairs and train.column_names == ["text", "text_pair", "label"]
    assert data.texts("train") == [*train["text"], *train["text_pair"]]
    pairs = {row["text"]: row["text_pair"] for split in data.splits.values() for row in split}
    assert pairs["t3"] == "" and pairs["t4"] == "b4"
    with pytest.raises(InputError, match="has no column 'c'; it has: text, label, b"):
        load(tmp_path / "mine.jsonl", text_pair_column="c")


@pytest.mark.parametrize("several", [True, False])
def test_what_save_to_disk_wrote(several: bool, tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["off", "on"])})
    rows = Dataset.from_dict(
        {"text": [f"t{row}" for row in range(13)], "label": [row % 2 for row in range(13)]}, features
    )
    rows = rows.select(range(12, -1, -1)).with_format("torch")
    (DatasetDict(train=rows, validation=rows) if several else rows).save_to_disk(tmp_path / "saved")
    data = load(tmp_path / "saved", share=0.4)
    assert data.labels == ["off", "on"] and data.own_validation is several
    if several:
        assert data.splits["train"]["text"][:2] == ["t12", "t11"] and data.splits["train"]["label"][:2] == [0, 1]
    else:
        assert sorted(data.splits["train"]["text"][:] + data.splits["validation"]["text"][:]) == sorted(rows["text"])


@pytest.mark.parametrize("broken", ["text", "label"])
def test_text_that_is_no_utf8_is_named(broken: str, tmp_path: Path) -> None:
    good, bad = b'{"text": "t%d", "label": "a"}\n{"text": "t", "label": "b"}\n', b'{"text": "t", "label": "caf\xe9"}\n'
    if broken == "text":
        bad = b'{"text": "caf\xe9", "label": "a"}\n'
    (tmp_path / "mine.jsonl").write_bytes(b"".join(good % row for row in range(20)) + bad)
    with pytest.raises(InputError, match=rf"mine.jsonl, row 41: '{broken}' isn't UTF-8 text. Save the file as UTF-8"):
        load(tmp_path / "mine.jsonl")


def test_a_file_alone_is_no_training_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "held-out.jsonl", rows("a", "b"))
    write_jsonl(tmp_path / "demo", rows("a", "b"))
    monkeypatch.chdir(tmp_path)
    assert is_file_alone("held-out.jsonl")
    assert not any(map(is_file_alone, ("demo", ".", "somebody/reviews")))


class TestUnlabelled:
    """Published test splits have no labels, in the form that the file allows."""

    @pytest.mark.parametrize(
        ("labels", "withheld"),
        [(["0.5", "1.5", "0.25"], "-1.0"), (["a", "b", "a"], "-1"), (['["a"]', '["b"]', "[]"], "[]")],
    )
    def test_in_csv(self, labels: list[str], withheld: str, tmp_path: Path) -> None:
        for name, cells in {"train": labels * 7, "test": [withheld] * 5}.items():
            with (tmp_path / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([["text", "label"], *([f"t{n}", cell] for n, cell in enumerate(cells))])
        assert set(load(tmp_path).splits) == {"train", "validation"}

    def test_minus_one_may_be_a_label(self, tmp_path: Path) -> None:
        write_jsonl(tmp_path / "train.jsonl", rows(*[-1, 0, 1] * 7))
        write_jsonl(tmp_path / "test.jsonl", rows(-1, -1))
        assert len(load(tmp_path).splits["test"]) == 2
        write_jsonl(tmp_path / "train.jsonl", rows(*[-0.5, 0.25, 1.5] * 7))
        assert len(load(tmp_path).splits["test"]) == 2


class TestCut:
    def test_every_class_stays_in_training(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Of classes of one row each; at random, and the log says so."""
        file = write_jsonl(tmp_path / "mine.jsonl", rows(*range(40), *["big"] * 9))
        for share, cut in ((0.25, 8), (0.75, 8)):
            caplog.clear()
            with caplog.at_level(logging.INFO, "glove_bilstm"):
                data = load(file, share)
            assert len(data.splits["validation"]) == cut and f"{cut} of the 49 training rows" in caplog.text
            assert set(data.splits["train"]["label"]) == set(range(41))
            assert "(at random, seed 0)" in caplog.text and "and 20 more" in caplog.text

    def test_tags_that_occur_once(self, tmp_path: Path) -> None:
        """With hardly a row to spare, the cut takes what it was told to."""
        data = load(write_jsonl(tmp_path / "mine.jsonl", rows(*[["all", f"tag {n}"] for n in range(40)])))
        assert len(data.splits["validation"]) == 10 and len(data.splits["train"]) == 30

    def test_what_is_rare_may_be_lacking(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        load(write_jsonl(tmp_path / "mine.jsonl", rows(*["a"] * 46, *["b"] * 4)), 0.1)
        assert "No validation text has 1 of the 2 labels (b): their figures there are 0" in caplog.text

    def test_a_class_without_training_texts(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])})
        splits = {"train": rows(*[0, 1] * 7), "validation": rows(0, 2, 1)}
        DatasetDict({name: Dataset.from_list(of, features=features) for name, of in splits.items()}).save_to_disk(
            tmp_path / "d"
        )
        load(tmp_path / "d")
        assert "No training text has 1 of the 3 labels (c), so the model can't learn them" in caplog.text

    def test_texts_that_stand_in_both(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("train", "validation", "test"):
            write_jsonl(tmp_path / f"{name}.jsonl", rows(*["a", "b"] * (7 if name == "train" else 2)))
        with caplog.at_level(logging.INFO, "glove_bilstm"):
            load(tmp_path)
        assert caplog.text.count("4 of the 4 ") == 2 and "test texts stand in the training split too." in caplog.text

    def test_pairs_that_stand_in_both(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A pair is known where both of its texts were met together: in pairs, one text often comes with several."""
        pairs = [{**row, "b": f"b{number % 3}"} for number, row in enumerate(rows(*"xy" * 7))]
        write_jsonl(tmp_path / "train.jsonl", pairs)
        write_jsonl(tmp_path / "validation.jsonl", [{"text": "v", "b": "v", "label": "x"}])
        write_jsonl(tmp_path / "test.jsonl", [pairs[0], {**pairs[1], "b": "new"}, {**pairs[2], "text": "new"}])
        with caplog.at_level(logging.INFO, "glove_bilstm"):
            load(tmp_path, text_pair_column="b")
        assert "1 of the 3 test texts stands in the training split too." in caplog.text

    def test_a_class_without_any_text_is_told_of_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b", "c"])})
        splits = {"train": rows(*[0, 1] * 7), "validation": rows(0, 1)}
        DatasetDict({name: Dataset.from_list(of, features=features) for name, of in splits.items()}).save_to_disk(
            tmp_path / "d"
        )
        load(tmp_path / "d")
        assert "No training text has 1 of the 3 labels (c)" in caplog.text
        assert "No validation text" not in caplog.text


class TestGuess:
    def test_one_gap_among_few_values(self, tmp_path: Path) -> None:
        """What counts are rows, of which one in forty holds no number."""
        file = tmp_path / "mine.csv"
        cells = ["0.5", "1.0", "0.0"] * 13 + ["NA"]
        file.write_text("text,label\n" + "".join(f"t{n},{cell}\n" for n, cell in enumerate(cells)))
        with pytest.raises(InputError, match="'label' holds 'NA', which is no finite number"):
            load(file)

    def test_decimals(self, tmp_path: Path) -> None:
        for kind, values in (("regression", ["0.50", "1.25"]), ("single_label_classification", ["1.00", "2.00"])):
            file = tmp_path / f"{kind}.parquet"
            labels = pa.array(values * 9).cast(pa.decimal128(5, 2))
            pq.write_table(pa.table({"text": [f"t{number}" for number in range(18)], "label": labels}), file)
            assert load(file).problem_type == kind

    def test_lists_as_python_prints_them(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        file.write_text("text,label\nt0,[]\n" + "".join(f"t{n},\"['a', 'b']\"\n" for n in range(9)))
        with pytest.raises(InputError, match="row 2: 'label' holds .*, a list as Python prints it. Write lists of"):
            load(file)
        assert len(load(file, problem_type="single_label_classification").labels) == 2

    def test_lists_as_text(self, tmp_path: Path) -> None:
        data = load(write_jsonl(tmp_path / "mine.jsonl", rows(*['["a"]', '["b"]', "[]"] * 5)))
        assert data.problem_type == "multi_label_classification" and data.labels == ["a", "b"]

    def test_as_many_classes_as_rows(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        load(write_jsonl(tmp_path / "mine.jsonl", rows(*[f"id {n // 2 if n < 20 else n}" for n in range(40)])))
        assert "has 30 different values in 40 training rows. If these are no classes" in caplog.text
        with pytest.raises(InputError, match="stand in columns of their own; told were label, label"):
            load_labelled_texts(tmp_path / "mine.jsonl", "label", "label", 0.1, 0)
