"""What a run may go on from: the same rows, by their hash, and a checkpoint that is whole."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, Features, LargeList, List, Value
from helpers import TINY
from safetensors.torch import load_file
from test_strategies import embedding, make_trainer
from tiny_tasks import words, write_splits

from glove_bilstm import GloveBiLSTMTrainingArguments
from glove_bilstm.scripts.main import main
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.checkpoints import (
    check_states,
    checkpoint_to_resume,
    hash_of_rows,
    options_of,
    prepare_output_dir,
)
from glove_bilstm.vectors.errors import InputError

LABELS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "class ids": (Value("int64"), [2, 0, 1], [2, 1, 0]),
    "values": (Value("float32"), [0.5, 2.25, -1.0], [0.5, 2.25, -1.5]),
    "as many each": (List(Value("float32"), length=2), [[0, 1], [1, 1], [0, 0]], [[0, 1], [1, 0], [1, 0]]),
    "lists": (List(Value("float32")), [[0, 1], [1], [0]], [[0], [1, 1], [0]]),
    "long lists": (LargeList(Value("float32")), [[0, 1], [1], [0]], [[0, 1, 1], [], [0]]),
    "matrices": (List(List(Value("int8"), length=1), length=2), [[[0], [1]]] * 3, [[[1], [0]]] * 3),
}


class TestHashOfRows:
    @pytest.mark.parametrize("kind", LABELS)
    def test_is_of_the_values_alone(self, kind: str) -> None:
        feature, labels, others = LABELS[kind]

        def hashed(labels: list[Any], ids: list[list[int]]) -> str:
            features = Features({"input_ids": List(Value("int64")), "label": feature})
            return hash_of_rows(Dataset.from_dict({"input_ids": ids, "label": labels}, features=features))

        ids = [[3, 4, 5], [], [6]]
        assert hashed(labels, ids) == hashed(labels, ids)
        assert len({hashed(labels, ids), hashed(others, ids), hashed(labels, [[3, 4], [5], [6]])}) == 3

    def test_what_has_no_bytes_of_its_own_is_refused(self) -> None:
        with pytest.raises(TypeError, match="type string can't be hashed"):
            hash_of_rows(Dataset.from_dict({"input_ids": [[2]], "label": ["good"]}))


ROWS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "multi-label": lambda choose: {"text": words(choose, 1, 1), "label": choose.choice([["a"], ["b", "c"], []])},
    "regression": lambda choose: {"text": words(choose, 1, 0), "label": choose.random()},
    "pairs": lambda choose: {
        "text": words(choose, 1, 0), "text2": words(choose, 0, 1), "label": choose.choice(["same", "not"]),
    },
}  # fmt: skip


@pytest.mark.parametrize("task", ROWS)
def test_a_run_of_every_task_goes_on_by_command(task: str, tmp_path: Path, vectors_file: Path) -> None:
    data = write_splits(tmp_path / "data", ROWS[task])
    flags = ["train", "--dataset", data, "--vectors", vectors_file, *TINY, "--save_total_limit", "3"]
    if task == "pairs":
        flags += ["--text_pair_column", "text2"]
    assert main([*map(str, flags), "--output_dir", str(tmp_path / "whole")]) == 0
    # What a run that was killed in its second epoch leaves.
    shutil.copytree(tmp_path / "whole/checkpoint-5", tmp_path / "cut/checkpoint-5")
    assert main([*map(str, flags), "--output_dir", str(tmp_path / "cut"), "--resume_from_checkpoint"]) == 0
    whole, cut = (load_file(tmp_path / which / "model.safetensors") for which in ("whole", "cut"))
    assert whole.keys() == cut.keys() and all(torch.equal(weight, cut[name]) for name, weight in whole.items())


OPTIONS: dict[str, Any] = {
    "embedding_strategy": "finetune", "save_strategy": "steps", "save_steps": 3, "save_total_limit": None,
    "num_train_epochs": 2, "load_best_model_at_end": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """The folder of a run with the checkpoints 3, 6 and 8, and the embedding that it ended with."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = make_trainer(folder, **OPTIONS)
    trainer.train()
    return folder, embedding(trainer.model)


class TestStates:
    @pytest.mark.parametrize("damage", ["missing", "cut off", "empty"])
    @pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors"])
    def test_without_all_of_them_no_run_goes_on(
        self, name: str, damage: str, whole: tuple[Path, torch.Tensor], tmp_path: Path
    ) -> None:
        checkpoint = tmp_path / "checkpoint-3"
        shutil.copytree(whole[0] / "checkpoint-3", checkpoint)
        file = checkpoint / name
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[: -7 if damage == "cut off" else 0])
        message = (
            f"{checkpoint} holds no state of the optimizer"
            if (name, damage) == ("optimizer.pt", "missing")
            else f"{checkpoint} is damaged or incomplete .*Resume from an older one .* or start over with --overwrite"
        )
        with pytest.raises(InputError, match=message) as raised:
            make_trainer(tmp_path, **OPTIONS).train(resume_from_checkpoint=str(checkpoint))
        if name.endswith((".pt", ".pth")) and "damaged" in str(raised.value):
            assert f"it has no {name}" in str(raised.value) or f"its {name} isn't whole" in str(raised.value)

    def test_of_several_processes_each_has_its_own(self, whole: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
        checkpoint = whole[0] / "checkpoint-3"
        check_states(checkpoint, processes=1, rank=0, has_scaler=False)
        with pytest.raises(InputError, match="holds the states of 1 process, and this run has 2. Resume with as many"):
            check_states(checkpoint, processes=2, rank=0, has_scaler=False)
        several = shutil.copytree(checkpoint, tmp_path / "several")
        (several / "rng_state.pth").rename(several / "rng_state_0.pth")
        with pytest.raises(InputError, match=r"is damaged or incomplete \(it has no rng_state\.pth\)"):
            check_states(several, processes=1, rank=0, has_scaler=False)
        shutil.copy(several / "rng_state_0.pth", several / "rng_state_1.pth")
        check_states(several, processes=2, rank=1, has_scaler=False)
        (several / "rng_state_1.pth").write_bytes(b"cut off")
        check_states(several, processes=2, rank=0, has_scaler=False)
        with pytest.raises(InputError, match=r"is damaged or incomplete \(its rng_state_1\.pth isn't whole\)"):
            check_states(several, processes=2, rank=1, has_scaler=False)
        for processes in (1, 3):
            with pytest.raises(InputError, match=f"the states of 2 processes, and this run has {processes}"):
                check_states(several, processes, rank=0, has_scaler=False)

    def test_of_a_run_without_fp16(self, whole: tuple[Path, torch.Tensor]) -> None:
        with pytest.raises(InputError, match=r"has no scaler\.pt, as of a run without fp16, and this run has it"):
            check_states(whole[0] / "checkpoint-3", processes=1, rank=0, has_scaler=True)

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=f"There is no checkpoint {tmp_path}/nowhere"):
            make_trainer(tmp_path, **OPTIONS).train(resume_from_checkpoint=str(tmp_path / "nowhere"))

    def test_the_newest_is_the_newest_complete_one(self, whole: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
        shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
        (tmp_path / "checkpoint-8/trainer_state.json").unlink()
        trainer = make_trainer(tmp_path, **{**OPTIONS, "save_strategy": "no"})
        trainer.train(resume_from_checkpoint=True)
        assert trainer._initial_global_step == 6
        assert torch.equal(embedding(trainer.model), whole[1])

    def test_one_of_the_run_itself_is_named_by_its_folder(
        self, whole: tuple[Path, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(whole[0].parent)
        folder = Path(whole[0].name)
        assert checkpoint_to_resume(str(whole[0] / "checkpoint-3"), folder) == folder / "checkpoint-3"
        assert checkpoint_to_resume(str(whole[0] / "checkpoint-3"), tmp_path) == whole[0] / "checkpoint-3"
        monkeypatch.chdir(whole[0] / "checkpoint-3")
        assert checkpoint_to_resume(".", tmp_path) == whole[0] / "checkpoint-3"
        monkeypatch.chdir(whole[0].parent)
        link = tmp_path / "latest"
        link.symlink_to(whole[0] / "checkpoint-3")
        assert checkpoint_to_resume(str(link), folder) == folder / "checkpoint-3"
        (tmp_path / "checkpoint-3").symlink_to(whole[0] / "checkpoint-3")
        assert checkpoint_to_resume(str(tmp_path / "checkpoint-3"), tmp_path) == tmp_path / "checkpoint-3"

    def test_a_model_of_another_run_is_not_replaced(self, whole: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
        (tmp_path / "config.json").touch()
        checkpoint = whole[0] / "checkpoint-3"
        with pytest.raises(InputError, match=f"{tmp_path} holds another run than that of {checkpoint}"):
            prepare_output_dir(tmp_path, str(checkpoint), overwrite=False)
        assert prepare_output_dir(tmp_path, str(checkpoint), overwrite=True) == checkpoint

    def test_there_may_be_none(self, whole: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
        (tmp_path / "checkpoint-9").mkdir()
        with pytest.raises(InputError, match=f"There is no complete checkpoint to resume from in {tmp_path}"):
            make_trainer(tmp_path, **OPTIONS).train(resume_from_checkpoint=True)
        trainer = make_trainer(tmp_path, **{**OPTIONS, "save_strategy": "no"})
        trainer.train(resume_from_checkpoint=False)
        assert torch.equal(embedding(trainer.model), whole[1])


def test_what_decides_is_kept() -> None:
    def kept(**told: Any) -> dict[str, Any]:
        arguments = GloveBiLSTMTrainingArguments(output_dir="x", use_cpu=True, **told)
        return options_of(arguments, DataArguments(), ModelArguments(), "rows")

    usual = kept()
    assert usual["nproc_per_node"] == 1 and usual["rows"] == "rows"
    for name, value in {
        "seed": 7, "data_seed": 7, "num_train_epochs": 2.0, "max_steps": 9, "min_steps": 9, "bf16": True,
        "per_device_train_batch_size": 5, "gradient_accumulation_steps": 3, "train_sampling_strategy": "random",
        "dataloader_drop_last": True, "learning_rate": 0.5, "lr_scheduler_type": "constant_with_warmup",
        "lr_scheduler_kwargs": {"power": 2.0}, "warmup_steps": 9, "optim": "adafactor", "optim_args": "a=1",
        "weight_decay": 0.5, "adam_beta1": 0.5, "adam_beta2": 0.5, "adam_epsilon": 0.5, "max_grad_norm": 9.0,
        "label_smoothing_factor": 0.5, "class_weights": "balanced", "focal_gamma": 2.0, "r_drop": 0.5,
        "neftune_noise_alpha": 5.0, "embedding_strategy": "finetune", "metric_for_best_model": "f1",
        "greater_is_better": False, "eval_strategy": "steps", "eval_steps": 9,
    }.items():  # fmt: skip
        changed = {"eval_strategy": "steps", "save_strategy": "steps"} if name == "eval_strategy" else {name: value}
        assert kept(**changed).get(name) == value != usual[name], name


@pytest.mark.parametrize("another", [False, True])
def test_the_best_checkpoint_of_a_run_that_was_moved(another: bool, tmp_path: Path) -> None:
    """It is loaded at the end, though nothing became better since, and though another run stands in its old place."""

    def train(folder: Path, resume: Path | None = None, **options: Any) -> dict[str, torch.Tensor]:
        told = {"eval_strategy": "epoch", "save_strategy": "best", "metric_for_best_model": "mine", **options}
        trainer = make_trainer(folder, **told)
        trainer.compute_metrics = lambda answers: {"mine": -float(trainer.state.global_step)}  # the first is the best
        trainer.train(None if resume is None else str(resume))
        assert trainer.state.best_model_checkpoint == str(folder / "checkpoint-4") and trainer.state.global_step == 12
        return trainer.model.state_dict()

    best = train(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    if another:
        train(tmp_path / "out", learning_rate=0.02)
    resumed = train(tmp_path / "moved", tmp_path / "moved/checkpoint-4")
    assert all(torch.equal(weight, resumed[name]) for name, weight in best.items())
