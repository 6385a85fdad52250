"""What training reads when it starts, and what it leaves when it is interrupted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from test_strategies import collate, embedding, make_trainer, rows
from tiny_model import make_model
from transformers import TrainerCallback

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

    @pytest.mark.parametrize("given", ["class", "optimizer"])
    def test_the_rate_of_the_second_stage_is_the_one_that_was_told(self, given: str, tmp_path: Path) -> None:
        told: dict[str, Any] = {
            "embedding_strategy": "two_stage", "embedding_learning_rate": 0.2, "lr_scheduler_type": "constant",
            "logging_strategy": "steps", "logging_steps": 1,
        }  # fmt: skip
        trainer = self.make(tmp_path, torch.optim.SGD, {"lr": 0.5}, **told)
        if given == "optimizer":
            optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.5)
            trainer = GloveBiLSTMTrainer(
                trainer.model, trainer.args, train_dataset=rows(), data_collator=collate, optimizers=(optimizer, None)
            )
        trainer.train()
        rates = [log["learning_rate"] for log in trainer.state.log_history if "learning_rate" in log]
        assert rates == pytest.approx([0.5] * 6 + [0.2] * 6)

    def test_sparse_updates_would_replace_it(self, tmp_path: Path) -> None:
        told = {"embedding_strategy": "finetune", "sparse_embedding_updates": True}
        with pytest.raises(InputError, match="an optimizer of its own, and optimizer_cls_and_kwargs names SGD"):
            self.make(tmp_path, torch.optim.SGD, {"lr": 0.5}, **told)
