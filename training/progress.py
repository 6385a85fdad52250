"""A progress bar with one short line an epoch."""

from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ProgressCallback

UNFROZEN = "embedding_unfrozen"
"""In the Trainer's log: the step from which the embedding is trained, where it wasn't from the start."""
COLUMNS = {
    "loss": "training loss",
    "eval_loss": "validation loss",
    "eval_accuracy": "accuracy",
    "eval_f1": "macro F1",
    "eval_micro_f1": "micro F1",
    "eval_mae": "mean absolute error",
    "eval_r2": "R²",
    "eval_pearson": "Pearson",
}


class BriefProgressCallback(ProgressCallback):
    """Transformers' progress bar; of each log it shows the figures that say how training goes, not all of them."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the line above the bar."""
        if logs and UNFROZEN in logs and self.training_bar is not None:
            self.training_bar.set_postfix_str(f"embedding trained since step {logs[UNFROZEN]:,}")
        shown = [f"{name} {logs[key]:.4f}" for key, name in COLUMNS.items() if logs and key in logs]
        if state.is_world_process_zero and self.training_bar is not None and shown:
            self.training_bar.write(f"epoch {state.epoch:.4g}: {', '.join(shown)}")
