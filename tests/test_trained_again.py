"""What training reads when it starts, and what it leaves when it is interrupted."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from test_strategies import collate, embedding, make_trainer, rows
from tiny_model import make_model
from transformers import TrainerCallback, set_seed

from glove_bilstm import GloveBiLSTMTrainer, GloveBiLSTMTrainingArguments
from glove_bilstm.training.metrics import measure
from glove_bilstm.vectors.errors import InputError

SINGLE, MULTI = "single_label_classification", "multi_label_classification"
GRADUAL: dict[str, Any] = {"embedding_strategy": "two_stage", "gradual": True}


class StopAt(TrainerCallback):
    """Ends training at a step, by an exception."""

    def __init__(self, step: int, error: type[BaseException]) -> None:
        self.step, self.error = step, error

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise self.error


def values(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


class TestInterrupted:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    @pytest.mark.parametrize("sparse", [False, True])
    def test_nothing_stays_frozen(self, sparse: bool, error: type[BaseException], tmp_path: Path) -> None:
        model = make_model(problem_type=SINGLE)
        trainer = make_trainer(tmp_path, model, **GRADUAL, sparse_embedding_updates=sparse)
        trainer.add_callback(StopAt(7, error))
        with pytest.raises(error):
            trainer.train()
        assert all(weight.requires_grad for weight in model.parameters())
        assert not model.get_input_embeddings().sparse
        before = values(model)
        make_trainer(tmp_path, model, embedding_strategy="finetune").train()
        assert not any(torch.equal(weight, before[name]) for name, weight in model.named_parameters())

    def test_a_callback_sees_nothing_frozen(self, tmp_path: Path) -> None:
        """Also one that was given when the Trainer was made."""
        seen = []

        class Stop(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                control.should_training_stop = state.global_step == 2

            def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
                seen.append(all(weight.requires_grad for weight in model.parameters()))

        made = make_trainer(tmp_path, **GRADUAL)
        trainer = GloveBiLSTMTrainer(
            made.model, made.args, train_dataset=rows(), data_collator=collate, callbacks=[Stop()]
        )
        trainer.add_callback(Stop())
        trainer.train()
        assert seen == [True, True] and trainer.state.global_step == 2

    def test_nor_after_a_loss_that_is_no_number(self, tmp_path: Path) -> None:
        model = make_model(problem_type=SINGLE)
        trainer = make_trainer(tmp_path, model, **GRADUAL)
        plain = trainer._step_loss
        trainer.compute_loss_func = lambda *args, **kwargs: (
            plain(*args, **kwargs) * (float("nan") if trainer.state.global_step == 7 else 1.0)
        )
        with pytest.raises(InputError, match=r"The loss is nan .*\(step 8\)"):
            trainer.train()
        assert all(weight.requires_grad for weight in model.parameters())

    def test_what_the_user_froze_stays_so(self, tmp_path: Path) -> None:
        """The lower layer, which is then no part: the second stage is divided among the other three."""
        model = make_model(problem_type=SINGLE)
        lower = {name for name in values(model) if name.removesuffix("_reverse").endswith("_l0")}
        for name, weight in model.named_parameters():
            weight.requires_grad_(name not in lower)
        before = values(model)
        trainer = make_trainer(tmp_path, model, **GRADUAL, unfreeze_at="3 steps")
        trainer.train()
        assert {name for name, weight in model.named_parameters() if torch.equal(weight, before[name])} == lower
        assert {name for name, weight in model.named_parameters() if not weight.requires_grad} == lower
        assert [trainer.strategy.stages.start(part) for part in range(3)] == [3, 6, 9]

    def test_sparse_is_of_training_alone(self, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, embedding_strategy="finetune", sparse_embedding_updates=True)
        trainer.train()
        assert not trainer.model.get_input_embeddings().sparse


class TestChangedLater:
    """As a search for hyperparameters does: it sets the arguments of a Trainer that is there."""

    CHANGES = [
        {"embedding_anchor": 30.0},
        {"label_smoothing_factor": 0.5},
        {"focal_gamma": 2.0},
        {"class_weights": "LABEL_1=7"},
        {"sparse_embedding_updates": True, "embedding_weight_decay": 0.5},
        {"embedding_strategy": "two_stage", "gradual": True},
        {"embedding_learning_rate": 0.1},
    ]

    @pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
    def test_counts(self, changes: dict[str, Any], tmp_path: Path) -> None:
        found = []
        for at_first, later in (({}, {}), (changes, {}), ({}, changes)):
            trainer = make_trainer(tmp_path, **{"embedding_strategy": "finetune", **at_first})
            for name, value in later.items():
                setattr(trainer.args, name, value)
            trainer.train()
            found.append(embedding(trainer.model))
        assert torch.equal(found[2], found[1]) and not torch.equal(found[2], found[0])

    def test_one_model_after_another(self, tmp_path: Path) -> None:
        """A trial in two stages leaves nothing to the next one, which has one."""
        found = []
        for strategies in (["finetune"], ["two_stage", "finetune"]):
            arguments = make_trainer(tmp_path, embedding_strategy=strategies[0]).args
            trainer = GloveBiLSTMTrainer(
                model_init=lambda: make_model(problem_type=SINGLE), args=arguments, train_dataset=rows(),
                data_collator=collate,
            )  # fmt: skip
            for arguments.embedding_strategy in strategies:
                trainer.train()
            assert trainer.strategy.stages is None
            found.append(embedding(trainer.model))
        assert torch.equal(*found)

    def test_options_of_an_earlier_trial_mean_nothing(self, tmp_path: Path) -> None:
        """Transformers never puts back what a trial set."""
        found = []
        for left in ({}, {"unfreeze_at": 0.3, "gradual": True, "unfreeze_warmup_steps": 2.0}):
            trainer = make_trainer(tmp_path, embedding_strategy="finetune")
            for name, value in left.items():
                setattr(trainer.args, name, value)
            trainer.train()
            found.append(embedding(trainer.model))
        assert torch.equal(*found)

    @pytest.mark.parametrize(
        "changes",
        [
            {"sparse_embedding_updates": True},
            {"embedding_weight_decay": 0.5},
            {"embedding_learning_rate": 0.1},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    @pytest.mark.parametrize("back", [False, True])
    def test_counts_for_a_model_that_was_trained(self, back: bool, changes: dict[str, Any], tmp_path: Path) -> None:
        """As it would with a Trainer made anew, whose optimizer remembers nothing."""
        before: dict[str, Any] = {"embedding_strategy": "finetune"}
        first, second = ({**before, **changes}, before) if back else (before, {**before, **changes})
        trainer = make_trainer(tmp_path, **first)
        trainer.train()
        other = make_trainer(tmp_path, copy.deepcopy(trainer.model), **second)
        for name in changes:
            setattr(trainer.args, name, getattr(other.args, name))
        for one in (trainer, other):
            set_seed(5)
            one.train()
        assert torch.equal(embedding(trainer.model), embedding(other.model))

    def test_the_optimizer_stays_where_nothing_of_it_changed(self, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, embedding_strategy="finetune")
        made = trainer.create_optimizer()
        trainer.args.embedding_anchor = 1.0
        trainer.train()
        assert trainer.optimizer.optimizer is made

    @pytest.mark.parametrize("trained", [False, True])
    def test_a_given_optimizer_is_checked_again(self, trained: bool, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, embedding_strategy="finetune")
        optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)
        trainer = GloveBiLSTMTrainer(
            trainer.model, trainer.args, train_dataset=rows(), data_collator=collate, optimizers=(optimizer, None)
        )
        if trained:
            trainer.train()
        trainer.args.embedding_weight_decay = 0.5
        with pytest.raises(InputError, match="are for the Trainer's own optimizer"):
            trainer.train()

    @pytest.mark.slow
    def test_least_number_of_steps(self, tmp_path: Path) -> None:
        """47 rows make four steps of 13; a later trial begins from the two epochs that were told."""
        trainer = make_trainer(
            tmp_path, num_train_epochs=2, min_steps=40, eval_strategy="epoch", logging_strategy="epoch"
        )
        args = trainer.args
        trainer.train()
        assert (trainer.state.global_step, args.num_train_epochs, args.eval_strategy) == (40, 10.0, "steps")
        args.min_steps = 5
        trainer.train()
        assert (trainer.state.global_step, args.num_train_epochs) == (8, 2.0)
        assert (args.eval_strategy, args.logging_strategy) == ("epoch", "epoch")
        args.min_steps = 40
        trainer.train()
        args.num_train_epochs, args.min_steps = 3.0, 0  # what is set is told anew
        trainer.train()
        assert (trainer.state.global_step, args.num_train_epochs, args.eval_strategy) == (12, 3.0, "epoch")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"embedding_strategy": "frozen"}, "can't be changed from or to frozen"),
            ({"embedding_anchor": -1.0}, "embedding_anchor must be a number that isn't negative"),
            ({"label_smoothing_factor": 0.1, "focal_gamma": 2.0}, "work against each other"),
            ({"class_weights": "maybe=2"}, "There is no class 'maybe'"),
        ],
    )
    def test_is_checked(self, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
        trainer = make_trainer(tmp_path, embedding_strategy="finetune")
        for name, value in changes.items():
            setattr(trainer.args, name, value)
        with pytest.raises(ValueError, match=message):
            trainer.train()

    def test_smoothing_of_the_models_own_loss(self, tmp_path: Path) -> None:
        found = []
        for at_first, later in ((0.0, 0.0), (0.5, 0.5), (0.0, 0.5)):
            trainer = make_trainer(tmp_path, make_model(), label_smoothing_factor=at_first)
            trainer.args.label_smoothing_factor = later
            trainer.train()
            found.append(trainer.model.classifier.weight)
        assert torch.equal(found[2], found[1]) and not torch.equal(found[2], found[0])


class TestModelInit:
    """The model that is trained isn't the one that the Trainer was made with."""

    def make(self, folder: Path, config: list[dict[str, Any]], data: Dataset) -> GloveBiLSTMTrainer:
        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(folder), num_train_epochs=1, learning_rate=0.01, eval_strategy="no", save_strategy="no",
            use_cpu=True, disable_tqdm=True, report_to="none",
        )  # fmt: skip
        return GloveBiLSTMTrainer(
            model_init=lambda: make_model(**config.pop(0)), args=arguments, train_dataset=data, eval_dataset=data,
            data_collator=collate,
        )  # fmt: skip

    def test_is_moved_once_it_is_made(self, tmp_path: Path) -> None:
        """What the anchor pulls toward is where the model is by then. (float64 stands for another device.)"""
        arguments = make_trainer(tmp_path, embedding_strategy="finetune", embedding_anchor=1.0).args
        trainer = GloveBiLSTMTrainer(
            model_init=lambda: make_model(problem_type=SINGLE), args=arguments, train_dataset=rows(),
            data_collator=collate,
        )  # fmt: skip
        trainer.place_model_on_device = True
        trainer._move_model_to_device = lambda model, device: model.to(torch.float64)
        trainer.train()
        assert trainer.strategy.original.dtype == embedding(trainer.model).dtype == torch.float64
        assert torch.equal(trainer.strategy.original, embedding(make_model()).double())

    def test_thresholds(self, tmp_path: Path) -> None:
        """They are those of the model, also on texts for which others would be better."""
        labels = [[float(row % 2), float(row % 3 == 0), float(row % 5 == 0)] for row in range(47)]
        data = Dataset.from_dict({"input_ids": rows()["input_ids"][:], "labels": labels})
        trainer = self.make(
            tmp_path, [{"problem_type": MULTI}, {"problem_type": MULTI, "thresholds": [0.9] * 3}], data
        )
        trainer.train()
        others = data.select(range(20, 40))
        thresholds = trainer.model.config.thresholds
        assert thresholds is not None and thresholds != [0.9] * 3
        answers = trainer.predict(others)
        figures = measure(trainer.model.config, answers.predictions, answers.label_ids)
        assert answers.metrics["test_f1"] == trainer.evaluate(others)["eval_f1"] == figures["f1"]
        trainer.model.config.thresholds = None
        assert trainer.evaluate(others)["eval_f1"] != figures["f1"]

    def test_units_of_the_targets(self, tmp_path: Path) -> None:
        data = Dataset.from_dict(
            {"input_ids": rows()["input_ids"][:], "labels": [500.0 + 7 * row for row in range(47)]}
        )
        right = {"problem_type": "regression", "num_labels": 1, "target_mean": 661.0, "target_std": 95.0}
        trainer = self.make(tmp_path, [{**right, "target_mean": 0.0, "target_std": 1.0}, right], data)
        trainer.train()
        loss = trainer.evaluate()["eval_loss"]
        answers = torch.from_numpy(trainer.predict(data).predictions).view(-1)
        assert loss == pytest.approx(
            float(((answers - torch.tensor(data["labels"][:])) / 95).square().mean()), rel=1e-4
        )


class NoDefault(torch.optim.Optimizer):
    """Gradient descent whose groups alone say the rate."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight -= group["lr"] * weight.grad


class TestOptimizerClass:
    def make(self, folder: Path, kind: Any, options: dict[str, Any], **told: Any) -> GloveBiLSTMTrainer:
        model = make_model(problem_type=SINGLE)
        arguments = make_trainer(folder, model, **told).args
        return GloveBiLSTMTrainer(
            model, arguments, train_dataset=rows(), data_collator=collate, optimizer_cls_and_kwargs=(kind, options)
        )

    @pytest.mark.parametrize(("told", "rate"), [({}, 0.5), ({"embedding_learning_rate": 0.25}, 0.25)])
    def test_its_learning_rate_is_the_embeddings_too(self, told: dict[str, Any], rate: float, tmp_path: Path) -> None:
        trainer = self.make(tmp_path, torch.optim.SGD, {"lr": 0.5}, embedding_strategy="finetune", **told)
        assert [group["lr"] for group in trainer.create_optimizer().param_groups] == [0.5, 0.5, rate]
        assert type(trainer.optimizer) is torch.optim.SGD

    @pytest.mark.parametrize("given", ["class", "optimizer", "group", "no default"])
    def test_the_rate_of_the_second_stage_is_the_one_that_was_told(self, given: str, tmp_path: Path) -> None:
        told: dict[str, Any] = {
            "embedding_strategy": "two_stage", "embedding_learning_rate": 0.2, "lr_scheduler_type": "constant",
            "logging_strategy": "steps", "logging_steps": 1,
        }  # fmt: skip
        trainer = self.make(tmp_path, torch.optim.SGD, {"lr": 0.5}, **told)
        weights = list(trainer.model.parameters())
        own = [{"params": weights, "lr": 0.5}]
        optimizers = {
            "optimizer": torch.optim.SGD(weights, lr=0.5),
            "group": torch.optim.SGD(own),  # whose default is 0.001
            "no default": NoDefault(own, {}),
        }
        if given in optimizers:
            optimizer = optimizers[given]
            trainer = GloveBiLSTMTrainer(
                trainer.model, trainer.args, train_dataset=rows(), data_collator=collate, optimizers=(optimizer, None)
            )
        for _ in range(2):  # by the end the schedule has changed the group's rate
            trainer.train()
            rates = [log["learning_rate"] for log in trainer.state.log_history if "learning_rate" in log]
            assert rates == pytest.approx([0.5] * 6 + [0.2] * 6)

    def test_sparse_updates_would_replace_it(self, tmp_path: Path) -> None:
        told = {"embedding_strategy": "finetune", "sparse_embedding_updates": True}
        with pytest.raises(InputError, match="an optimizer of its own, and optimizer_cls_and_kwargs names SGD"):
            self.make(tmp_path, torch.optim.SGD, {"lr": 0.5}, **told)
