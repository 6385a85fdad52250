"""Which rows make a batch."""

import functools
import math
from collections.abc import Iterator
from typing import Any, cast

import datasets
import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, SequentialSampler
from transformers import Trainer
from transformers.trainer_utils import seed_worker

from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.training.rows import check_labels, lengths_of
from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.vectors.errors import InputError


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches in random order, the rows of each of about the same length, drawn by chance.

    Unlike transformers' own sampler, the order depends on nothing but the seed and the epoch, so that a run which was
    interrupted and resumed sees the same batches. And what one optimizer step reads doesn't depend on how the step is
    divided: into batches that are accumulated, among processes, or not at all.
    """

    # Rows are sorted by length within pools of this many steps at the most: large enough that little is padded. A
    # quarter of the data at the most, so that a row's company changes from epoch to epoch.
    POOL = 50
    # A last step of fewer rows joins the one before it: each of several processes needs a row, and a step of one row
    # would teach its noise.
    FEWEST = 8

    def __init__(
        self,
        lengths: list[int],
        batch_size: int,
        seed: int,
        accumulation: int = 1,
        processes: int = 1,
        rank: int = 0,
        drop_last: bool = False,
    ) -> None:
        """Make batches of rows of these lengths.

        Args:
            lengths: Of every row, in tokens.
            batch_size: Rows in a batch of one process.
            seed: Of the order.
            accumulation: Batches, one after the other, in one optimizer step.
            processes: Processes that train together, each on its part of every step's rows.
            rank: Which of them this one is.
            drop_last: Leave out the rows that don't fill the last step.

        Raises:
            InputError: There are fewer rows than processes.
        """
        if len(lengths) < processes:
            raise InputError(f"{len(lengths)} training rows can't be shared among {processes} processes.")
        self.lengths = torch.tensor(lengths)
        self.seed = seed
        self.processes = processes
        self.rank = rank
        self.step_size = batch_size * accumulation * processes
        self.full_steps, rest = divmod(len(lengths), self.step_size)
        self.rest = 0 if drop_last or (rest < max(self.FEWEST, processes) and self.full_steps) else rest
        self.joined = 0 if drop_last else rest - self.rest
        self.accumulation = accumulation
        self.rest_batches = min(math.ceil(self.rest / (batch_size * processes)), self.rest // processes)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """This process's batches in an epoch."""
        return self.full_steps * self.accumulation + self.rest_batches

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of one epoch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        full, rest = order.split([self.full_steps * self.step_size, len(order) % self.step_size])
        steps: list[torch.Tensor] = []
        pool_size = max(1, min(self.POOL, self.full_steps // 4)) * self.step_size
        for pool in full.split(pool_size) if len(full) else ():
            steps += pool[self.lengths[pool].argsort(stable=True)].split(self.step_size)
        shuffled = [steps[position] for position in torch.randperm(self.full_steps, generator=generator)]
        if self.joined:
            shuffled[-1] = torch.cat([shuffled[-1], rest])
        for step in shuffled:
            yield from self._batches_of(step, self.accumulation)
        if self.rest:  # the Trainer expects the step with fewer batches at the end
            yield from self._batches_of(rest, self.rest_batches)

    def _batches_of(self, step: torch.Tensor, batches: int) -> Iterator[list[int]]:
        """Divide the rows of one optimizer step evenly among batches and processes; give this process's."""
        for batch in range(batches):
            yield step[batch * self.processes + self.rank :: batches * self.processes].tolist()


class BatchingTrainer(Trainer):
    """A `Trainer` that groups training rows by length reproducibly, and leaves out no row of an evaluation."""

    args: GloveBiLSTMTrainingArguments
    steps_per_epoch = 0  # until the training batches are made

    @property
    def _config(self) -> GloveBiLSTMConfig:
        return cast(GloveBiLSTMForSequenceClassification, self.model).config

    def _validate_args(self) -> None:
        self._check_length()  # before transformers asks for max_steps, which would be asked for in vain
        super()._validate_args()

    def _check_length(self) -> None:
        if self.train_dataset is not None and not hasattr(self.train_dataset, "__len__"):
            raise InputError(
                "GloveBiLSTMTrainer can't train on a stream, a data set without a length: give it a Dataset, or a "
                "list of rows. transformers.Trainer can."
            )

    def get_train_dataloader(self) -> DataLoader:
        """The training batches of this process.

        Raises:
            InputError: The training set has no length, or no full batch.
        """
        if self.train_dataset is None:
            return super().get_train_dataloader()  # it says so
        self._check_length()
        has_places = not isinstance(self.train_dataset, IterableDataset)
        if has_places:
            check_labels(self._config, self.train_dataset)
        # A subclass may have a sampler of its own.
        is_ours = has_places and type(self)._get_train_sampler is Trainer._get_train_sampler
        if self.args.train_sampling_strategy == "group_by_length" and is_ours:
            loader = self._batches_by(lengths_of(self.train_dataset))
        elif self.args.train_sampling_strategy == "random" and is_ours:
            # Not by transformers' own sampler: it has several processes read some rows twice.
            loader = self._batches_by([1] * len(cast(datasets.Dataset, self.train_dataset)))
        else:
            loader = super().get_train_dataloader()
        if len(loader) == 0:
            raise InputError(
                "dataloader_drop_last leaves out every training row, for they don't fill one step of "
                f"{self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size:,}. "
                "Leave it out, or choose smaller batches."
            )
        self.batches_per_epoch = len(loader)
        self.steps_per_epoch = math.ceil(len(loader) / self.args.gradient_accumulation_steps)
        self.args.settle_epochs(self.steps_per_epoch)
        return loader

    def _batches_by(self, lengths: list[int]) -> DataLoader:
        """The training batches of this process, in `LengthGroupedBatches` of rows of these lengths."""
        args, collator = self.args, self.data_collator
        dataset: Any = self.train_dataset
        if isinstance(dataset, datasets.Dataset):
            dataset = self._remove_unused_columns(dataset, description="training")
        else:
            collator = self._get_collator_with_removed_columns(collator, description="training")
        batches = LengthGroupedBatches(
            lengths,
            self._train_batch_size,
            args.seed if args.data_seed is None else args.data_seed,
            args.gradient_accumulation_steps,
            args.world_size,
            args.process_index,
            args.dataloader_drop_last,
        )
        loader = DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
            worker_init_fn=functools.partial(
                seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index
            ),
        )
        # The batches are this process's alone already, which is what "one process" says here.
        return prepare_data_loader(loader, args.device, num_processes=1, process_index=0, put_on_device=True)

    def _get_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        # Transformers applies this to evaluation too, which would leave rows out of figures and predictions.
        drop_last = self.args.dataloader_drop_last
        self.args.dataloader_drop_last = drop_last and kwargs.get("is_training", False)
        try:
            return super()._get_dataloader(*args, **kwargs)
        finally:
            self.args.dataloader_drop_last = drop_last

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Sampler:
        # Grouping by length is for training: predictions come back in the order of the rows.
        return SequentialSampler(cast(datasets.Dataset, eval_dataset))
