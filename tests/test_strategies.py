"""The embedding strategies: which rows move when, and at which rate."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tiny_model import VOCABULARY, make_model
from transformers import TrainerCallback, set_seed

from glove_bilstm import GloveBiLSTMForSequenceClassification, GloveBiLSTMTrainer, GloveBiLSTMTrainingArguments
from glove_bilstm.training.progress import UNFROZEN
from glove_bilstm.training.row_adam import RowwiseAdamW
from glove_bilstm.training.strategies import TwoStages, parts_of
from glove_bilstm.vectors.errors import InputError

NO_DROPOUT: dict[str, Any] = {"embedding_dropout": 0.0, "lstm_dropout": 0.0, "classifier_dropout": 0.0}


def rows(count: int = 47) -> Dataset:
    """Texts of 1 to 7 of the words 2 to 79; the words 80 to 98 never occur."""
    generator = torch.Generator().manual_seed(0)
    return Dataset.from_list(
        [
            {
                "input_ids": torch.randint(2, 80, (1 + row % 7,), generator=generator).tolist(),
                "labels": row % 3,
            }
            for row in range(count)
        ]
    )


def collate(features: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    ids = [torch.tensor(feature["input_ids"]) for feature in features]
    labels = torch.tensor([feature["labels"] for feature in features])
    return {"input_ids": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), "labels": labels}


class Recorder(TrainerCallback):
    """Keeps the parts and the learning rates of every step."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        self.rates: list[list[float]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.rates.append([group["lr"] for group in kwargs["optimizer"].param_groups])
        self.weights.append({name: value.detach().clone() for name, value in kwargs["model"].named_parameters()})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.weights.append({name: value.detach().clone() for name, value in kwargs["model"].named_parameters()})

    def moved(self, step: int, model: GloveBiLSTMForSequenceClassification) -> list[bool]:
        """Which of `parts_of(model)` a step (counted from 0) changed."""
        names = {value: name for name, value in model.named_parameters()}
        before, after = self.weights[step], self.weights[step + 1]
        return [
            any(not torch.equal(before[names[weight]], after[names[weight]]) for weight in weights)
            for _, weights in parts_of(model)
        ]


def make_trainer(folder: Path, model: Any = None, **options: Any) -> GloveBiLSTMTrainer:
    set_seed(3)
    arguments = GloveBiLSTMTrainingArguments(
        **{
            "output_dir": str(folder),
            "num_train_epochs": 3,
            "per_device_train_batch_size": 13,
            "learning_rate": 0.01,
            "eval_strategy": "no",
            "save_strategy": "no",
            "use_cpu": True,
            "disable_tqdm": True,
            "report_to": "none",
            **options,
        }
    )
    return GloveBiLSTMTrainer(
        model=model or make_model(problem_type="single_label_classification"),
        args=arguments,
        train_dataset=rows(),
        eval_dataset=rows(7),
        data_collator=collate,
    )


def train(folder: Path, model: Any = None, **options: Any) -> tuple[GloveBiLSTMTrainer, Recorder]:
    trainer = make_trainer(folder, model, **options)
    recorder = Recorder()
    trainer.add_callback(recorder)
    trainer.train()
    return trainer, recorder


def embedding(model: Any) -> torch.Tensor:
    return model.get_input_embeddings().weight


class TestFrozen:
    def test_no_gradient_is_computed_and_no_row_moves(self, tmp_path: Path) -> None:
        before = embedding(make_model()).clone()
        trainer, _ = train(tmp_path, weight_decay=0.5)
        model = trainer.model
        assert torch.equal(embedding(model), before)
        assert embedding(model).grad is None and not embedding(model).requires_grad
        assert model.num_parameters(only_trainable=True) == model.num_parameters() - before.numel()
        assert all(
            weight is not embedding(model) for group in trainer.optimizer.param_groups for weight in group["params"]
        )

    def test_whatever_the_model_was_before(self, tmp_path: Path) -> None:
        model = make_model(freeze_embeddings=False)
        train(tmp_path, model)
        assert model.config.freeze_embeddings and not embedding(model).requires_grad


class TestFinetune:
    def test_only_rows_of_the_texts_move_and_padding_stays_zero(self, tmp_path: Path) -> None:
        before = embedding(make_model()).clone()
        trainer, recorder = train(tmp_path, embedding_strategy="finetune", weight_decay=0.5)
        after = embedding(trainer.model)
        moved = (after != before).any(dim=1)
        occurring = torch.zeros(VOCABULARY, dtype=torch.bool)
        occurring[[word for text in rows()["input_ids"] for word in text]] = True
        assert torch.equal(moved, occurring)
        assert not after[0].any()
        assert not trainer.model.config.freeze_embeddings

    def test_has_a_group_of_its_own(self, tmp_path: Path) -> None:
        trainer, recorder = train(
            tmp_path, embedding_strategy="finetune", embedding_learning_rate=0.002, weight_decay=0.5
        )
        *others, own = trainer.optimizer.param_groups
        assert [weight is embedding(trainer.model) for weight in own["params"]] == [True]
        assert own["weight_decay"] == 0.0 and own["initial_lr"] == 0.002
        assert {group["initial_lr"] for group in others} == {0.01}
        assert sum(len(group["params"]) for group in trainer.optimizer.param_groups) == len(
            list(trainer.model.parameters())
        )
        # It follows the same schedule: here the linear one.
        assert [rates[-1] for rates in recorder.rates] == pytest.approx(
            [0.002 * (1 - step / 12) for step in range(12)]
        )
        assert [rates[0] for rates in recorder.rates] == pytest.approx([0.01 * (1 - step / 12) for step in range(12)])

    def test_weight_decay_of_its_own(self, tmp_path: Path) -> None:
        before = embedding(make_model()).clone()
        trainer, _ = train(tmp_path, embedding_strategy="finetune", embedding_weight_decay=0.5)
        after = embedding(trainer.model)
        assert after[90].norm() < before[90].norm() and not after[0].any()


class TestTwoStages:
    @pytest.mark.parametrize("unfreeze_at", [None, "0.5", "6", "6 steps", "6steps", "1.5 epochs"])
    def test_frozen_first_then_everything_at_a_lower_rate(self, tmp_path: Path, unfreeze_at: str | None) -> None:
        trainer, recorder = train(tmp_path, embedding_strategy="two_stage", unfreeze_at=unfreeze_at)
        assert trainer.state.max_steps == 12
        for step in range(12):
            assert recorder.moved(step, trainer.model) == [True, True, True, step >= 6], step
        schedule = [0.01 * (1 - step / 12) * (1.0 if step < 6 else 0.1) for step in range(12)]
        assert [rates for rates in recorder.rates] == [pytest.approx([rate] * 3) for rate in schedule]
        assert [log["step"] for log in trainer.state.log_history if UNFROZEN in log] == [6]
        assert all(weight.requires_grad for weight in trainer.model.parameters())
        assert not embedding(trainer.model)[0].any()

    def test_the_first_stage_is_the_frozen_strategy(self, tmp_path: Path) -> None:
        """To the bit, gradient clipping included."""
        frozen = train(tmp_path, max_grad_norm=0.01)[1]
        two_stage = train(tmp_path, embedding_strategy="two_stage", max_grad_norm=0.01)[1]
        for step in range(7):
            for name, value in frozen.weights[step].items():
                assert torch.equal(two_stage.weights[step][name], value), (step, name)

    def test_the_second_stage_warms_up(self, tmp_path: Path) -> None:
        for warmup in (2, 0.34):  # steps, or a share of the stage's six
            recorder = train(tmp_path, embedding_strategy="two_stage", unfreeze_warmup_steps=warmup,
                             embedding_learning_rate=0.003, lr_scheduler_type="constant")[1]  # fmt: skip
            rates = [0.01] * 6 + [0.001, 0.002, 0.003, 0.003, 0.003, 0.003]
            assert [rates[0] for rates in recorder.rates] == pytest.approx(rates)

    def test_the_second_stages_rate_where_the_first_one_warms_up(self, tmp_path: Path) -> None:
        """When the stages are planned, the schedule has lowered the optimizer's rate to 0 already."""
        recorder = train(tmp_path, embedding_strategy="two_stage", embedding_learning_rate=0.003,
                         lr_scheduler_type="constant_with_warmup", warmup_steps=4)[1]  # fmt: skip
        rates = [0.0, 0.0025, 0.005, 0.0075, 0.01, 0.01] + [0.003] * 6
        assert [rates[-1] for rates in recorder.rates] == pytest.approx(rates)

    def test_a_schedule_that_comes_twice_is_lowered_once(self, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, embedding_strategy="two_stage")
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.create_optimizer(), lambda step: 1.0)
        for _ in range(2):
            scheduler = trainer.create_scheduler(12)
            assert [factor(step) for factor in scheduler.lr_lambdas for step in (5, 6)] == [1.0, 0.1] * 3

    def test_gradual(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "glove_bilstm")
        trainer, recorder = train(
            tmp_path, embedding_strategy="two_stage", unfreeze_at="4 steps", gradual=True, num_train_epochs=3
        )
        for step in range(12):
            second = [True, step >= 6, step >= 8, step >= 10]  # head, upper layer, lower layer, embedding
            assert recorder.moved(step, trainer.model) == ([True, True, True, False] if step < 4 else second), step
        assert [log["step"] for log in trainer.state.log_history if UNFROZEN in log] == [10]
        told = [record.message for record in caplog.records if record.message.startswith("After")]
        assert [line.partition(": ")[2].partition(" is ")[0] for line in told] == [
            "the head alone", "LSTM layer 2 too", "LSTM layer 1 too", "the embedding too",
        ]  # fmt: skip
        assert told[0].startswith("After 4 of 12 steps (epoch 1)")
        assert told[0].endswith("0.1 times the learning rate. The rest pauses, and follows from the top down.")

    def test_layers_beyond_ten(self) -> None:
        model = make_model(num_hidden_layers=11)
        parts = parts_of(model)
        assert len(parts) == 13 and [len(weights) for _, weights in parts] == [2, *[8] * 11, 1]
        assert sum(len(weights) for _, weights in parts) == len(list(model.parameters()))

    def test_model_init(self, tmp_path: Path) -> None:
        """The model that is trained isn't the one that the Trainer was made with."""
        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(tmp_path), max_steps=4, use_cpu=True, embedding_strategy="two_stage", eval_strategy="no",
            save_strategy="no", disable_tqdm=True, report_to="none",
        )  # fmt: skip
        trainer = GloveBiLSTMTrainer(
            model_init=lambda: make_model(), args=arguments, train_dataset=rows(), data_collator=collate
        )
        before = embedding(make_model())
        trainer.train()
        assert not torch.equal(embedding(trainer.model), before)

    def test_a_schedule_that_has_no_formula_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="by ReduceLROnPlateau can't be divided into stages"):
            train(
                tmp_path,
                embedding_strategy="two_stage",
                lr_scheduler_type="reduce_lr_on_plateau",
                eval_strategy="epoch",
                load_best_model_at_end=False,
            )

    @pytest.mark.parametrize("unfreeze_at", ["12 steps", "13", "3 epochs", "99 epochs"])
    def test_past_the_end(self, tmp_path: Path, unfreeze_at: str) -> None:
        with pytest.raises(InputError, match=r"is after step [\d,]+, and training ends after step 12"):
            train(tmp_path, embedding_strategy="two_stage", unfreeze_at=unfreeze_at)

    @pytest.mark.parametrize(("unfreeze_at", "left"), [("11", "1 step"), ("10", "2 steps")])
    def test_a_warm_up_longer_than_the_stage(self, unfreeze_at: str, left: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=rf"3 is longer than the second stage, which has {left}\. Choose"):
            train(tmp_path, embedding_strategy="two_stage", unfreeze_at=unfreeze_at, unfreeze_warmup_steps=3)

    def test_too_late_for_gradual(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="too early for the 4 parts that --gradual unfreezes"):
            train(tmp_path, embedding_strategy="two_stage", unfreeze_at="9 steps", gradual=True)

    def test_early_stopping_waits_for_the_second_stage(self, tmp_path: Path) -> None:
        """A loss that never improves after the first evaluation ends the run two evaluations into the second stage."""
        set_seed(0)
        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(tmp_path), num_train_epochs=20, per_device_train_batch_size=13, use_cpu=True,
            embedding_strategy="two_stage", unfreeze_at="6 epochs", early_stopping_patience=2, disable_tqdm=True,
            report_to="none", metric_for_best_model="accuracy",
        )  # fmt: skip
        trainer = GloveBiLSTMTrainer(
            model=make_model(), args=arguments, train_dataset=rows(), eval_dataset=rows(7), data_collator=collate,
            compute_metrics=lambda prediction: {"accuracy": 0.5},
        )  # fmt: skip
        trainer.train()
        assert trainer.state.epoch == 8


class TestStages:
    def test_factor_and_starts(self) -> None:
        stages = TwoStages(unfreeze_step=10, max_steps=30, rate=0.1, warmup_steps=4, gradual=True, parts=4)
        assert [stages.start(part) for part in range(4)] == [10, 15, 20, 25]
        assert stages.embedding_start == 25
        assert [stages.factor(step) for step in (0, 9, 10, 13, 14, 29)] == pytest.approx([1, 1, 0.02, 0.08, 0.1, 0.1])


class TestAnchor:
    def test_pulls_what_was_trained_back(self, tmp_path: Path) -> None:
        original = embedding(make_model())
        drift = {
            anchor: (embedding(train(tmp_path, embedding_strategy="finetune", embedding_anchor=anchor)[0].model)
                     - original).norm()
            for anchor in (0.0, 1.0, 10.0)
        }  # fmt: skip
        assert drift[0.0] > drift[1.0] > drift[10.0] > 0

    def test_is_weight_decay_toward_the_original(self, tmp_path: Path) -> None:
        """λ times the learning rate of the way, before Adam's step; no more than the whole way."""
        original = embedding(make_model())
        for anchor, pull in ((20.0, 0.2), (100.0, 1.0), (1e6, 1.0)):
            options = {"embedding_strategy": "finetune", "lr_scheduler_type": "constant", "max_steps": 2}
            one = train(tmp_path, **options)[1].weights
            two = train(tmp_path, embedding_anchor=anchor, **options)[1].weights
            name = "glove_bilstm.embeddings.weight"
            moved = one[1][name] - original  # by the first step, which has nothing to pull back
            assert torch.allclose(one[2][name] - two[2][name], pull * moved, atol=1e-6)

    def test_untouched_rows_stay_bit_equal(self, tmp_path: Path) -> None:
        trainer, _ = train(tmp_path, embedding_strategy="finetune", embedding_anchor=1.0)
        assert torch.equal(embedding(trainer.model)[80:], embedding(make_model())[80:])


class TestSparse:
    def test_equals_adam_with_every_row_a_parameter(self, tmp_path: Path) -> None:
        """The definition: rows as parameters of their own, without a gradient where their word doesn't occur."""
        model = make_model(**NO_DROPOUT)
        trainer, recorder = train(
            tmp_path, model, embedding_strategy="finetune", sparse_embedding_updates=True,
            max_grad_norm=0.05, embedding_learning_rate=0.02, embedding_weight_decay=0.1,
        )  # fmt: skip
        reference = make_model(**NO_DROPOUT)
        dense = embedding(reference)
        table = [torch.nn.Parameter(row.clone()) for row in dense.detach()]
        others = [weight for weight in reference.parameters() if weight is not dense]
        optimizer = torch.optim.AdamW(
            [{"params": others, "lr": 0.01, "weight_decay": 0.0}, {"params": table, "lr": 0.02, "weight_decay": 0.1}]
        )
        reference.set_frozen(False)
        reference.train()
        for step, batch in enumerate(_batches(trainer)):
            loss = reference(**batch).loss
            loss.backward()
            present = batch["input_ids"].unique()
            for row in present[present > 0]:
                table[row].grad = dense.grad[row].clone()
            torch.nn.utils.clip_grad_norm_([*others, *table], 0.05)
            for group, rate in zip(optimizer.param_groups, (0.01, 0.02), strict=True):
                group["lr"] = rate * (1 - step / 12)
            optimizer.step()
            optimizer.zero_grad()
            dense.grad = None
            with torch.no_grad():
                dense.copy_(torch.stack(list(table)))
        assert torch.allclose(embedding(trainer.model), dense, atol=1e-6)
        for (name, one), other in zip(trainer.model.named_parameters(), reference.parameters(), strict=True):
            assert torch.allclose(one, other, atol=1e-6), name

    def test_in_two_stages_with_an_anchor_and_accumulation(self, tmp_path: Path) -> None:
        original = embedding(make_model())
        trainer, recorder = train(
            tmp_path, embedding_strategy="two_stage", sparse_embedding_updates=True, embedding_anchor=1.0,
            per_device_train_batch_size=4, gradient_accumulation_steps=2, max_grad_norm=0.0, gradual=True,
        )  # fmt: skip
        start = trainer.strategy.stages.embedding_start
        assert 0 < start < trainer.state.max_steps
        for step in range(trainer.state.max_steps):
            assert recorder.moved(step, trainer.model)[-1] == (step >= start)
        assert torch.equal(embedding(trainer.model)[80:], original[80:])
        assert not embedding(trainer.model)[0].any()

    @pytest.mark.parametrize("fused", [False, True])
    def test_a_step_whose_gradients_overflowed_is_left_out(self, fused: bool) -> None:
        """As with fp16, whose scaler leaves the step out for most optimizers, and tells fused ones to do so."""
        table, line = torch.nn.Embedding(5, 3, sparse=True), torch.nn.Linear(3, 1)
        optimizer = RowwiseAdamW([*table.parameters(), *line.parameters()], lr=0.1, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        for overflow in (True, False):
            before = table.weight.detach().clone()
            optimizer.zero_grad()
            scaler.scale(line(table(torch.tensor([1, 2]))).sum()).backward()
            if overflow:
                line.weight.grad.fill_(torch.inf)
                table.weight.grad = table.weight.grad * torch.inf
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            assert torch.equal(table.weight, before) == overflow and table.weight.isfinite().all()

    def test_a_scaled_gradient_is_unscaled(self) -> None:
        """Without clipping, nobody has done it before the step."""
        for fused in (False, True):
            table = torch.nn.Embedding.from_pretrained(torch.ones(5, 3), freeze=False, sparse=True)
            optimizer = RowwiseAdamW(table.parameters(), lr=0.1, fused=fused)
            scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
            scaler.scale(table(torch.tensor([1, 2])).sum()).backward()
            scaler.step(optimizer)
            assert torch.allclose(optimizer.state[table.weight]["exp_avg"][1], torch.full((3,), 0.1)), fused

    def test_gradients_can_be_seen_after_the_step(self) -> None:
        """As with every optimizer: what looks at them then, such as a callback, would see nothing."""
        table = torch.nn.Embedding(5, 3, sparse=True)
        table(torch.tensor([1, 2])).sum().backward()
        RowwiseAdamW(table.parameters(), lr=0.1).step()
        assert table.weight.grad is not None and table.weight.grad.to_dense().sum() == 6

    def test_another_optimizer_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="made for the optimizer adamw_torch; optim is sgd"):
            train(tmp_path, embedding_strategy="finetune", sparse_embedding_updates=True, optim="sgd")


def _batches(trainer: GloveBiLSTMTrainer) -> list[dict[str, torch.Tensor]]:
    loader = trainer.get_train_dataloader()
    batches = []
    for epoch in range(3):
        loader.batch_sampler.set_epoch(epoch)
        batches += [dict(batch) for batch in loader]
    return batches


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"embedding_learning_rate": 0.1}, "--embedding_learning_rate means nothing with --embedding_strategy"),
            ({"embedding_anchor": 0.1}, "trains no embedding. Leave it out, or choose --embedding_strategy"),
            ({"sparse_embedding_updates": True}, "--sparse_embedding_updates means nothing"),
            ({"unfreeze_at": "0.5"}, "choose --embedding_strategy two_stage."),
            ({"embedding_strategy": "finetune", "unfreeze_at": "0.5"}, "which has no second stage. Leave"),
            ({"embedding_strategy": "finetune", "gradual": True}, "--gradual means nothing with"),
            ({"embedding_strategy": "finetune", "embedding_anchor": -0.1}, "embedding_anchor must be a number"),
            ({"embedding_strategy": "finetune", "embedding_anchor": float("nan")}, "it is nan"),
            ({"embedding_strategy": "finetune", "embedding_learning_rate": 0.0}, "must be a number above 0; it is"),
            ({"embedding_strategy": "two_stage", "unfreeze_at": "1.5"}, "'1.5' is no point of training"),
            ({"embedding_strategy": "two_stage", "unfreeze_at": "0"}, "is no point of training"),
            ({"embedding_strategy": "two_stage", "unfreeze_at": "half"}, "is no point of training"),
            ({"embedding_strategy": "two_stage", "unfreeze_at": "-1 steps"}, "is no point of training"),
            ({"embedding_strategy": "two_stage", "unfreeze_warmup_steps": -1}, "unfreeze_warmup_steps must"),
        ],
    )  # fmt: skip
    def test_refused(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            GloveBiLSTMTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)


class TestDivergence:
    def test_a_loss_that_is_no_number(self, tmp_path: Path) -> None:
        model = make_model(problem_type="single_label_classification")
        with torch.no_grad():
            embedding(model)[40] = float("inf")
        with pytest.raises(
            InputError, match=r"The loss is nan at batch \d of 4 in epoch 1 \(step \d\), so training was"
        ):
            train(tmp_path, model)

    def test_the_batch_is_named_where_batches_are_accumulated(self, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=2)
        trainer.get_train_dataloader()
        trainer.state.global_step, trainer._batch = 7, 2
        assert trainer._in_batch() == "at batch 6 of 10 in epoch 2 (step 8)"

    def test_a_gradient_that_is_no_number_reaches_no_weight(self, tmp_path: Path) -> None:
        model = make_model(problem_type="single_label_classification")
        model.classifier.weight.register_hook(lambda gradient: gradient * float("nan"))
        with pytest.raises(InputError, match="The gradient's norm is nan at batch 1 of 4 in epoch 1"):
            train(tmp_path, model)
        assert all(torch.isfinite(weight).all() for weight in model.parameters())

    def test_weights_that_are_no_numbers_replace_no_checkpoint(self, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, save_strategy="steps", save_steps=1, save_total_limit=1)

        class Overflow(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if state.global_step == 3:
                    kwargs["model"].classifier.weight.data[0, 0] = float("inf")

        trainer.add_callback(Overflow())
        with pytest.raises(InputError, match=r"After step 3 not all weights are numbers.* is .*checkpoint-2\. Lower"):
            trainer.train()
        assert [folder.name for folder in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]


@pytest.mark.parametrize(
    "options", [{"sparse_embedding_updates": True}, {"embedding_learning_rate": 0.1}, {"embedding_anchor": 0.1}]
)
def test_what_an_own_optimizer_makes_meaningless_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    model = make_model(problem_type="single_label_classification")
    arguments = GloveBiLSTMTrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, eval_strategy="no", embedding_strategy="finetune", **options
    )

    def make() -> GloveBiLSTMTrainer:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return GloveBiLSTMTrainer(model, arguments, train_dataset=rows(), optimizers=(optimizer, None))

    if "embedding_anchor" in options:  # which it doesn't
        assert make().optimizer is not None
        return
    with pytest.raises(InputError, match="are for the Trainer's own optimizer. Leave them out"):
        make()
