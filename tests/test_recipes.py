"""Named settings, and what of them remains beside what is given."""

from pathlib import Path
from typing import Any

import pytest
from test_strategies import make_trainer

from glove_bilstm.scripts.main import main
from glove_bilstm.training.arguments import ModelArguments
from glove_bilstm.training.recipes import RECIPES, Recipe
from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments

RECIPE = Recipe(
    training={
        "embedding_strategy": "two_stage",
        "embedding_learning_rate": 1e-4,
        "unfreeze_at": "0.3",
        "min_steps": 99,
        "num_train_epochs": 4,
        "seed": 3,
    }
)


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({}, set()),
        ({"seed": 7}, {"seed"}),
        ({"embedding_strategy": "frozen"}, {"embedding_strategy", "embedding_learning_rate", "unfreeze_at"}),
        ({"embedding_strategy": "finetune"}, {"embedding_strategy", "unfreeze_at"}),
        ({"embedding_strategy": "two_stage"}, {"embedding_strategy"}),
        ({"embedding_strategy": "bogus"}, {"embedding_strategy", "embedding_learning_rate", "unfreeze_at"}),
        ({"num_train_epochs": 2}, {"num_train_epochs", "min_steps"}),
        ({"max_steps": 2}, {"min_steps"}),
        ({"embedding_learning_rate": 2e-4}, {"embedding_learning_rate"}),
    ],
)
def test_what_is_given_counts(given: dict, left_out: set[str]) -> None:
    assert RECIPE.training.keys() - RECIPE.training_for(given).keys() == left_out


def test_the_embeddings_rate_stays_a_share_of_the_learning_rate() -> None:
    tuned = RECIPES["tuned"]
    assert tuned.training_for({"learning_rate": 2e-3})["embedding_learning_rate"] == 6e-4
    assert tuned.training_for({"learning_rate": 1e-3}) == tuned.training_for({})
    assert "embedding_learning_rate" not in tuned.training_for({"learning_rate": 2e-3, "embedding_strategy": "frozen"})


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_taken(name: str, tmp_path: Path) -> None:
    ModelArguments(**RECIPES[name].model)
    for strategy in (None, "frozen", "finetune", "two_stage"):
        given = {} if strategy is None else {"embedding_strategy": strategy}
        GloveBiLSTMTrainingArguments(output_dir=str(tmp_path), **given, **RECIPES[name].training_for(given))
    for given in ({"embedding_strategy": "finetune", "sparse_embedding_updates": True}, {"optim": "sgd"}):
        GloveBiLSTMTrainingArguments(output_dir=str(tmp_path), **given, **RECIPES[name].training_for(given))


def test_the_classic_recipe_is_the_default_of_the_classes() -> None:
    assert RECIPES["classic"] == Recipe()


def test_the_command_tells_the_classes_what_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def keep(*given: Any) -> None:
        told.extend(given)
        raise ValueError

    monkeypatch.setattr("glove_bilstm.training.run.train_classifier", keep)
    (tmp_path / "command.args").write_text("--learning_rate 0.5")  # such a file transformers would read, unasked
    monkeypatch.setattr("sys.argv", [str(tmp_path / "command.py")])
    given: dict[str, Any] = {"learning_rate": 2e-3, "max_steps": 9, "class_weights": "a=1,b=2", "weight_decay": 0.1}
    flags = [f"--{name}={value}" for name, value in given.items()]
    assert main(["train", "--output_dir", str(tmp_path), "--sparse_embedding_updates", *flags]) == 1
    given["sparse_embedding_updates"] = True
    _, model, training, _ = told
    tuned = RECIPES["tuned"]
    expected = GloveBiLSTMTrainingArguments(output_dir=str(tmp_path), **given, **tuned.training_for(given))
    assert model == ModelArguments(**tuned.model)
    assert repr(training.to_dict()) == repr(expected.to_dict())  # with the types


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({"min_steps": 0}, 3),
        ({"min_steps": 12}, 3),  # 47 rows make four steps of 13
        ({"min_steps": 13}, 4),
        ({"min_steps": 13, "gradient_accumulation_steps": 2}, 7),
    ],
)
def test_least_number_of_steps(options: dict, epochs: float, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, **options)
    trainer.get_train_dataloader()
    assert trainer.args.num_train_epochs == epochs


@pytest.mark.slow
def test_many_short_epochs_are_not_each_evaluated_and_saved(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, min_steps=400, eval_strategy="epoch", save_strategy="epoch", save_total_limit=None,
        early_stopping_patience=0,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.global_step == 400
    evaluated = [log["step"] for log in trainer.state.log_history if "eval_loss" in log]
    assert evaluated == list(range(20, 401, 20))
    assert len(list(tmp_path.glob("checkpoint-*"))) == 20
