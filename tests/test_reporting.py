"""What a run reports to TensorBoard."""

from pathlib import Path

from helpers import TINY
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_tasks import command

from glove_bilstm.hub.push import plan_push


def test_tensorboard(tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
    out = tmp_path / "out"
    command("train", "--dataset", dataset_folder, "--vectors", vectors_file, "--output_dir", out, *TINY,
            "--embedding_strategy", "two_stage", "--report_to", "tensorboard")  # fmt: skip
    (events,) = (out / "runs").glob("*/events.out.tfevents.*")
    log = EventAccumulator(str(events.parent))
    log.Reload()
    tags = log.Tags()["scalars"]
    assert {"train/loss", "train/learning_rate", "eval/loss", "eval/accuracy", "eval/f1"} <= set(tags)
    assert [event.step for event in log.Scalars("eval/accuracy")][:2] == [3, 6]
    assert all(0 <= event.value <= 1 for event in log.Scalars("eval/accuracy"))
    assert "runs/" in plan_push(out).left_out
