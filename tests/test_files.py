"""Writing and reading the files of a model folder."""

import sys
from pathlib import Path

import pytest
from helpers import run

from glove_bilstm.hub.files import MARK, MEASURED_ON, read_json, write_json
from glove_bilstm.vectors.errors import InputError


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    write_json(file, {"é": [0.5, None]})
    assert read_json(file) == {"é": [0.5, None]} and "é" in file.read_text(encoding="utf-8")
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert read_json(file) == {"é": [0.5, None]} and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(b"{", "is not JSON"), ('{"a": 1}'.encode("utf-16"), "isn't UTF-8 text"), (b"", "is not JSON")],
    ids=["cut", "UTF-16", "empty"],
)
def test_what_is_no_json(content: bytes, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"config\.json {wrong}.+\.$"):
        read_json(tmp_path / "config.json")


def test_the_mark_is_found_again() -> None:
    found = MEASURED_ON.search(f"# a card\n\n{MARK.format('0af9' * 16)}\n")
    assert found is not None and found[1] == "0af9" * 16


@pytest.mark.slow
def test_pushing_and_jobs_need_nothing_of_what_makes_a_card() -> None:
    code = (
        "import sys, glove_bilstm.hub.push, glove_bilstm.inference.jobs\n"
        "print({'matplotlib', 'accelerate', 'glove_bilstm.hub.card'} & set(sys.modules))"
    )
    done = run(sys.executable, "-c", code)
    assert done.stdout.strip() == "set()", done.stderr or done.stdout
