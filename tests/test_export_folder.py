"""The folder of an export takes an earlier one's place, and nothing else's, whenever it is killed."""

import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import run

from glove_bilstm.inference.export_folder import check_replaceable, new_folder
from glove_bilstm.scripts.main import main
from glove_bilstm.vectors.errors import InputError


def write(output: Path, content: str) -> None:
    with new_folder(output) as folder:
        assert list(folder.iterdir()) == []
        (folder / "export.json").write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_what_is_more_than_an_export_is_kept(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = shutil.copytree(model, tmp_path / "ours")
    assert main(["export", "--model", str(model), "--output", str(tmp_path / "onnx")]) == 0
    for file in (tmp_path / "onnx").iterdir():  # laid at the top of the model's own folder
        shutil.copy(file, ours)
    before = names(ours)
    capsys.readouterr()
    assert main(["export", "--model", str(tmp_path / "nowhere"), "--output", str(ours)]) == 1  # seen before any work
    told = capsys.readouterr().err
    assert f"{ours} holds more than an earlier export, which would be lost: README.md, " in told
    assert f", …. Name a new folder, such as {ours / 'onnx'}, or move that away." in told
    with pytest.raises(InputError, match="holds more"):
        write(ours, "new")
    assert names(ours) == before and names(tmp_path) == ["onnx", "ours"]


@pytest.mark.parametrize("name", ["model.safetensors", ".gitattributes", "checkpoint-9", "onnx"])
def test_one_file_more_is_enough(name: str, tmp_path: Path) -> None:
    output = tmp_path / "onnx"
    write(output, "old")
    (output / "__pycache__").mkdir()  # of its use
    write(output, "new")
    assert names(output) == ["export.json"]
    (output / name).mkdir()
    with pytest.raises(InputError, match=f"would be lost: {name}. Name"):
        write(output, "newer")
    assert (output / "export.json").read_text() == "new" and (output / name).exists()


def test_what_is_no_export_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "config.json").write_text("mine")  # what an export has, and no report
    for name in ("file", "some"):
        with pytest.raises(InputError, match=f"{name} is there already, and no earlier export"):
            write(tmp_path / name, "new")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "new")
    check_replaceable(tmp_path / "nowhere")
    assert names(tmp_path) == ["empty", "file", "some"]


def test_what_a_killed_process_left(tmp_path: Path) -> None:
    output = tmp_path / "onnx"
    hidden = {kind: tmp_path / f".onnx.glove-bilstm-{kind}" for kind in ("new", "old")}
    for folder in hidden.values():
        folder.mkdir()
        (folder / "export.json").write_text("earlier")
    (hidden["new"] / "left").write_text("")
    # Killed between the two moves: the earlier export is there again, also if the new one comes to nothing.
    with pytest.raises(KeyboardInterrupt), new_folder(output):
        assert (output / "export.json").read_text() == "earlier" and not hidden["old"].exists()
        raise KeyboardInterrupt
    assert (output / "export.json").read_text() == "earlier" and names(tmp_path) == ["onnx"]
    # Killed after them: the new one counts.
    hidden["old"].mkdir()
    with new_folder(output) as folder:
        assert (output / "export.json").read_text() == "earlier" and not hidden["old"].exists()
        (folder / "export.json").write_text("new")
    assert (output / "export.json").read_text() == "new" and names(tmp_path) == ["onnx"]


def test_killed_between_the_two_moves(tmp_path: Path) -> None:
    write(tmp_path / "onnx", "old")
    code = """
import os, sys
from pathlib import Path
from glove_bilstm.inference.export_folder import new_folder

def move(source, target, replace=os.replace):
    if Path(source).name == ".onnx.glove-bilstm-new":
        os._exit(9)  # as by kill -9: nothing is tidied up
    replace(source, target)

os.replace = move
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "export.json").write_text("new")
"""
    assert run(sys.executable, "-c", code, tmp_path / "onnx").returncode == 9
    assert not (tmp_path / "onnx").exists()
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "onnx"):
        raise KeyboardInterrupt
    assert (tmp_path / "onnx" / "export.json").read_text() == "old" and names(tmp_path) == ["onnx"]


def test_two_at_once(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".onnx.lock"),
        pytest.raises(InputError, match=r"Another process is at work on .*onnx"),
        new_folder(tmp_path / "onnx"),
    ):
        pass
