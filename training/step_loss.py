"""The loss that the Trainer takes of a batch, of a step and of a data set."""

import warnings
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers.trainer_pt_utils import LabelSmoother
from transformers.trainer_utils import EvalLoopOutput

from glove_bilstm.training.losses import TaskLoss, make_class_weights, parse_class_weights
from glove_bilstm.training.metrics import label_names, logits_of
from glove_bilstm.training.rows import labels_of
from glove_bilstm.training.sampling import BatchingTrainer
from glove_bilstm.training.tasks import REGRESSION, ProblemType
from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.vectors.errors import InputError


class LossTrainer(BatchingTrainer):
    """A `Trainer` whose loss is that of the task: a mean over the rows, however a step is divided."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `Trainer` takes. `args` must be `GloveBiLSTMTrainingArguments`."""
        with warnings.catch_warnings():
            # The smoothing that transformers means is its own; ours takes several labels too.
            warnings.filterwarnings("ignore", "Label smoothing is not compatible with multi-label", UserWarning)
            super().__init__(*args, **kwargs)
        if not isinstance(self.args, GloveBiLSTMTrainingArguments):
            raise TypeError("args must be GloveBiLSTMTrainingArguments; for others use transformers.Trainer.")
        self._own_loss = self._config.problem_type is not None and self.compute_loss_func is None
        if self._own_loss:
            # Not the model's own loss, which is a mean over the batch: divided by the rows of the whole step, it is
            # the same however the step is divided.
            self.compute_loss_func = self._step_loss
        self._settle_loss()

    def _settle_loss(self) -> None:
        """Make the loss that the arguments ask for by now, for the model that there is by now."""
        given, smoothing = self.args.class_weights, self.args.label_smoothing_factor
        if not self._own_loss:
            if given is not None or self.args.focal_gamma or self.args.r_drop:
                raise InputError(
                    "class_weights, focal_gamma and r_drop belong to the Trainer's own loss, which needs "
                    "config.problem_type and no compute_loss_func. Set the first, or leave out the second."
                )
            self.label_smoother = LabelSmoother(epsilon=smoothing) if smoothing else None
            return
        config, weights = self._config, None
        task = cast(ProblemType, config.problem_type)
        if given is not None and self.train_dataset is not None:
            labels = labels_of(self.train_dataset)
            weights = make_class_weights(parse_class_weights(given), label_names(config), labels, task)
        self._loss = TaskLoss(task, weights, smoothing, self.args.focal_gamma)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of a batch; in training with `r_drop`, of every row twice, with other dropout each time."""
        if self.args.r_drop and model.training:
            inputs = {name: torch.cat([values, values]) for name, values in inputs.items()}
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _step_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits, config, loss = outputs["logits"], self._config, self._loss
        if config.problem_type == REGRESSION:
            logits, labels = ((values - config.target_mean) / config.target_std for values in (logits, labels))
        if not (self.args.r_drop and cast(nn.Module, self.model).training):
            return loss(logits, labels, num_items_in_batch)
        first, second = logits.chunk(2)
        once, _ = labels.chunk(2)
        losses = loss(first, once, num_items_in_batch) + loss(second, once, num_items_in_batch)
        return (losses + self.args.r_drop * loss.disagreement(first, second, num_items_in_batch)) / 2

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """What `Trainer` says of a data set, with the mean loss of its rows.

        (Its own is one of batches. Where several processes share them, some rows are in two.)
        """
        output = super().evaluation_loop(dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
        name = f"{metric_key_prefix}_loss"
        logits_as_they_are = self._own_loss and self.preprocess_logits_for_metrics is None
        if logits_as_they_are and output.metrics is not None and name in output.metrics:
            logits, labels = map(torch.from_numpy, (logits_of(output.predictions), np.asarray(output.label_ids)))
            output.metrics[name] = cast(Any, self.compute_loss_func)({"logits": logits}, labels).item()
        return output

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        # Transformers leaves out labels of -100, which here are regression's to have.
        counted = [{"labels": torch.zeros_like(batch["labels"])} for batch in batch_samples if "labels" in batch]
        return super()._get_num_items_in_batch(counted, device)
