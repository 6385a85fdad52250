"""What gets installed, and how."""

import re
import sys
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from helpers import TINY, run

import glove_bilstm

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


ROOMS = ["vectors", "tokenization", "modeling", "training", "hub", "inference", "scripts"]
"""From left to right: a room imports only rooms to its left."""
SOURCES = [file for folder in [*ROOMS, "src"] for file in (ROOT / folder).rglob("*.py")]


def test_public_names_are_there_and_no_others() -> None:
    assert set(glove_bilstm.__all__) == {
        *("WordVectors", "load_vectors", "embedding_matrix", "Coverage", "build_vocabulary", "build_tokenizer"),
        *("GloveBiLSTMConfig", "GloveBiLSTMModel", "GloveBiLSTMForSequenceClassification"),
        *("GloveBiLSTMTrainer", "GloveBiLSTMTrainingArguments", "extend_vocabulary"),
    }
    for name in glove_bilstm.__all__:
        assert getattr(glove_bilstm, name).__name__ == name
        assert name in dir(glove_bilstm)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        glove_bilstm.Nothing  # noqa: B018


@pytest.mark.parametrize(
    "imports",
    [
        "from transformers import AutoConfig; import glove_bilstm; from transformers import AutoModel",
        *(
            pytest.param(imports, marks=pytest.mark.slow)
            for imports in (
                "import glove_bilstm; from transformers import AutoModel, AutoConfig",
                "from transformers import AutoModel, AutoConfig; import glove_bilstm",
                "from glove_bilstm import GloveBiLSTMModel; from transformers import AutoModel, AutoConfig",
                "import glove_bilstm; from transformers import pipeline, AutoModel, AutoConfig",
            )
        ),
    ],
)
def test_auto_classes_know_the_model_in_any_order_of_imports(imports: str) -> None:
    code = (
        f"{imports}\nprint(type(AutoModel.from_config(AutoConfig.for_model('glove_bilstm', vocab_size=9))).__name__)"
    )
    done = run(sys.executable, "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "GloveBiLSTMModel"


def test_importing_loads_nothing_heavy() -> None:
    code = "import glove_bilstm, sys; print({'torch', 'transformers', 'numpy', 'datasets'} & set(sys.modules))"
    assert run(sys.executable, "-c", code).stdout.strip() == "set()"


def test_rooms_import_only_rooms_to_their_left() -> None:
    for room in ROOMS:
        for file in (ROOT / room).glob("*.py"):
            for other in re.findall(r"^\s*(?:from|import) glove_bilstm\.(\w+)", file.read_text(), re.MULTILINE):
                assert ROOMS.index(other) <= ROOMS.index(room), f"{file} imports {other}"
    shipped = "".join(file.read_text() for file in (ROOT / "modeling").glob("*_glove_bilstm.py"))
    imported = set(re.findall(r"^\s*(?:from|import) ([\w.]+)", shipped, re.MULTILINE))
    others = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert others == {"", "torch", "transformers", "huggingface_hub"}


def test_every_dependency_has_a_floor_and_every_import_a_dependency() -> None:
    dependencies = {re.split("[>=]", entry)[0]: entry for entry in PROJECT["project"]["dependencies"]}
    assert all(">=" in entry for entry in dependencies.values())
    needed = {"torch", "transformers", "huggingface-hub", "datasets", "safetensors", "evaluate", "accelerate"}
    assert needed | {"scikit-learn", "jinja2"} <= set(dependencies)
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert pins["torch"] == "2.13.0"
    assert {name.replace("-", "_").lower() for name in dependencies} <= {
        name.replace("-", "_").lower() for name in pins
    }


def test_card_template_is_the_one_at_the_top() -> None:
    assert (files("glove_bilstm.hub") / "model_card.md").read_text() == (ROOT / "model_card.md").read_text()


def test_nothing_is_unpickled() -> None:
    """Weights are safetensors; no room reads pickles."""
    for file in SOURCES:
        unpickles = r"import pickle|pickle\.load|torch\.load\(|import joblib|joblib\.load|allow_pickle"
        assert not re.search(unpickles, file.read_text()), file


@pytest.mark.slow
def test_the_wheel_works_on_its_own(tmp_path: Path) -> None:
    """Built and installed without the checkout: `glove-bilstm train` alone trains on the bundled demo."""
    built = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "site")
    assert {name.split("/")[0] for name in names} == {"glove_bilstm"}
    assert {name for name in names if name.endswith(".py")} == {
        f"glove_bilstm/{file.relative_to(ROOT)}".replace("/src/glove_bilstm/", "/") for file in SOURCES
    }
    data = {"hub/model_card.md", "py.typed", "demo/test.jsonl", "demo/glove.demo.50d.txt.gz", "demo/README.md"}
    assert {f"glove_bilstm/{name}" for name in data} <= names

    out = tmp_path / "out"
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import glove_bilstm; assert 'site' in glove_bilstm.__file__\n"
        "from glove_bilstm.scripts.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run(sys.executable, "-c", code, "train", "--output_dir", out, *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (out / "config.json").is_file() and "test" in done.stdout
