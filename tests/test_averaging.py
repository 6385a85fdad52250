"""The moving average of the weights: what it is, and where it stands in place of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_strategies import embedding, make_trainer, train
from tiny_model import make_model

DECAY = 0.9


def average_of(history: list[torch.Tensor]) -> torch.Tensor:
    """The definition, from a weight's values before each step and after the last."""
    average = history[0].clone()
    for step, value in enumerate(history[1:], 1):
        decay = min(DECAY, (1 + step) / (10 + step))
        average = average * decay + value * (1 - decay)
    return average


@pytest.mark.parametrize("strategy", ["frozen", "finetune", "two_stage"])
def test_the_model_ends_as_the_average_of_its_steps(tmp_path: Path, strategy: str) -> None:
    options = {"embedding_strategy": strategy, "lr_scheduler_type": "constant"}
    plain, recorder = train(tmp_path, **options)
    averaged, _ = train(tmp_path, **options, ema_decay=DECAY)
    for name, value in averaged.model.named_parameters():
        history = [weights[name] for weights in recorder.weights]
        if strategy == "two_stage" and "embeddings" in name:
            history = history[6:]  # averaged from where it is trained
        assert torch.allclose(value, average_of(history), atol=1e-6), name
    assert not embedding(averaged.model)[0].any()


def test_training_itself_is_untouched(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "embedding_strategy": "finetune", "eval_strategy": "steps", "eval_steps": 2, "load_best_model_at_end": False,
    }  # fmt: skip
    plain = train(tmp_path, **options)[1]
    averaged = train(tmp_path, **options, ema_decay=DECAY)[1]
    for before, after in zip(plain.weights[:-1], averaged.weights[:-1], strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_evaluations_and_checkpoints_are_of_the_average(tmp_path: Path) -> None:
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "save_total_limit": None, "ema_decay": DECAY}
    trainer, recorder = train(tmp_path, **options, embedding_strategy="finetune")
    for step in (3, 6, 9, 12):
        saved = load_file(tmp_path / f"checkpoint-{step}/model.safetensors")
        for name, value in saved.items():
            history = [weights[name] for weights in recorder.weights[: min(step, 11) + 1]]
            if step < 12:  # what the recorder saw last is the average already
                assert torch.allclose(value, average_of(history), atol=1e-6), (step, name)
            else:
                assert torch.equal(value, trainer.model.state_dict()[name])
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.evaluate()
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())


@pytest.mark.parametrize("saving", ["steps", "epoch"])
def test_resumed_it_ends_in_the_same_bits(tmp_path: Path, saving: str) -> None:
    options: dict[str, Any] = {
        "embedding_strategy": "two_stage", "ema_decay": DECAY, "save_strategy": saving, "save_steps": 1,
        "save_total_limit": None, "load_best_model_at_end": False, "eval_strategy": saving, "eval_steps": 5,
    }  # fmt: skip
    whole = make_trainer(tmp_path / "whole", **options)
    whole.train()
    for checkpoint in (tmp_path / "whole").glob("checkpoint-*"):
        resumed = make_trainer(tmp_path / "resumed", **{**options, "save_strategy": "no"})
        resumed.train(resume_from_checkpoint=str(checkpoint))
        for name, value in whole.model.state_dict().items():
            assert torch.equal(resumed.model.state_dict()[name], value), (checkpoint.name, name)


def test_the_best_checkpoint_is_loaded_over_the_average(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, ema_decay=DECAY, eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=4,
        embedding_strategy="finetune", save_total_limit=None,
    )  # fmt: skip
    accuracies = iter([0.5, 0.9, *[0.1] * 9])
    trainer.compute_metrics = lambda prediction: {"accuracy": next(accuracies)}
    trainer.train()
    best = load_file(tmp_path / "checkpoint-8/model.safetensors")
    for _ in range(2):
        assert all(torch.equal(best[name], value) for name, value in trainer.model.state_dict().items())
        trainer.evaluate()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema_decay": 1.0}, "ema_decay must be at least 0 and below 1; it is 1.0"),
        ({"ema_decay": -0.1}, "ema_decay must be at least 0"),
        ({"ema_decay": 0.9, "optim": "sgd"}, "ema_decay is made for the optimizer adamw_torch; optim is sgd"),
        (
            {"ema_decay": 0.9, "sparse_embedding_updates": True, "embedding_strategy": "finetune"},
            "averages every row at every step. Leave out one",
        ),
    ],
)
def test_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, make_model(), **options)
