"""What loading makes of data sets as they come."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from helpers import write_jsonl

from glove_bilstm.training.datasets import LabelledTexts, load_labelled_texts, load_raw_splits
from glove_bilstm.vectors.errors import InputError


def load(dataset: Path, share: float = 0.25, seed: int = 0) -> LabelledTexts:
    return load_labelled_texts(dataset, "text", "label", share, seed)


def rows(*labels: object) -> list[dict[str, object]]:
    return [{"text": f"t{number}", "label": label} for number, label in enumerate(labels)]


def test_splits_under_their_usual_names(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        write_jsonl(tmp_path / f"{name}.jsonl", rows("a", "b"))
    data = load(tmp_path)
    assert set(data.splits) == {"train", "validation", "test"}
    assert data.splits["validation"]["text"][:] == ["t0", "t1"]


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
