"""Whole runs of each embedding strategy by command: what is printed, what is written, what is refused."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import TINY, run
from safetensors.numpy import load_file

from glove_bilstm.scripts.main import main

TRAIN = [sys.executable, "-m", "glove_bilstm.scripts.main", "train"]
SMALL = [*TINY, "--per_device_train_batch_size", "12", "--embedding_dropout", "0", "--lstm_dropout", "0",
         "--classifier_dropout", "0"]  # fmt: skip


@pytest.fixture(scope="module")
def flags(dataset_folder: Path, vectors_file: Path) -> list[str]:
    return ["--dataset", str(dataset_folder), "--vectors", str(vectors_file), *SMALL]


class TestTold:
    def test_two_stages(
        self, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "glove_bilstm")
        out = tmp_path / "out"
        told = ["--embedding_strategy", "two_stage", "--unfreeze_at", "1 epoch", "--embedding_anchor", "0.5",
                "--load_best_model_at_end", "False"]  # fmt: skip
        assert main(["train", "--output_dir", str(out), *flags, *told, "--num_train_epochs", "3"]) == 0
        assert "After 8 of 24 steps (epoch 1): everything is trained from here, at 0.1 times the" in caplog.text
        printed = capsys.readouterr()
        assert "words moved (" in printed.out and "nearest before" in printed.out
        assert "embedding trained since step 8" in printed.err
        drift = json.loads((out / "drift.json").read_text())
        assert 0 < drift["unmoved_share"] < 1 or drift["unmoved"] == 0
        assert drift["words"] == 21 and drift["most_moved"][0]["count"] > 0
        card = (out / "README.md").read_text()
        assert "## How the word vectors moved" in card
        assert (
            "The embedding was frozen for the first 8 of 24 steps (until epoch 1), and then trained with all the "
            "rest at 0.1 times the learning rate that the schedule has there." in card
        )
        assert "Its rows were pulled toward the original vectors (λ = 0.5)." in card

    def test_frozen_has_no_drift(self, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        tuned = ["--embedding_strategy", "finetune", "--embedding_learning_rate", "0.001"]
        assert main(["train", "--output_dir", str(out), *flags, *tuned]) == 0
        assert "trained along from the start, at a learning rate of at most 0.001." in (out / "README.md").read_text()
        assert main(["train", "--output_dir", str(out), *flags, "--overwrite"]) == 0
        assert not (out / "drift.json").exists()
        assert "How the word vectors moved" not in (out / "README.md").read_text()

    def test_a_best_checkpoint_of_the_first_stage(
        self, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its vectors are those of the file, and the card says so rather than when unfreezing happened alone."""
        out = tmp_path / "out"
        told = ["--embedding_strategy", "two_stage", "--embedding_learning_rate", "5", "--num_train_epochs", "4"]
        assert main(["train", "--output_dir", str(out), *flags, *told]) == 0
        assert "0 of 21 words moved (0.0%)" in capsys.readouterr().out
        assert "so its vectors are those of the file" in (out / "README.md").read_text()


class TestRecipes:
    @pytest.mark.slow
    def test_a_strategy_of_ones_own_leaves_the_recipes_out(self, tmp_path: Path, flags: list[str]) -> None:
        tuned = [*flags, "--recipe", "tuned"]
        for strategy in ("frozen", "finetune", "two_stage"):
            out = tmp_path / strategy
            assert main(["train", "--output_dir", str(out), *tuned, "--embedding_strategy", strategy]) == 0
            config = json.loads((out / "config.json").read_text())
            assert config["freeze_embeddings"] == (strategy == "frozen")
            assert config["pooling"] == "mean_max" and config["hidden_size"] == 6  # the recipe's, and the flag's


class TestRefused:
    @pytest.mark.parametrize(
        ("told", "message"),
        [
            (["--embedding_strategy", "frozen", "--embedding_learning_rate", "1e-4"],
             "--embedding_learning_rate means nothing with --embedding_strategy frozen"),
            (["--embedding_strategy", "two_stage", "--unfreeze_at", "99 epochs"],
             "--unfreeze_at 99 epochs is after step 792, and training ends after step 16"),
            (["--embedding_strategy", "finetune", "--embedding_anchor", "-1"],
             "embedding_anchor must be a number that isn't negative; it is -1.0"),
            (["--class_weights", "pos=2,maybe=1"],
             "There is no class 'maybe' to give a weight to; there are: neg, pos"),
            (["--focal_gamma", "-2"], "focal_gamma must be a number of at least 0; it is -2.0"),
        ],
    )  # fmt: skip
    def test_with_a_sentence(
        self, told: list[str], message: str, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        assert main(["train", "--output_dir", str(out), *flags, *told]) == 1
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error
        assert not (out / "config.json").exists()

    def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
        self, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from glove_bilstm.training.losses import TaskLoss

        plain, calls = TaskLoss.__call__, 0

        def broken(self: TaskLoss, *args: object) -> object:
            nonlocal calls
            calls += 1
            return plain(self, *args) * (float("nan") if calls > 14 else 1.0)  # type: ignore[arg-type]

        monkeypatch.setattr(TaskLoss, "__call__", broken)
        out = tmp_path / "out"
        assert main(["train", "--output_dir", str(out), *flags, "--eval_strategy", "steps", "--eval_steps", "4"]) == 1
        error = capsys.readouterr().err
        # Fourteen losses: of ten steps, and of the evaluations at steps 4 and 8 each that of its one batch and of all.
        assert "The loss is nan at batch" in error and "in epoch 2 (step 11)" in error, error
        assert "The last complete checkpoint is" in error and "checkpoint-8" in error
        assert not (out / "config.json").exists()


def _weights(folder: Path) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in load_file(folder / "model.safetensors").items()}


def _card(folder: Path) -> str:
    """The card, but for how fast the model was."""
    return re.sub(r"(?s)## Size and speed.*?\n## ", "", (folder / "README.md").read_text())


@pytest.mark.slow
def test_killed_in_either_stage_and_resumed(tmp_path: Path, flags: list[str]) -> None:
    """Killed without warning, a run goes on from its last checkpoint and ends in the same bits."""
    command = [*TRAIN, *flags, "--embedding_strategy", "two_stage", "--gradual", "--sparse_embedding_updates",
               "--num_train_epochs", "30", "--save_strategy", "steps", "--save_steps", "5", "--eval_strategy", "steps",
               "--eval_steps", "5", "--early_stopping_patience", "0", "--save_total_limit", "2",
               "--classifier_dropout", "0.5"]  # fmt: skip
    whole = run(*command, "--output_dir", tmp_path / "whole/model")
    assert whole.returncode == 0, whole.stderr
    for stage, wanted in enumerate(
        (40, 215), 1
    ):  # of 240 steps; the second stage begins at 120, the embedding's at 210
        out = tmp_path / f"{stage}/model"  # of the same name, which the card tells
        process = subprocess.Popen(
            [str(part) for part in [*command, "--output_dir", out]],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not any(
            int(folder.name.split("-")[1]) >= wanted for folder in out.glob("checkpoint-*")
        ):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / "config.json").exists(), "it was over before it could be killed"
        resumed = run(*command, "--output_dir", out, "--resume_from_checkpoint")
        assert resumed.returncode == 0, resumed.stderr
        assert _weights(out) == _weights(tmp_path / "whole/model"), stage
        assert (out / "drift.json").read_text() == (tmp_path / "whole/model/drift.json").read_text()
        assert _card(out) == _card(tmp_path / "whole/model")
