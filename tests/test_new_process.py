"""What happens in another process: Ctrl-C, and loading a folder where the package is and where it isn't."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import run


class TestInterrupt:
    @pytest.mark.slow
    def test_ctrl_c_leaves_the_last_complete_checkpoint(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path
    ) -> None:
        out = tmp_path / "out"
        command = [sys.executable, "-m", "glove_bilstm.scripts.main", "train", "--dataset", dataset_folder,
                   "--vectors", vectors_file, "--output_dir", out, "--hidden_size", "6", "--num_train_epochs",
                   "100000", "--early_stopping_patience", "0"]  # fmt: skip
        process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while not list(out.glob("checkpoint-*/trainer_state.json")) and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Interrupted. The last complete checkpoint is" in error and "Traceback" not in error
        checkpoints = list(out.glob("checkpoint-*"))
        assert checkpoints and all((folder / "trainer_state.json").is_file() for folder in checkpoints)
        for folder in checkpoints:
            done = run(sys.executable, "-m", "glove_bilstm.scripts.main", "predict", "--model", folder, "good")
            assert done.returncode == 0, done.stderr


def test_what_the_hub_client_says_is_said_once() -> None:
    code = """
import logging
from glove_bilstm.scripts.shared import command

def tell(arguments):
    from huggingface_hub.utils import logging as hub
    hub.get_logger("huggingface_hub.utils").warning("Retrying")
    logging.getLogger("glove_bilstm").info("Done")

command(tell)([])
"""
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0 and done.stderr == "Retrying\nDone\n"


class TestFreshProcess:
    CODE = """
import sys, json
{blocked}
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
folder, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)  # needs no code of ours
model = AutoModelForSequenceClassification.from_pretrained(folder{trust})
batch = tokenizer(texts, padding=True, return_tensors="pt")
base = AutoModel.from_pretrained(folder{trust})
classify = pipeline("text-classification", model=folder{trust})
print(json.dumps({{
    "logits": model(**batch).logits.tolist(),
    "frozen": [not m.get_input_embeddings().weight.requires_grad for m in (model, base)],
    "module": type(model).__module__,
    "config": type(AutoConfig.from_pretrained(folder{trust})).__module__,
    "labels": [answer["label"] for answer in classify(texts)],
}}))
model.save_pretrained(sys.argv[3])
tokenizer.save_pretrained(sys.argv[3])
"""

    def answer(self, folder: Path, again: Path, package: bool) -> dict[str, Any]:
        code = self.CODE.format(
            blocked="import glove_bilstm" if package else "sys.modules['glove_bilstm'] = None",
            trust="" if package else ", trust_remote_code=True",
        )
        texts = json.dumps(["a good film", "", "awful"])
        # Its own folder for remote code, as a fresh machine has.
        environment = {
            **os.environ,
            "HF_HOME": str(again.parent / "home"),
            "HF_MODULES_CACHE": str(again.parent / "m"),
        }
        done = run(sys.executable, "-W", "error", "-c", code, folder, texts, again, env=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    @pytest.mark.slow
    def test_with_and_without_the_package(self, model: Path, tmp_path: Path) -> None:
        with_package = self.answer(model, tmp_path / "one" / "saved", package=True)
        assert with_package["module"].startswith("glove_bilstm.")
        without = self.answer(model, tmp_path / "two" / "saved", package=False)
        assert without["module"].startswith("transformers_modules.")
        # What remote code saved, remote code loads, and the package does too.
        again = self.answer(tmp_path / "two" / "saved", tmp_path / "three" / "saved", package=False)
        back = self.answer(tmp_path / "two" / "saved", tmp_path / "four" / "saved", package=True)
        for other in (without, again, back):
            assert other["logits"] == with_package["logits"]
            assert other["frozen"] == [True, True]
            assert other["labels"] == with_package["labels"]
