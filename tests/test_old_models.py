"""Models that released versions saved load for ever, by this version's code and by the code they were saved with."""

import json
import os
import site
import sys
from pathlib import Path

import pytest
import torch
from helpers import run
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

SAVED = sorted((Path(__file__).parent / "fixtures").glob("saved-*"))
OWN_CODE = f"""
import sys, json
sys.path += {site.getsitepackages()!r}
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder = sys.argv[1]
expected = json.load(open(folder + "/expected.json"))
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules.")
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
encoded = tokenizer(expected["texts"], expected.get("pairs"), padding=True, return_tensors="pt")
print(json.dumps(model(**encoded).logits.tolist()))
"""


def test_there_are_some() -> None:
    assert SAVED


@pytest.mark.parametrize("folder", SAVED, ids=lambda folder: folder.name)
class TestSaved:
    def test_by_this_version(self, folder: Path) -> None:
        expected = json.loads((folder / "expected.json").read_text())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        assert tokenizer(expected["texts"], expected.get("pairs"))["input_ids"] == expected["ids"]
        with torch.no_grad():
            logits = model(
                **tokenizer(expected["texts"], expected.get("pairs"), padding=True, return_tensors="pt")
            ).logits
        assert torch.allclose(logits, torch.tensor(expected["logits"]), atol=1e-5)
        assert type(model).__module__ == "glove_bilstm.modeling.modeling_glove_bilstm"
        assert AutoModel.from_pretrained(folder).config.to_dict() == model.config.to_dict()

    @pytest.mark.slow
    def test_by_its_own_code(self, folder: Path, tmp_path: Path) -> None:
        expected = json.loads((folder / "expected.json").read_text())
        environment = {"HF_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = run(sys.executable, "-I", "-S", "-W", "error", "-c", OWN_CODE, folder, env=environment)
        assert done.returncode == 0, done.stderr
        logits = torch.tensor(json.loads(done.stdout.splitlines()[-1]))
        assert torch.allclose(logits, torch.tensor(expected["logits"]), atol=1e-5)
