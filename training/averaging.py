"""Averages of the weights over training steps, which often do better than the last weights."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl


class AveragedAdamW(torch.optim.AdamW):
    """AdamW that keeps an exponential moving average of every weight that it trains (Polyak & Juditsky 1992).

    The weights themselves are trained on; for evaluation and for saving, `eval()` puts the averages in their place,
    and `train()` puts them back: the protocol of optimizers that are free of schedules, which the Trainer follows.
    What isn't in the model's place at the time is part of the optimizer's state, so a checkpoint holds both.
    """

    def __init__(self, params: Any, ema_decay: float, **kwargs: Any) -> None:
        """Take what `torch.optim.AdamW` takes.

        Args:
            params: The parameters or their groups.
            ema_decay: What remains of the average at each step; at step t at most (1 + t) / (10 + t), so that the
                first steps don't linger.
            **kwargs: Of AdamW.
        """
        super().__init__(params, **kwargs)
        self.param_groups[0] |= {"ema_decay": ema_decay, "averaged": False}  # saved with the state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step, and average."""
        trained = [weight for weight in self._weights() if weight.grad is not None]
        before = {weight: weight.clone() for weight in trained if "average" not in self.state[weight]}
        loss = super().step(closure)
        for weight in trained:
            state = self.state[weight]
            if weight in before:
                state["average"] = before[weight]
            steps = float(state["step"])
            decay = min(self.param_groups[0]["ema_decay"], (1 + steps) / (10 + steps))
            state["average"].lerp_(weight, 1 - decay)
        return loss

    def eval(self) -> None:
        """Put the averages in the weights' place."""
        self._exchange(averaged=True)

    def train(self) -> None:
        """Put the weights in their place again."""
        self._exchange(averaged=False)

    @torch.no_grad()
    def _exchange(self, averaged: bool) -> None:
        if self.param_groups[0]["averaged"] == averaged:
            return
        self.param_groups[0]["averaged"] = averaged
        for weight in self._weights():
            if "average" in self.state[weight]:
                other = self.state[weight]["average"]
                kept = weight.clone()
                weight.copy_(other)
                other.copy_(kept)

    def _weights(self) -> list[torch.Tensor]:
        return [weight for group in self.param_groups for weight in group["params"]]


class AveragingCallback(TrainerCallback):
    """Puts the averages in place whenever the model may be saved or training may be over."""

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **kwargs: Any) -> None:
        """Before a checkpoint; the Trainer itself sees to evaluations."""
        if control.should_save:
            kwargs["optimizer"].eval()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Before a checkpoint, and before the best one's weights are loaded."""
        kwargs["optimizer"].eval()
