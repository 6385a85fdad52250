"""A model on the Hub, loaded by the real clients in new processes, without the package and with it."""

import json
import os
import re
import shutil
import site
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import run
from huggingface_hub import constants
from loopback_hub import WRITER, Hub, serve_hub

from glove_bilstm.hub.push import Destination

REPO = "somebody/tiny"
TEXTS = ["a good film", "", "awful", "really lovely acting , unheard-of plot"]
# With -S nothing of site-packages is run, so not the hook by which an editable install is found; the rest is there.
BARE = [sys.executable, "-I", "-S", "-W", "error", "-c"]
WHOLE = [sys.executable, "-W", "error", "-c"]
HEAD = f"""
import sys, json, logging
sys.path += {site.getsitepackages()!r}
"""
NO_PACKAGE = """
import importlib.util
assert importlib.util.find_spec("glove_bilstm") is None
trust = {"trust_remote_code": True}
"""
PACKAGE = """
import glove_bilstm
trust = {}
"""
LOAD = """
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
repo, texts, revision = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
where = {"revision": revision} if revision else {}
config = AutoConfig.from_pretrained(repo, **where, **trust)
tokenizer = AutoTokenizer.from_pretrained(repo, **where, trust_remote_code=False)
model = AutoModelForSequenceClassification.from_pretrained(repo, **where, **trust)
base = AutoModel.from_pretrained(repo, **where, **trust)
classify = pipeline("text-classification", model=repo, **where, **trust)
batch = tokenizer(texts, padding=True, return_tensors="pt")
with torch.no_grad():  # as below: with gradients some processors round otherwise
    logits = model(**batch).logits.tolist()
print(json.dumps({
    "logits": logits,
    "states": base(**batch).last_hidden_state.shape,
    "frozen": [not m.get_input_embeddings().weight.requires_grad for m in (model, base, classify.model)],
    "module": type(model).__module__,
    "config": type(config).__name__,
    "labels": [answer["label"] for answer in classify(texts)],
}))
"""
PUSH_AGAIN = """
model.push_to_hub(sys.argv[4])
tokenizer.push_to_hub(sys.argv[4])
"""
TRAIN_ON = """
import torch
from transformers import Trainer, TrainingArguments
names = {0: "bad", 1: "middling", 2: "good"}
model = AutoModelForSequenceClassification.from_pretrained(
    repo, id2label=names, label2id={name: key for key, name in names.items()}, ignore_mismatched_sizes=True, **trust
)
before = {name: value.clone() for name, value in model.state_dict().items()}
rows = [{"input_ids": tokenizer(text or "bad")["input_ids"], "label": number % 3} for number, text in enumerate(texts)]
arguments = TrainingArguments(sys.argv[4], max_steps=2, report_to="none", use_cpu=True, weight_decay=0.1,
                              save_strategy="no", disable_tqdm=True)
Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer).train()
moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
assert "classifier.weight" in moved and "glove_bilstm.lstm.weight_hh_l0" in moved, moved
assert "glove_bilstm.embeddings.weight" not in moved
model.save_pretrained(sys.argv[4])
again = AutoModelForSequenceClassification.from_pretrained(sys.argv[4], **trust)
assert again.config.id2label == names and again.classifier.out_features == 3
assert not again.get_input_embeddings().weight.requires_grad
"""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, model: Path) -> Iterator[Hub]:
    """A Hub that holds the tiny model."""
    with serve_hub() as served:
        for name, value in {
            "ENDPOINT": served.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": served.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        Destination(REPO, token=WRITER).push(model)
        yield served


def answer(
    hub: Hub, home: Path, *code: str, bare: bool = True, repo: str = REPO, revision: str = "", **variables: str
) -> dict[str, Any]:
    """Run code in a new process with a cache of its own; what it loaded. Neither of them may warn."""
    done = attempt(hub, home, *code, bare=bare, repo=repo, revision=revision, **variables)
    assert done.returncode == 0, done.stderr
    assert not noise(done.stderr), done.stderr
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"logits"')))


def noise(log: str) -> str:
    """What a log says beyond progress and what transformers says whenever it loads code from the Hub."""
    log = re.sub(r"(?s)\[transformers\] A new version of the following files was .*? pin a revision\.\n", "", log)
    # Of a tokenizer beside a configuration that it may not load the code of, whatever its tokenizer_config.json says.
    log = re.sub(r"\[transformers\] You are using a model of type `glove_bilstm` to instantiate .*\n", "", log)
    lines = re.split(r"[\r\n]+", log)
    return "\n".join(line for line in lines if line.strip() and not re.search(r"%\||it/s\]", line))


def attempt(
    hub: Hub, home: Path, *code: str, bare: bool, repo: str = REPO, revision: str = "", **variables: str
) -> Any:
    whole = "".join([HEAD, NO_PACKAGE if bare else PACKAGE, LOAD, *code])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        **hub.environment(home),
        **variables,
    }
    return run(
        *(BARE if bare else WHOLE), whole, repo, json.dumps(TEXTS), revision, str(home / "out"),
        env=environment, cwd=home.parent,
    )  # fmt: skip


def expected(folder: Path) -> list[list[float]]:
    from transformers import AutoTokenizer

    from glove_bilstm import GloveBiLSTMForSequenceClassification

    model = GloveBiLSTMForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.tolist()


class TestPull:
    @pytest.mark.parametrize("bare", [True, pytest.param(False, marks=pytest.mark.slow)])
    def test_auto_classes_and_pipeline(self, bare: bool, hub: Hub, model: Path, tmp_path: Path) -> None:
        loaded = answer(hub, tmp_path / "home", bare=bare)
        assert loaded["logits"] == expected(model)
        assert loaded["frozen"] == [True] * 3 and loaded["config"] == "GloveBiLSTMConfig"
        assert loaded["module"].startswith("transformers_modules." if bare else "glove_bilstm.")
        assert set(loaded["labels"]) <= {"pos", "neg"} and loaded["states"][0] == len(TEXTS)
        # Once it is in the cache, no network is needed.
        requests = len(hub.asked)
        again = answer(hub, tmp_path / "home", bare=bare, HF_HUB_OFFLINE="1")
        assert again == loaded and len(hub.asked) == requests

    @pytest.mark.slow
    def test_what_remote_code_pushes_can_be_pulled(self, hub: Hub, model: Path, tmp_path: Path) -> None:
        code = PUSH_AGAIN.replace("sys.argv[4]", '"again"')
        first = answer(hub, tmp_path / "one", code)
        assert {"modeling_glove_bilstm.py", "configuration_glove_bilstm.py"} <= set(hub.files("somebody/again"))
        for number, bare in enumerate((True, False)):
            second = answer(hub, tmp_path / f"two{number}", bare=bare, repo="somebody/again")
            assert second["logits"] == first["logits"] and second["frozen"] == [True] * 3

    @pytest.mark.slow
    def test_a_revision_pins(self, hub: Hub, model: Path, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        first = hub.repositories[REPO].heads["main"].sha
        other = Path(shutil.copytree(model, tmp_path / "other"))
        weights = {name: 2 * value for name, value in load_file(other / "model.safetensors").items()}
        save_file(weights, other / "model.safetensors", {"format": "pt"})
        (other / "README.md").unlink()  # its figures are of the other weights
        Destination(REPO, revision="v2", token=WRITER).push(other)
        assert answer(hub, tmp_path / "home", revision="v2")["logits"] == expected(other) != expected(model)
        Destination(REPO, token=WRITER).push(other)
        assert answer(hub, tmp_path / "home", revision=first)["logits"] == expected(model)
        assert answer(hub, tmp_path / "home")["logits"] == expected(other)

    @pytest.mark.slow
    @pytest.mark.parametrize("bare", [True, False])
    def test_fine_tuning_goes_on_with_other_labels(self, bare: bool, hub: Hub, tmp_path: Path) -> None:
        done = attempt(hub, tmp_path / "home", TRAIN_ON, bare=bare)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
class TestFaults:
    def test_a_wrong_hash_is_found(self, hub: Hub, tmp_path: Path) -> None:
        where = "GET .*/resolve/.*safetensors"
        hub.faults = {where: ["corrupt"]}
        command = [sys.executable, "-m", "glove_bilstm.scripts.main", "predict", "--model", REPO, "a good film"]
        environment = {**os.environ, **hub.environment(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        first = run(*command, env=environment)
        assert first.returncode == 1 and hub.faults == {where: []}
        assert (
            "the download was damaged. It was removed; try again." in first.stderr and "Traceback" not in first.stderr
        )
        second = run(*command, env=environment)
        assert second.returncode == 0, second.stderr
        assert "a good film" in second.stdout
        third = run(*command, env={**environment, "HF_HUB_OFFLINE": "1"})
        assert third.stdout == second.stdout

    @pytest.mark.parametrize("fault", [503, "drop", "cut"])
    def test_a_broken_download_is_taken_up_again(
        self, fault: int | str, hub: Hub, model: Path, tmp_path: Path
    ) -> None:
        where = "GET .*/resolve/.*safetensors"
        hub.faults = {where: [fault]}
        first = attempt(hub, tmp_path / "home", bare=True)
        assert hub.faults == {where: []}
        if first.returncode:  # the client gave up, but nothing broken is kept
            assert answer(hub, tmp_path / "home")["logits"] == expected(model)
        else:
            assert json.loads(first.stdout.splitlines()[-1])["logits"] == expected(model)
