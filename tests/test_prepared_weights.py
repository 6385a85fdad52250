"""Reading with weights that were laid out for oneDNN beforehand: the same numbers, also where weights change."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_model import make_batch, make_model
from torch import nn
from torch.nn.utils import prune

from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMLayers, cpu_computes_in

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


def batches() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    ids, mask = make_batch()
    full = ids.clamp(min=2), torch.ones_like(mask)
    return {"several": (ids, mask), "of one length": full, "one": (full[0][:1], full[1][:1])}


def read_by_torch(model: Any, batch: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(GloveBiLSTMLayers, "_can_prepare", lambda *_: False)
        return model(*batch).logits


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layers whose weights were laid out, and whose were asked for."""
    found: list[str] = []
    prepare, reorder = GloveBiLSTMLayers._prepare, torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight

    def noted(self: Any, name: str, *arguments: Any) -> Any:
        found.append(name)
        return prepare(self, name, *arguments)

    def reordered(*arguments: Any) -> Any:
        found.append("made")
        return reorder(*arguments)

    monkeypatch.setattr(GloveBiLSTMLayers, "_prepare", noted)
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight", reordered)
    return found


@pytest.mark.parametrize("kind", batches())
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("hidden_size", [6, 37])
def test_logits_are_torchs_bit_for_bit(
    kind: str, layers: int, bidirectional: bool, hidden_size: int, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    model = make_model(num_hidden_layers=layers, bidirectional=bidirectional, hidden_size=hidden_size)
    batch, other = batches()[kind], batches()["one" if kind != "one" else "several"]
    expected = read_by_torch(model, batch, monkeypatch)
    with torch.no_grad():
        found = [model(*one).logits for one in (batch, other, batch)]
    with torch.inference_mode():
        found.append(model(*batch).logits)
    assert all(torch.equal(one, expected) for one in (found[0], *found[2:]))
    weights = layers * (1 + bidirectional)
    assert calls.count("made") == 2 * weights  # once for one text, once for several
    assert len(calls) - calls.count("made") == 4 * weights


CHANGES: dict[str, Callable[[nn.LSTM, str], object]] = {
    "in place": lambda lstm, name: getattr(lstm, name).mul_(2),
    "one number in place": lambda lstm, name: getattr(lstm, name).view(-1)[1].add_(1),
    "through data": lambda lstm, name: getattr(lstm, name).data.mul_(2),
    "a row through data": lambda lstm, name: getattr(lstm, name).data[3:4].zero_(),
    "a column through data": lambda lstm, name: getattr(lstm, name).data[..., -2].zero_(),
    "other data": lambda lstm, name: setattr(getattr(lstm, name), "data", getattr(lstm, name).data * 2),
    "other parameter": lambda lstm, name: setattr(lstm, name, nn.Parameter(getattr(lstm, name) * 2)),
    "loaded": lambda lstm, name: lstm.load_state_dict(lstm.state_dict() | {name: getattr(lstm, name) * 2}),
    "an optimizer": lambda lstm, name: optimize(getattr(lstm, name)),
}


def optimize(weight: nn.Parameter) -> None:
    weight.grad = torch.ones_like(weight)
    torch.optim.SGD([weight], lr=1.0).step()
    weight.grad = None


@pytest.mark.parametrize("kind", batches())
@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_changed_are_seen(change: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = make_model(num_hidden_layers=2), batches()[kind]
    with torch.no_grad():
        for name, weight in list(model.glove_bilstm.lstm.named_parameters()):
            weight.normal_()  # the biases are zero
            before = model(*batch).logits
            CHANGES[change](model.glove_bilstm.lstm, name)
            after = model(*batch).logits
            assert not torch.equal(before, after), name
            assert torch.equal(after, read_by_torch(model, batch, monkeypatch)), name


@pytest.mark.parametrize("kind", batches())
def test_weights_that_lie_otherwise(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = make_model(num_hidden_layers=2), batches()[kind]
    lstm = model.glove_bilstm.lstm
    with torch.no_grad():
        expected = model(*batch).logits
        for name, weight in list(lstm.named_parameters()):
            if weight.ndim == 2:
                setattr(lstm, name, nn.Parameter(weight.t().contiguous().t()))
                assert torch.equal(model(*batch).logits, expected), name


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l1_reverse"])
def test_pruned_weights_in_inference_mode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made anew in each call, and in that mode don't count their changes."""
    model, batch = make_model(num_hidden_layers=2), batches()["several"]
    prune.random_unstructured(model.glove_bilstm.lstm, name, amount=0.4)
    expected = read_by_torch(model, batch, monkeypatch)
    for context in (torch.inference_mode(), torch.no_grad()):
        with context:
            assert torch.equal(model(*batch).logits, expected)


def test_what_is_not_noticed_can_be_told() -> None:
    model, batch = make_model(), batches()["several"]
    with torch.no_grad():
        before = model(*batch).logits
        model.glove_bilstm.lstm.weight_hh_l0.data[0, 1] += 1
        assert torch.equal(model(*batch).logits, before)
        model.glove_bilstm.lstm.flatten_parameters()
        assert not torch.equal(model(*batch).logits, before)


def test_copies_have_weights_of_their_own() -> None:
    model, batch = make_model(num_hidden_layers=2), batches()["several"]
    with torch.no_grad():
        expected = model(*batch).logits
        for other in (deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(other(*batch).logits, expected)
            for weight in other.glove_bilstm.lstm.parameters():
                weight.zero_()
            assert not torch.equal(other(*batch).logits, expected)
        assert torch.equal(model(*batch).logits, expected)
    assert not any("prepared" in name for name in model.state_dict())


def test_threads_share_them() -> None:
    model, batch = make_model(num_hidden_layers=2), batches()["several"]

    @torch.inference_mode()
    def read(_: int) -> torch.Tensor:
        return model(*batch).logits

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(40)))
    assert all(torch.equal(one, found[0]) for one in found)


@pytest.mark.parametrize("how", ["gradients", "autocast", "double", "made in inference mode", "oneDNN switched off"])
def test_elsewhere_torch_reads(how: str, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "made in inference mode":
        with torch.inference_mode():
            model = make_model()
    else:
        model = make_model()
    if how == "double":
        model.double()
    if how == "oneDNN switched off":
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with torch.set_grad_enabled(how == "gradients"), torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        model(*batches()["several"])
    if how != "autocast" or cpu_computes_in(torch.bfloat16):  # else the layers compute in float32 all the same
        assert not calls


# Tracing reads every attribute, a deprecated one of transformers' too, and says of each branch that it takes just one.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # many serve models so all the same
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max", "attention"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_traced_model_reads_any_batch(bidirectional: bool, pooling: Any) -> None:
    """Others than the one that it was traced with: none of its sizes or choices is taken for a constant."""
    model = make_model(num_hidden_layers=2, pooling=pooling, bidirectional=bidirectional)
    full, mask = batches()["of one length"]
    with torch.no_grad():
        traced = torch.jit.trace(model, (full[:2, :3], mask[:2, :3]), strict=False)
        ids, holes = make_batch()
        for batch in ((full, mask), (ids, holes), (full[:1], mask[:1]), (full, holes.flip(1)), (full, 0 * mask)):
            assert torch.allclose(traced(*batch)["logits"], model(*batch).logits, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_traced_model_calls_nothing_of_onednn_itself(tmp_path: Path) -> None:
    model, batch = make_model(num_hidden_layers=2), batches()["of one length"]
    with torch.no_grad():
        expected = model(*batch).logits
        traced = torch.jit.trace(model, batch, strict=False)
        assert "aten::lstm" in str(traced.inlined_graph) and "mkldnn" not in str(traced.inlined_graph)
        traced.save(tmp_path / "model.pt")
        assert torch.equal(torch.jit.load(tmp_path / "model.pt")(*batch)["logits"], expected)
