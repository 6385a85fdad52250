"""The classifier as an ONNX graph, made node by node: torch's exporter stops at an LSTM over texts of many lengths."""

from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.training.tasks import REGRESSION
from glove_bilstm.vectors.errors import InputError

EmbeddingDtype = Literal["float32", "float16", "int8"]
OPSET, IR_VERSION = 17, 8
"""Old enough for the runtimes in use; the LSTM hasn't changed since opset 14."""
ONNX_GATES = (0, 3, 1, 2)
"""ONNX stacks the gates input, output, forget, cell; torch input, forget, cell, output."""


class _Graph:
    """Nodes and constants, as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; the name of its first output."""
        name = f"{operator}_{len(self.nodes)}"
        names = [name, *(f"{name}_{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return name

    def hold(self, values: Any, dtype: Any = None) -> str:
        """Add a constant; its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name


def build_graph(
    model: GloveBiLSTMForSequenceClassification,
    embedding_dtype: EmbeddingDtype = "float32",
    vocabulary_size: int | None = None,
) -> onnx.ModelProto:
    """Make the graph of a model: ``input_ids`` and ``attention_mask`` ``[B, T]`` to ``logits`` ``[B, C]``.

    Batch and length are free, and padding may stand anywhere, as in the model. T must be 1 or more.

    Args:
        model: In float32.
        embedding_dtype: Of the embedding in the file. "int8" keeps each row's largest number beside it.
        vocabulary_size: How many of the embedding's rows to keep, the first ones. None: all.
    """
    config, graph = model.config, _Graph()
    # Tokens first, in their order, and padding after them: sorted by a key that is larger the sooner a token comes.
    length = graph.add("Gather", graph.add("Shape", "input_ids"), graph.hold(1, np.int64))
    places = graph.add("Range", graph.hold(0, np.int64), length, graph.hold(1, np.int64))  # [T]
    keys = graph.add("Sub", graph.add("Mul", "attention_mask", length), places)  # [B, T]
    top = graph.add("TopK", keys, graph.add("Unsqueeze", length, graph.hold([0], np.int64)), outputs=2, axis=1)
    ids = graph.add("GatherElements", "input_ids", f"{top}_1", axis=1)  # [B, T]
    lengths = graph.add("ReduceSum", "attention_mask", graph.hold([1], np.int64), keepdims=0)  # [B]
    lengths32 = graph.add("Cast", lengths, to=TensorProto.INT32)
    tokens = graph.add("Less", places, graph.add("Unsqueeze", lengths, graph.hold([1], np.int64)))  # [B, T]

    states = _embed(graph, model.get_input_embeddings().weight[:vocabulary_size], ids, embedding_dtype)  # [B, T, D]
    states = graph.add("Transpose", states, perm=[1, 0, 2])  # [T, B, D]
    for layer in range(config.num_hidden_layers):
        read = graph.add("LSTM", states, *_lstm_weights(graph, model, layer), lengths32, outputs=3,
                         direction="bidirectional" if config.bidirectional else "forward",
                         hidden_size=config.hidden_size)  # fmt: skip
        # [T, directions, B, hidden] → [T, B, H]
        states = graph.add(
            "Reshape", graph.add("Transpose", read, perm=[0, 2, 1, 3]), graph.hold([0, 0, -1], np.int64)
        )
    pooled = _pool(graph, model, states, read, tokens, lengths)
    logits = graph.add("Gemm", pooled, graph.hold(_numpy(model.classifier.weight)),
                       graph.hold(_numpy(model.classifier.bias)), transB=1)  # fmt: skip
    if config.problem_type == REGRESSION:
        logits = graph.add("Mul", logits, graph.hold(config.target_std, np.float32))
        logits = graph.add("Add", logits, graph.hold(config.target_mean, np.float32))
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    texts = ["batch", "length"]
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "glove_bilstm",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, texts)
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", config.num_labels])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="glove-bilstm",
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def _numpy(weight: torch.Tensor) -> np.ndarray:
    return weight.detach().cpu().float().numpy()


def _embed(graph: _Graph, weight: torch.Tensor, ids: str, dtype: EmbeddingDtype) -> str:
    """Look the ids up: ``[B, T]`` → ``[B, T, D]``."""
    matrix = _numpy(weight)
    if dtype == "float32":
        return graph.add("Gather", graph.hold(matrix), ids)
    if dtype == "float16":
        if np.abs(matrix).max() > np.finfo(np.float16).max:
            raise InputError("A word's vector has numbers too large for float16; choose another --embedding_dtype.")
        return graph.add("Cast", graph.add("Gather", graph.hold(matrix, np.float16), ids), to=TensorProto.FLOAT)
    largest = np.abs(matrix).max(axis=1, keepdims=True)  # [V, 1]
    scales = np.where(largest == 0, 1, largest / 127).astype(np.float32)
    rows = graph.add("Gather", graph.hold(np.rint(matrix / scales), np.int8), ids)  # [B, T, D]
    return graph.add(
        "Mul", graph.add("Cast", rows, to=TensorProto.FLOAT), graph.add("Gather", graph.hold(scales), ids)
    )


def _lstm_weights(graph: _Graph, model: GloveBiLSTMForSequenceClassification, layer: int) -> list[str]:
    """W, R and B of ONNX's operator: ``[directions, 4 × hidden, …]``."""
    lstm = model.glove_bilstm.lstm

    def stacked(name: str) -> np.ndarray:
        directions = [f"{name}_l{layer}", f"{name}_l{layer}_reverse"][: 2 if model.config.bidirectional else 1]
        gates = [np.split(_numpy(getattr(lstm, one)), 4) for one in directions]
        return np.stack([np.concatenate([of_one[gate] for gate in ONNX_GATES]) for of_one in gates])

    biases = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
    return [graph.hold(stacked("weight_ih")), graph.hold(stacked("weight_hh")), graph.hold(biases)]


def _pool(
    graph: _Graph, model: GloveBiLSTMForSequenceClassification, states: str, read: str, tokens: str, lengths: str
) -> str:
    """States ``[T, B, H]``, zero after a text's tokens as the operator leaves them, → ``[B, P]``.

    Args:
        graph: What is added to.
        model: The model.
        states: Of the top layer.
        read: The top layer's node; its second output holds the last states, ``[directions, B, hidden]``.
        tokens: Where a text has tokens, ``[B, T]``.
        lengths: How many it has, ``[B]``.
    """
    config: GloveBiLSTMConfig = model.config
    if config.pooling == "last":
        last = graph.add("Transpose", f"{read}_1", perm=[1, 0, 2])  # [B, directions, hidden]
        return graph.add("Reshape", last, graph.hold([0, -1], np.int64))
    by_text = graph.add("Transpose", states, perm=[1, 0, 2])  # [B, T, H]
    mask = graph.add("Unsqueeze", tokens, graph.hold([2], np.int64))  # [B, T, 1]
    if config.pooling == "attention":
        projection, score = model.pooler.projection, model.pooler.score
        projected = graph.add("MatMul", by_text, graph.hold(_numpy(projection.weight).T))
        projected = graph.add("Tanh", graph.add("Add", projected, graph.hold(_numpy(projection.bias))))
        scores = graph.add("MatMul", projected, graph.hold(_numpy(score.weight).T))  # [B, T, 1]
        scores = graph.add("Where", mask, scores, graph.hold(np.finfo(np.float32).min, np.float32))
        return _weigh(graph, graph.add("Softmax", scores, axis=1), by_text)
    column = graph.hold([1], np.int64)
    at_least_one = graph.add("Cast", graph.add("Max", lengths, graph.hold(1, np.int64)), to=TensorProto.FLOAT)
    total = _weigh(graph, graph.add("Cast", mask, to=TensorProto.FLOAT), by_text)
    mean = graph.add("Div", total, graph.add("Unsqueeze", at_least_one, column))
    if config.pooling == "mean":
        return mean
    lowest = graph.hold(np.finfo(np.float32).min, np.float32)
    highest = graph.add("ReduceMax", graph.add("Where", mask, by_text, lowest), axes=[1], keepdims=0)  # [B, H]
    some = graph.add("Unsqueeze", graph.add("Greater", lengths, graph.hold(0, np.int64)), column)  # [B, 1]
    highest = graph.add("Where", some, highest, graph.hold(0, np.float32))
    return highest if config.pooling == "max" else graph.add("Concat", mean, highest, axis=1)


def _weigh(graph: _Graph, weights: str, states: str) -> str:
    """Weights ``[B, T, 1]`` of states ``[B, T, H]`` → their sum ``[B, H]``.

    By a product of matrices: it adds in parts, and rounds less over a long text than ReduceSum, which adds one by one.
    """
    product = graph.add("MatMul", graph.add("Transpose", weights, perm=[0, 2, 1]), states)  # [B, 1, H]
    return graph.add("Reshape", product, graph.hold([0, -1], np.int64))
