"""Named settings of a whole training run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glove_bilstm.training.training_arguments import STRATEGY_OPTIONS, GloveBiLSTMTrainingArguments


@dataclass(frozen=True)
class Recipe:
    """What differs from the defaults of the argument classes.

    Attributes:
        model: Of `ModelArguments`.
        training: Of `GloveBiLSTMTrainingArguments`.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def training_for(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Its training options, as far as those that are given leave them any meaning.

        Another strategy leaves out those of the recipe's own; a number of epochs or steps, the least number of steps.
        Another learning rate changes the embedding's with it.
        """
        strategy = given.get("embedding_strategy", self.training.get("embedding_strategy"))
        idle = {*given, *set(STRATEGY_OPTIONS["two_stage"]).difference(STRATEGY_OPTIONS.get(strategy, ()))}
        if not given.keys().isdisjoint(("num_train_epochs", "max_steps")):
            idle.add("min_steps")
        options = {name: value for name, value in self.training.items() if name not in idle}
        if "learning_rate" in given and "embedding_learning_rate" in options:
            usual = self.training.get("learning_rate", GloveBiLSTMTrainingArguments.learning_rate)
            # Rounded, or 2e-3 would make 0.0006000000000000001 of 3e-4.
            scaled = options["embedding_learning_rate"] * given["learning_rate"] / usual
            options["embedding_learning_rate"] = float(f"{scaled:.6g}")
        return options


RECIPES = {
    # The plain architecture: two layers of 256 in each direction, their last states, dropout 0.5, frozen vectors.
    "classic": Recipe(),
    # Chosen on validation, see benchmarks/options.md: vectors trained along, but at a third of the rate.
    "tuned": Recipe(
        model={"hidden_size": 200, "pooling": "mean_max", "min_frequency_without_vector": 2},
        training={
            "embedding_strategy": "finetune",
            "embedding_learning_rate": 3e-4,
            "r_drop": 1.0,
            "class_weights": "auto",
            "num_train_epochs": 5.0,
            "min_steps": 1500,
            "early_stopping_patience": 0,
            "per_device_train_batch_size": 64,
        },
    ),
}
"""By their names; `glove-bilstm train` uses "tuned" unless told, the argument classes are "classic"."""
