"""Which files of a data set are read, as which splits, and how csv is read."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, Value
from datasets.info import DatasetInfosDict
from helpers import write_jsonl

from glove_bilstm.training import csv_files
from glove_bilstm.training.datasets import load_labelled_texts
from glove_bilstm.training.splits import find_split, load_raw_splits
from glove_bilstm.vectors.errors import InputError


def write(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(line + "\n" for line in lines))
    return file


def contents(dataset: Path) -> dict[str, dict[str, list[Any]]]:
    """The columns of each split."""
    return {name: split.rows.to_dict() for name, split in load_raw_splits(dataset).items()}


@pytest.mark.parametrize(
    ("lines", "columns"),
    [
        ((",text,label", "0,good,a", "1,bad,b", "2,fine,a"), {"text": ["good", "bad", "fine"], "label": [*"aba"]}),
        # As pandas writes a frame that it read with the column of row numbers in it, and spreadsheets a last comma.
        ((",Unnamed: 0,text,", "0,5,good,", "1,6,bad,"), {"Unnamed: 0": ["5", "6"], "text": ["good", "bad"]}),
        (("text,label", "good", "", "NA,"), {"text": ["good", "NA"], "label": [None, ""]}),
    ],
)
@pytest.mark.parametrize("folder", [True, False])
def test_the_columns_of_csv(lines: tuple[str, ...], columns: dict[str, list], folder: bool, tmp_path: Path) -> None:
    file = write(tmp_path / "train.csv", *lines)
    assert contents(tmp_path if folder else file) == {"train": columns}


def test_csv_of_more_rows_than_are_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BATCH", 3)
    texts = [f"t{number}" for number in range(7)]
    file = write(tmp_path / "mine.tsv", "text\tlabel", *[f"{text}\t{text}b" for text in texts[:6]], texts[6])
    assert contents(file) == {"train": {"text": texts, "label": [*[f"{text}b" for text in texts[:6]], None]}}
    with file.open("a") as rows:
        rows.write("a\tb\tc\n")
    with pytest.raises(InputError, match=r"mine\.tsv, row 8: there are 3 fields and 2 column names"):
        load_raw_splits(file)
    write(file, "text\tlabel", *["a\tb"] * 6)
    assert len(load_raw_splits(file)["train"].rows) == 6


@pytest.mark.parametrize(
    ("name", "lines", "where"),
    [
        (
            "mine.tsv",
            ["one\ta", '"two\ta', "three\tb", '"four" plot\tb', "five\ta"],
            r"line 3 can't be read as tsv: .*, and with it all up to line 5\. Put a text that holds quotes in quotes",
        ),
        ("mine.csv", ["one,a", "", 'two,"b', "three,a"], r"line 4 can't be read as csv: .* all up to line 5\."),
        ("mine.csv", ["one,a", '"she said \\"two\\"",a'], r"line 3 can't be read as csv: ',' expected after '\"'\. "),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_stray_quotes_take_no_rows_along(
    name: str, lines: list[str], where: str, packed: bool, tmp_path: Path
) -> None:
    file = write(tmp_path / name, "text\tlabel" if name.endswith("tsv") else "text,label", *lines)
    if packed:
        file = file.rename(tmp_path / f"{name}.gz")
        file.write_bytes(gzip.compress(file.read_bytes()))
    with pytest.raises(InputError, match=rf"{file.name}, {where}"):
        load_raw_splits(file)


def test_each_csv_file_is_read_by_its_own_header_and_mark(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "id,text,label", "7,good,a", "8,bad,b", "9,fine,a")
    write(tmp_path / "validation.csv", "label,text", "b,awful")
    write(tmp_path / "test.tsv", "text\tlabel\tsource", "so, so\tb\tx", "great\ta\ty")
    assert contents(tmp_path) == {
        "train": {"id": [*"789"], "text": ["good", "bad", "fine"], "label": [*"aba"]},
        "validation": {"label": ["b"], "text": ["awful"]},
        "test": {"text": ["so, so", "great"], "label": [*"ba"], "source": [*"xy"]},
    }
    test = load_raw_splits(tmp_path)["test"]
    assert test.untyped and test.at(1) == f"{tmp_path / 'test.tsv'}, row 2"


def test_a_csv_test_split_without_labels_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "text,label", *[f"t{number},{'ab'[number % 2]}" for number in range(12)])
    write(tmp_path / "test.csv", "id,text", "1,awful")
    data = load_labelled_texts(tmp_path, "text", "label", 0.25, seed=0)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 8, "validation": 4}


def test_the_csv_files_of_a_split(tmp_path: Path) -> None:
    write(tmp_path / "train-1.csv", "text,label", "good,a", "bad,b")
    write(tmp_path / "train-2.tsv", "label\ttext", "a\tfine")
    assert contents(tmp_path) == {"train": {"text": ["good", "bad", "fine"], "label": [*"aba"]}}
    write(tmp_path / "train-3.csv", "text,stars", "dull,1")
    with pytest.raises(InputError, match=r"train-3\.csv has the columns text, stars, and .*train-1\.csv has text, la"):
        load_raw_splits(tmp_path)


@pytest.mark.parametrize("other", ["train.jsonl", "test.jsonl", "train.parquet"])
def test_files_of_two_formats(other: str, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "text,label", "good,a", "bad,b")
    rows = Dataset.from_dict({"text": ["fine"], "label": ["a"]})
    if other.endswith(".jsonl"):
        rows.to_json(tmp_path / other)
    else:
        rows.to_parquet(tmp_path / other)
    with pytest.raises(InputError, match="of several formats") as told:
        load_raw_splits(tmp_path)
    assert str(tmp_path / "train.csv") in str(told.value) and str(tmp_path / other) in str(told.value)


def test_a_note_beside_the_data_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", "text,label", "1984,07", "1985,08")
    write(tmp_path / "LICENSE", "Free.")
    write(tmp_path / "README.md", "# Mine")
    assert contents(tmp_path) == {"train": {"text": ["1984", "1985"], "label": ["07", "08"]}}


@pytest.mark.parametrize(
    ("saved", "found"),
    [
        ("train dev test", "train validation test"),
        ("train val evaluation unsupervised", "train validation test unsupervised"),
        ("training valid", "train validation"),
        ("train validation dev", "train validation dev"),
        ("train val dev", "train val dev"),
    ],
)
def test_the_splits_of_a_saved_data_set(saved: str, found: str, tmp_path: Path) -> None:
    rows = {name: Dataset.from_dict({"text": [f"of {name}"] * size}) for size, name in enumerate(saved.split(), 1)}
    DatasetDict(rows).save_to_disk(tmp_path)
    pairs = zip(saved.split(), found.split(), strict=True)
    assert {name: columns["text"][0] for name, columns in contents(tmp_path).items()} == {
        name: f"of {own}" for own, name in pairs
    }
    for own in saved.split():
        assert find_split(tmp_path, own, "test").rows[0] == {"text": f"of {own}"}


CARD = """---
configs:
- config_name: {name}
  data_files:
  - split: train
    path: first{ending}
  - split: dev
    path: more/*{ending}
{more}---
# Mine
"""


@pytest.fixture(params=[".csv", ".jsonl"])
def carded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder whose files' names tell no splits, and another folder's do."""
    for name, texts in (("first", "abc"), ("more/second", "de"), ("unused", "fghi"), ("sub/third", "jk")):
        file = tmp_path / f"{name}{request.param}"
        if request.param == ".csv":
            write(file, "text", *texts)
        else:
            write_jsonl(file, [{"text": text} for text in texts])
    return tmp_path


def write_card(folder: Path, name: str = "plain", more: str = "") -> None:
    ending = next(folder.glob("first.*")).suffix
    write(folder / "README.md", CARD.format(name=name, ending=ending, more=more))


def test_a_data_card_lists_the_files(carded: Path) -> None:
    write_card(carded)
    assert contents(carded) == {"train": {"text": [*"abc"]}, "validation": {"text": [*"de"]}}
    found = load_raw_splits(carded)
    assert found["validation"].file == next(carded.glob("more/*"))
    assert found["train"].untyped == (carded / "first.csv").exists()


def test_a_data_card_of_several_configurations(carded: Path) -> None:
    write_card(carded, more="- config_name: other\n  data_dir: sub\n")
    with pytest.raises(InputError, match=r"holds several configurations: plain, other \(.*Name the folder or file"):
        load_raw_splits(carded)
    assert contents(carded / "sub") == {"train": {"text": [*"jk"]}}
    write_card(carded, more="- config_name: other\n  data_dir: sub\n  default: true\n")
    assert contents(carded) == {"train": {"text": [*"jk"]}}
    write_card(carded, name="default", more="- config_name: other\n  data_dir: sub\n")
    assert set(contents(carded)) == {"train", "validation"}


def test_a_data_card_that_lists_files_elsewhere(carded: Path) -> None:
    folder = carded / "new"
    ending = next(carded.glob("first.*")).suffix
    head = f"configs: [{{config_name: default, data_files: [{{split: train, path: {carded}/first{ending}}}]}}]"
    write(folder / "README.md", "---", head, "---")
    assert contents(folder) == {"train": {"text": [*"abc"]}}
    assert load_raw_splits(folder)["train"].file == next(carded.glob("first.*"))


def test_a_data_card_that_is_wrong(carded: Path) -> None:
    write_card(carded)
    next(carded.glob("first.*")).unlink()
    with pytest.raises(InputError, match="can't be read as a data set: Unable to find .*first"):
        load_raw_splits(carded)
    write(carded / "README.md", "---", "configs: [", "---")
    with pytest.raises(InputError, match=r"README\.md: its configs can't be read"):
        load_raw_splits(carded)


@pytest.mark.parametrize(
    ("train", "test", "labels"),
    [
        (["ape", "zebra", "ape", "zebra"], ["zebra"], {"train": [1, 0, 1, 0], "test": [0]}),
        (["ape", "zebra", "ape", "zebra"], ["", ""], {"train": [1, 0, 1, 0], "test": [None, None]}),
        (["1", "0", "1", "0"], ["-1", "-1"], {"train": [1, 0, 1, 0], "test": [-1, -1]}),
        (["1", "2", "2"], ["1", "cow"], {"train": ["1", "2", "2"], "test": ["1", "cow"]}),  # the card knows two
    ],
)
def test_a_data_card_names_the_classes_of_csv(
    train: list, test: list, labels: dict[str, list], tmp_path: Path
) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["zebra", "ape"])})
    infos = DatasetInfosDict(default=DatasetInfo(features=features))
    infos.write_to_directory(tmp_path)
    for name, cells in (("train", train), ("test", test)):
        write(tmp_path / f"{name}.csv", "text,label", *[f"t{number},{cell}" for number, cell in enumerate(cells)])
    assert {name: columns["label"] for name, columns in contents(tmp_path).items()} == labels
    if "cow" not in test:
        data = load_labelled_texts(tmp_path, "text", "label", 0.4, seed=0)
        assert data.labels == ["zebra", "ape"] and ("test" in data.splits) == ("zebra" in test)


def test_classes_called_by_other_numbers(tmp_path: Path) -> None:
    head = "dataset_info: {features: [{name: stars, dtype: {class_label: {names: {'0': '1', '1': '2', '2': '3'}}}}]}"
    write(tmp_path / "README.md", "---", head, "---")
    write(tmp_path / "train.csv", "stars", "3", "1", "2", "1")
    assert contents(tmp_path)["train"]["stars"] == [2, 0, 1, 0]
    write(tmp_path / "train.csv", "stars", "2", "1")  # ids too, but names first
    assert contents(tmp_path)["train"]["stars"] == [1, 0]
    write(tmp_path / "train.csv", "stars", "0", "1", "2", "1")
    assert contents(tmp_path)["train"]["stars"] == [0, 1, 2, 1]


def test_lines_of_spaces_are_none(tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", "  ", "text,label", "a,x", "   ", "b,y", "\t", '"",z', " ")
    assert load_raw_splits(tmp_path / "mine.csv")["train"].rows["label"][:] == ["x", "y", "z"]


@pytest.mark.parametrize("head", ["license: mit", "Some text here", "license:\tmit\n\tfoo: b", "{broken"])
def test_a_readme_that_is_no_card(head: str, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "text,label", "a,0")
    (tmp_path / "README.md").write_bytes(f"---\n{head}\n---\nby Ren\xe9\n".encode("latin-1"))
    assert contents(tmp_path)["train"]["label"] == ["0"]


def test_classes_that_yaml_takes_for_numbers(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "text,label", "a,1", "b,4")
    names = ", ".join(f"'{number}': {number + 1}" for number in range(5))
    head = f"dataset_info: {{features: [{{name: label, dtype: {{class_label: {{names: {{{names}}}}}}}}}]}}"
    write(tmp_path / "README.md", "---", head, "---")
    rows = load_raw_splits(tmp_path)["train"].rows
    assert rows["label"][:] == [0, 3] and rows.features["label"].names == list("12345")
    write(tmp_path / "README.md", "---", head.replace(": 1,", ": no,"), "---")
    assert contents(tmp_path)["train"]["label"] == ["1", "4"]


def test_a_card_that_says_how_csv_is_read(tmp_path: Path) -> None:
    write(tmp_path / "e.csv", "text;label", "a, b;x")
    write(tmp_path / "README.md", "---", "configs: [{config_name: default, data_files: e.csv, sep: ';'}]", "---")
    with pytest.raises(InputError, match="has its csv files read with sep, which only datasets itself does"):
        load_raw_splits(tmp_path)


@pytest.mark.parametrize(
    ("name", "on_the_hub"),
    [
        ("someone/texts-2.5", True),
        ("texts.v2", True),
        ("train.csv", False),
        ("data/train.JSONL.gz", False),
        ("./texts", False),
        ("one/two/three", False),
    ],
)
def test_what_may_be_a_name_on_the_hub(name: str, on_the_hub: bool) -> None:
    told = f"There is no file or folder {Path(name)}" + (", and the Hub" if on_the_hub else ". Give one that exists")
    with pytest.raises(InputError, match=re.escape(told)):
        load_raw_splits(name)
