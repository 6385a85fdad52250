"""The Trainer, and the embedding strategies."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import datasets
import torch
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import EarlyStoppingCallback, Trainer
from transformers.trainer_callback import ProgressCallback

from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.training.arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.training.metrics import compute_metrics
from glove_bilstm.training.progress import BriefProgressCallback

CHECKPOINT_COMPLETE = "trainer_state.json"
"""The file that the Trainer writes last into a checkpoint."""


class LengthGroupedSampler(Sampler[int]):
    """Rows in random order, such that those of one batch are of about the same length.

    Unlike transformers' own, the order depends on nothing but the seed and the epoch, so that a run which was
    interrupted and resumed sees the same batches; and the batches themselves are shuffled.
    """

    # Rows are sorted by length within pools of this many batches: large enough that little is padded, small enough
    # that a batch's company changes from epoch to epoch.
    POOL = 50

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        """Sample from rows of these lengths."""
        self.lengths = torch.tensor(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """The rows of one epoch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        batches: list[torch.Tensor] = []
        for pool in torch.randperm(len(self), generator=generator).split(self.POOL * self.batch_size):
            batches += pool[self.lengths[pool].argsort(stable=True)].split(self.batch_size)
        # Batches are cut from the stream by counting, so a shorter one must stay the last.
        full = len(self) // self.batch_size
        shuffled = [batches[position] for position in torch.randperm(full, generator=generator)]
        yield from torch.cat([*shuffled, *batches[full:]]).tolist()


class GloveBiLSTMTrainer(Trainer):
    """`transformers.Trainer` with the embedding strategies, metrics, early stopping and reproducible length grouping.

    A plain `Trainer` works on the model too; it then trains the embedding if `config.freeze_embeddings` is false.
    """

    args: GloveBiLSTMTrainingArguments

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `Trainer` takes. `args` must be `GloveBiLSTMTrainingArguments`."""
        super().__init__(*args, **kwargs)
        if not isinstance(self.args, GloveBiLSTMTrainingArguments):
            raise TypeError("args must be GloveBiLSTMTrainingArguments; for others use transformers.Trainer.")
        model = self._apply_strategy(self.model)
        if self.compute_metrics is None:
            self.compute_metrics = functools.partial(compute_metrics, model.config)
        if self.pop_callback(ProgressCallback) is not None:  # absent with --disable_tqdm, and in a notebook
            self.add_callback(BriefProgressCallback)
        if self.args.early_stopping_patience and self.args.load_best_model_at_end:
            self.add_callback(EarlyStoppingCallback(self.args.early_stopping_patience))

    def _validate_args(self) -> None:
        # Here the model is known, and nothing has asked for the metric yet.
        if isinstance(self.args, GloveBiLSTMTrainingArguments):
            self.args.settle_metric(cast(Any, self.model).config.problem_type)
        super()._validate_args()

    def call_model_init(self, trial: Any = None) -> GloveBiLSTMForSequenceClassification:
        """Make the model anew, where `model_init` was given."""
        return self._apply_strategy(super().call_model_init(trial))

    def _apply_strategy(self, model: Any) -> GloveBiLSTMForSequenceClassification:
        model.set_frozen(self.args.embedding_strategy == "frozen")
        return model

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        # Read as a column where there are columns: row by row takes seconds.
        column = (
            dataset["input_ids"] if isinstance(dataset, datasets.Dataset) else (row["input_ids"] for row in dataset)
        )
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return LengthGroupedSampler([len(ids) for ids in column], self._train_batch_size, seed)

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Sampler:
        # Grouping by length is for training: predictions come back in the order of the rows.
        return SequentialSampler(cast(datasets.Dataset, eval_dataset))


def find_checkpoints(output_dir: Path) -> list[Path]:
    """The folders of checkpoints, complete or not, in the order of their steps."""
    numbered = [
        one for one in output_dir.glob("checkpoint-*") if one.name.partition("-")[2].isdigit() and one.is_dir()
    ]
    return sorted(numbered, key=lambda folder: int(folder.name.partition("-")[2]))


def find_last_checkpoint(output_dir: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    return next((folder for folder in reversed(find_checkpoints(output_dir)) if is_complete(folder)), None)


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end."""
    return (checkpoint / CHECKPOINT_COMPLETE).is_file()
