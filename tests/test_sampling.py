"""Which rows make a batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as some
from test_strategies import collate, make_trainer, rows
from tiny_model import make_model

from glove_bilstm import GloveBiLSTMTrainer
from glove_bilstm.training.sampling import LengthGroupedBatches
from glove_bilstm.vectors.errors import InputError


def test_is_a_permutation_grouped_by_length_and_repeatable() -> None:
    lengths = np.random.default_rng(0).integers(0, 200, 999).tolist()
    sampler = LengthGroupedBatches(lengths, batch_size=13, seed=1)
    batches = list(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(999))
    assert [len(batch) for batch in batches] == [13] * 76 + [11] and len(sampler) == 77
    assert batches == list(sampler)
    sampler.set_epoch(1)
    assert batches != list(sampler)
    # 76 steps in pools of a quarter of them, 19: a batch spans a nineteenth of the lengths, which are below 200.
    assert np.mean([np.ptp([lengths[row] for row in batch]) for batch in batches[:-1]]) < 15
    # and batches aren't ordered by length
    means = [np.mean([lengths[row] for row in batch]) for batch in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.4


@pytest.mark.parametrize("count", [40, 101, 999])
def test_the_company_of_a_row_changes_and_every_row_is_left_over_at_times(count: int) -> None:
    """However few the rows, and though no two are equally long."""
    sampler = LengthGroupedBatches(list(range(count)), batch_size=13, seed=1, drop_last=True)
    batches, left_over = set(), set()
    for epoch in range(100):
        sampler.set_epoch(epoch)
        of_epoch = [frozenset(batch) for batch in sampler]
        batches.update(of_epoch)
        left_over.update(set(range(count)).difference(*of_epoch))
    assert len(batches) > 0.9 * 100 * (count // 13)
    assert len(left_over) > 0.9 * count if count < 999 else len(left_over) > 500


@pytest.mark.parametrize("count", [1, 12, 13, 14])
def test_few_rows(count: int) -> None:
    batches = list(LengthGroupedBatches([3] * count, 13, 0))
    assert sorted(row for batch in batches for row in batch) == list(range(count))


@given(
    count=some.integers(1, 99),
    batch_size=some.integers(1, 7),
    accumulation=some.integers(1, 3),
    processes=some.integers(1, 3),
    drop_last=some.booleans(),
)
@example(count=4, batch_size=1, accumulation=2, processes=3, drop_last=False)  # too few rows for two batches each
@example(count=17, batch_size=1, accumulation=3, processes=3, drop_last=False)
def test_steps_are_the_same_however_they_are_divided(
    count: int, batch_size: int, accumulation: int, processes: int, drop_last: bool
) -> None:
    if count < processes:
        with pytest.raises(InputError, match=f"{count} training rows can't be shared among {processes} processes"):
            LengthGroupedBatches([1] * count, batch_size, 0, accumulation, processes)
        return
    lengths = [row % 7 for row in range(count)]
    whole = LengthGroupedBatches(lengths, batch_size * accumulation * processes, 5, drop_last=drop_last)
    parts = [
        LengthGroupedBatches(lengths, batch_size, 5, accumulation, processes, rank, drop_last)
        for rank in range(processes)
    ]
    of_ranks = [list(part) for part in parts]
    # As the Trainer counts: `accumulation` batches a step, fewer in the last one of the epoch.
    assert [len(batches) for batches in of_ranks] == [len(part) for part in parts]
    assert len({len(part) for part in parts}) == 1
    assert all(batch for batches in of_ranks for batch in batches)
    steps = [
        sorted(row for batches in of_ranks for batch in batches[start : start + accumulation] for row in batch)
        for start in range(0, len(parts[0]), accumulation)
    ]
    assert steps == [sorted(batch) for batch in whole]
    assert len(steps) == 1 or all(len(step) >= min(8, whole.step_size) for step in steps)
    rows = sorted(row for step in steps for row in step)
    if not drop_last:
        assert rows == list(range(count))
    else:
        assert len(rows) == len(set(rows)) == count - count % whole.step_size


@pytest.mark.parametrize("held_out", [7, 45])  # rows; a batch has 13 in training, 32 in evaluation
@pytest.mark.parametrize("sampling", ["group_by_length", "sequential"])
def test_evaluation_drops_no_rows(held_out: int, sampling: str, tmp_path: Path) -> None:
    found: list[Any] = []
    for drop_last in (False, True):
        trainer = make_trainer(
            tmp_path, dataloader_drop_last=drop_last, train_sampling_strategy=sampling, num_train_epochs=1,
            learning_rate=0.0, eval_strategy="epoch", save_strategy="epoch",
        )  # fmt: skip
        trainer.eval_dataset = rows(held_out)
        trainer.train()
        answers = trainer.predict(rows(held_out))
        assert answers.predictions.shape == (held_out, 3)
        found.append((answers.predictions.tolist(), trainer.evaluate()["eval_accuracy"], trainer.state.best_metric))
        assert len(trainer.get_train_dataloader()) == (3 if drop_last else 4)  # of 47 rows
    assert found[0] == found[1]


def test_rows_without_a_length_are_refused_before_steps_are_asked_for(tmp_path: Path) -> None:
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            return iter(list(rows()))

    arguments = make_trainer(tmp_path).args
    with pytest.raises(InputError, match="can't train on a stream, a data set without a length: give it a Dataset"):
        GloveBiLSTMTrainer(make_model(), arguments, train_dataset=Stream(), data_collator=collate)


def test_training_without_rows(tmp_path: Path) -> None:
    trainer = GloveBiLSTMTrainer(make_model(), make_trainer(tmp_path).args, data_collator=collate)
    with pytest.raises(ValueError, match="training requires a train_dataset"):
        trainer.train()


def test_a_stream_of_known_length_is_trained_on_in_its_order(tmp_path: Path) -> None:
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            return iter(list(rows()))

        def __len__(self) -> int:
            return 47

    arguments = make_trainer(tmp_path, embedding_strategy="two_stage", unfreeze_at="2 epochs").args
    trainer = GloveBiLSTMTrainer(make_model(), arguments, train_dataset=Stream(), data_collator=collate)
    first = next(iter(trainer.get_train_dataloader()))
    assert first["input_ids"].tolist() == collate(list(rows().select(range(13))))["input_ids"].tolist()
    trainer.train()
    assert trainer.strategy.stages.unfreeze_step == 8 and trainer.state.global_step == 12
