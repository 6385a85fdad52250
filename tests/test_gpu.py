"""On a GPU what is true on a CPU. Run by make test-gpu, where there is one."""

import json
import math
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import TINY
from safetensors.numpy import load_file
from tiny_model import LENGTH, POOLINGS, make_batch, make_model
from transformers import AutoModelForSequenceClassification, pipeline

from glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.inference.bulk import predict_logits
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.scripts.main import main

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")]
WITHOUT_CPU = TINY[: TINY.index("--use_cpu")]
STRATEGIES = {
    "frozen": ["--embedding_strategy", "frozen"],
    "finetune": ["--embedding_strategy", "finetune"],
    "row-wise": ["--embedding_strategy", "finetune", "--sparse_embedding_updates"],
    "two_stage": ["--embedding_strategy", "two_stage", "--unfreeze_at", "0.5", "--gradual"],
}


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU, rather than rounded to TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def flags(dataset_folder: Path, vectors_file: Path) -> list[str]:
    return ["--dataset", str(dataset_folder), "--vectors", str(vectors_file), *WITHOUT_CPU]


def train(output: Path, *arguments: object) -> None:
    assert main(["train", "--output_dir", str(output), *map(str, arguments)]) == 0


def laid_end_to_end(model: GloveBiLSTMForSequenceClassification) -> bool:
    """Whether cuDNN needs no copy of the weights of each layer and direction."""
    lstm = model.glove_bilstm.lstm
    for layer in range(lstm.num_layers):
        for suffix in lstm._suffixes():
            weights = lstm._weights(range(layer, layer + 1), [suffix])
            for one, following in zip(weights, weights[1:], strict=False):
                if following.data_ptr() != one.data_ptr() + one.nbytes:
                    return False
    return True


class TestModel:
    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("bidirectional", [True, False])
    @pytest.mark.parametrize("layers", [1, 3])
    @pytest.mark.parametrize("training", [True, False])
    def test_logits_and_gradients_are_those_of_a_cpu(
        self, pooling: Any, bidirectional: bool, layers: int, training: bool
    ) -> None:
        dropouts = dict.fromkeys(("embedding_dropout", "lstm_dropout", "classifier_dropout"), 0.0)
        model = make_model(
            pooling=pooling, bidirectional=bidirectional, num_hidden_layers=layers, freeze_embeddings=False, **dropouts
        ).train(training)
        ids, mask = make_batch()
        mask[3] = 0  # a text without tokens
        for given in (mask, torch.ones_like(mask), mask.flip(1)):
            found = []
            for device in ("cpu", "cuda"):
                model.to(device).zero_grad()
                chosen = ids.clamp(min=2).to(device)
                outputs = model(chosen, given.to(device), output_hidden_states=True)
                if training:  # cuDNN has no backward pass in evaluation
                    outputs.logits.square().sum().backward()
                grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
                found.append([one.detach().cpu().clone() for one in (outputs.logits, *outputs.hidden_states, *grads)])
            assert len(found[0]) == len(found[1]) > layers + 1
            for one, other in zip(*found, strict=True):
                assert torch.allclose(one, other, atol=1e-5)

    def test_weights_lie_as_cudnn_wants_them(self, tmp_path: Path) -> None:
        model = make_model(num_hidden_layers=2)
        state = {name: weight.clone() for name, weight in model.state_dict().items()}
        model.to("cuda")
        assert laid_end_to_end(model)
        assert all(torch.equal(weight.cpu(), state[name]) for name, weight in model.state_dict().items())
        model.save_pretrained(tmp_path)
        placed = AutoModelForSequenceClassification.from_pretrained(tmp_path, device_map="cuda")
        assert placed.device.type == "cuda" and laid_end_to_end(placed)
        assert all(torch.equal(weight.cpu(), state[name]) for name, weight in placed.state_dict().items())
        ids, mask = (one.cuda() for one in make_batch())
        with torch.inference_mode(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for chosen in (ids, ids.clamp(min=2)):
                assert torch.equal(model.eval()(chosen, mask).logits, placed(chosen, mask).logits)
                placed(chosen).logits.sum()
        assert not told

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision(self, dtype: torch.dtype) -> None:
        model = make_model().cuda()
        batch = [one.cuda() for one in make_batch()]
        with torch.inference_mode():
            exact = model(*batch).logits
            with torch.autocast("cuda", dtype):
                assert torch.allclose(model(*batch).logits.float(), exact, atol=0.03)
            assert torch.allclose(model.to(dtype)(*batch).logits.float(), exact, atol=0.03)


class TestCommands:
    @pytest.mark.parametrize("name", STRATEGIES)
    def test_each_strategy_interrupted_and_resumed(
        self, name: str, tmp_path: Path, flags: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "glove_bilstm")
        told = [*flags, *STRATEGIES[name], "--num_train_epochs", "4", "--save_total_limit", "9",
                "--load_best_model_at_end", "False"]  # fmt: skip
        train(tmp_path / "whole", *told)
        shutil.copytree(tmp_path / "whole", tmp_path / "resumed")
        for checkpoint in (tmp_path / "resumed").glob("checkpoint-*"):
            steps = json.loads((checkpoint / "trainer_state.json").read_text())
            if steps["epoch"] > 2:
                shutil.rmtree(checkpoint)
        for file in ("config.json", "model.safetensors"):  # as if it had been killed
            (tmp_path / "resumed" / file).unlink()
        train(tmp_path / "resumed", *told, "--resume_from_checkpoint")
        whole, resumed = (load_file(tmp_path / which / "model.safetensors") for which in ("whole", "resumed"))
        for weight, values in whole.items():
            # cuDNN's and the embedding's backward pass add in no fixed order.
            assert abs(values - resumed[weight]).max() < 1e-4, weight
        embedding = whole["glove_bilstm.embeddings.weight"]
        assert not embedding[0].any()
        if name != "frozen":
            drift = json.loads((tmp_path / "whole/drift.json").read_text())
            assert drift["unmoved"] < drift["words"]
        figures = json.loads((tmp_path / "whole/all_results.json").read_text())
        assert figures["test_accuracy"] > 0.6

    @pytest.mark.parametrize("precision", ["--bf16", "--fp16"])
    def test_tuned_recipe_in_mixed_precision(self, precision: str, tmp_path: Path, flags: list[str]) -> None:
        train(tmp_path, *flags[: flags.index("--recipe")], "--recipe", "tuned", "--hidden_size", "6",
              "--min_steps", "60", precision, "True")  # fmt: skip
        figures = json.loads((tmp_path / "all_results.json").read_text())
        assert math.isfinite(figures["eval_loss"]) and figures["test_accuracy"] > 0.6

    def test_predict_and_evaluate(
        self,
        model: Path,
        dataset_folder: Path,
        tmp_path: Path,
        make_rows: Callable,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        texts = [row["text"] for row in make_rows(301, 9)]
        found = []
        for device in ("cpu", "cuda", "auto"):
            classifier, tokenizer = load_classifier(str(model), device=device)
            assert classifier.device.type == ("cpu" if device == "cpu" else "cuda")
            found.append(torch.stack(list(predict_logits(classifier, tokenizer, texts, batch_size=13))))
        assert torch.allclose(found[0], found[1], atol=1e-5) and torch.equal(found[1], found[2])
        (tmp_path / "in.txt").write_text("\n".join(texts), encoding="utf-8")
        for device in ("cpu", "cuda"):
            files = ["--input", tmp_path / "in.txt", "--output", tmp_path / f"{device}.jsonl"]
            assert main(["predict", "--model", str(model), *map(str, files), "--device", device]) == 0
        rows = [(tmp_path / f"{device}.jsonl").read_text().splitlines() for device in ("cpu", "cuda")]
        assert [json.loads(row)["prediction"] for row in rows[0]] == [json.loads(row)["prediction"] for row in rows[1]]
        tables = []
        for device in ("cpu", "cuda"):
            capsys.readouterr()
            told = ["evaluate", "--model", str(model), "--dataset", str(dataset_folder), "--device", device]
            assert main(told) == 0
            tables.append(capsys.readouterr().out)
        assert tables[0] == tables[1]
        assert main(["predict", "--model", str(model), "good", "--device", "cuda:99"]) == 1
        assert "finds no device cuda:99" in capsys.readouterr().err

    def test_pipeline(self, model: Path) -> None:
        texts = ["a good film", "", "dull and weak , the plot"] * LENGTH
        answers = [
            pipeline("text-classification", model=str(model), device=device)(texts, batch_size=5)
            for device in ("cpu", 0)
        ]
        for one, other in zip(*answers, strict=True):
            assert one["label"] == other["label"] and one["score"] == pytest.approx(other["score"], abs=1e-5)
