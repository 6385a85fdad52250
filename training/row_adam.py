"""AdamW that updates an embedding row by row."""

from collections.abc import Callable, Iterable
from typing import Any

import torch


class RowwiseAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov & Hutter 2019) in which every row of an embedding is a parameter of its own.

    A row whose word isn't in the batch has no gradient, so it isn't touched, nor are its moments, nor its count of
    steps (from which Adam corrects its bias): exactly what AdamW does with a parameter whose gradient is None. A step
    then costs by the rows in the batch, not by the vocabulary. (`torch.optim.SparseAdam` counts all steps for every
    row, so that a rare word's first update is three times as large as a frequent one's.)

    It applies to parameters with sparse gradients, as `nn.Embedding(sparse=True)` gives them; to all others it is
    AdamW.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `AdamW` takes."""
        super().__init__(*args, **kwargs)
        # A loss scaler leaves it to a fused optimizer to unscale gradients, and to leave out a step in which they
        # overflowed; of rows that is the scaler's to do.
        self._step_supports_amp_scaling = False

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step."""
        sparse = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    self._step_rows(parameter, group)
                    sparse.append((parameter, parameter.grad))
                    parameter.grad = None  # done; AdamW would refuse it
        loss = super().step(closure)
        for parameter, gradient in sparse:
            parameter.grad = gradient
        return loss

    @torch.no_grad()
    def _step_rows(self, weight: torch.Tensor, group: dict[str, Any]) -> None:
        """Update the rows ``[R]`` of ``[V, D]`` that have a gradient."""
        state = self.state[weight]
        if not state:
            # Pages of zeros that are never written to take no memory on Linux.
            state["exp_avg"] = torch.zeros_like(weight)  # [V, D]
            state["exp_avg_sq"] = torch.zeros_like(weight)  # [V, D]
            state["step"] = torch.zeros(len(weight), 1, device=weight.device)  # [V, 1]
        state["step"] = state["step"].to(weight.device)  # of a checkpoint, torch leaves it on the CPU
        gradient = weight.grad.coalesce()  # type: ignore[union-attr]
        rows, gradient = gradient.indices()[0], gradient.values()  # [R], [R, D]
        beta1, beta2 = group["betas"]
        steps = state["step"][rows] + 1  # [R, 1]
        average = state["exp_avg"][rows].lerp(gradient, 1 - beta1)  # [R, D]
        square = (state["exp_avg_sq"][rows] * beta2).addcmul(gradient, gradient, value=1 - beta2)  # [R, D]
        state["step"][rows] = steps
        state["exp_avg"][rows] = average
        state["exp_avg_sq"][rows] = square
        scale = (square.sqrt() / (1 - beta2**steps).sqrt()).add(group["eps"])  # [R, D]
        update = average / (1 - beta1**steps) / scale  # [R, D]
        weight[rows] = weight[rows] * (1 - group["lr"] * group["weight_decay"]) - group["lr"] * update


@torch.no_grad()
def clip_sparse_grad_norm(parameters: Iterable[torch.Tensor], max_norm: float) -> torch.Tensor:
    """`torch.nn.utils.clip_grad_norm_` for gradients of which some are sparse, which torch refuses.

    Returns:
        The norm of all gradients together, before clipping.
    """
    values = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()  # a word that occurs twice has one gradient
            values.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
    total = torch.nn.utils.get_total_norm(values)
    factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for value in values:
        value.mul_(factor)
    return total
