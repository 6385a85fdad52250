"""The classifier of options.py: the package's architecture with every option that was tried."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Options:
    """The tuned recipe as it was before this table, and what can be changed in it.

    Attributes:
        dim: Of the vectors.
        rare: Words that the vectors lack and that occur less often in the training texts are read as `<unk>`.
        strategy: "frozen", "finetune" or "two_stage".
        unfreeze_at: Share of training before the second stage.
        second_rate: The learning rate of the second stage as a share of the first one's.
        embedding_rate: The embedding's learning rate as a share of the others'.
        hidden_size: Of one direction.
        layers: LSTM layers.
        pooling: "last", "mean", "max", "mean_max" or "attention".
        embedding_dropout: On the word vectors.
        variational: One mask of it for all words of a text (Gal & Ghahramani 2016).
        word_dropout: Share of words whose whole vector is dropped (Iyyer et al. 2015).
        layer_dropout: Between the layers.
        locked: One mask of it for all words of a text.
        weight_drop: On the recurrent weights (Merity et al. 2018).
        classifier_dropout: On the pooled vector.
        label_smoothing: Szegedy et al. 2016.
        adversarial: Length of the perturbation of a word's vector in adversarial training (Miyato et al. 2017).
        r_drop: Weight of the divergence between two passes with different dropout (Liang et al. 2021).
        ema: Decay of the weights' moving average.
        positive_weight: Multi-label: the power of (negatives / positives) that weighs a label's positives.
        learning_rate: The highest.
        schedule: "linear", "cosine" or "constant".
        batch_size: Texts.
        batch_tokens: Tokens in a batch, padding included, in place of `batch_size`. 0: not.
        weight_decay: Of all but the embedding.
        epochs: 0: those of `EPOCHS`.
    """

    dim: int = 300
    rare: int = 1
    strategy: str = "finetune"
    unfreeze_at: float = 0.5
    second_rate: float = 0.3
    embedding_rate: float = 0.3
    hidden_size: int = 200
    layers: int = 2
    pooling: str = "mean_max"
    embedding_dropout: float = 0.5
    variational: bool = False
    word_dropout: float = 0.0
    layer_dropout: float = 0.5
    locked: bool = False
    weight_drop: float = 0.0
    classifier_dropout: float = 0.5
    label_smoothing: float = 0.0
    adversarial: float = 0.0
    r_drop: float = 1.0
    ema: float = 0.999
    positive_weight: float = 0.5
    learning_rate: float = 1e-3
    schedule: str = "linear"
    batch_size: int = 64
    batch_tokens: int = 0
    weight_decay: float = 0.0
    epochs: int = 0


class Classifier(nn.Module):
    """The package's architecture with every option; only the words of the training texts can be trained.

    `matrix` is ``[V, D]``; its first `trained` rows are those words, after the padding's.
    """

    def __init__(self, options: Options, matrix: torch.Tensor, trained: int, labels: int) -> None:
        super().__init__()
        self.options = options
        self.embedding = nn.Parameter(matrix[:trained].clone())  # [words of the training texts, D]
        self.others = matrix[trained:]  # [the other words, D]
        hidden = options.hidden_size
        self.weights = nn.ParameterList()
        for layer in range(options.layers):
            for _ in range(2):
                for shape in ((4 * hidden, 2 * hidden if layer else options.dim), (4 * hidden, hidden)):
                    weight = torch.empty(shape)
                    for gate in weight.chunk(4):
                        (nn.init.orthogonal_ if shape[1] == hidden else nn.init.xavier_uniform_)(gate)
                    self.weights.append(weight)
                forget = torch.zeros(4 * hidden)
                forget[hidden : 2 * hidden] = 1
                self.weights.extend([forget, torch.zeros(4 * hidden)])
        self.attention = nn.Sequential(
            nn.Linear(2 * hidden, 2 * hidden), nn.Tanh(), nn.Linear(2 * hidden, 1, bias=False)
        )
        self.classifier = nn.Linear(2 * hidden * (2 if options.pooling == "mean_max" else 1), labels)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def look_up(self, ids: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` → ``[B, T, D]``."""
        if self.training:
            vectors = F.embedding(ids, self.embedding, padding_idx=0)
        else:
            vectors = F.embedding(ids, torch.cat([self.embedding, self.others]))
        return vectors.requires_grad_() if self.options.adversarial and not vectors.requires_grad else vectors

    def forward(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """``[B, T, D]`` and ``[B]``, the longest first, → logits ``[B, C]``."""
        options = self.options
        drop = functools.partial(_drop, training=self.training)
        vectors = drop(vectors, options.word_dropout, (*vectors.shape[:2], 1), scale=False)
        batch, _, dim = vectors.shape
        vectors = drop(vectors, options.embedding_dropout, (batch, 1, dim) if options.variational else vectors.shape)
        states = vectors  # [B, T, D]
        zeros = states.new_zeros(1, batch, options.hidden_size)
        places = torch.arange(states.shape[1])  # [T]
        turned = ((lengths[:, None] - 1 - places) % len(places)).unsqueeze(-1)  # [B, T, 1], each text from its end
        for layer in range(options.layers):
            if layer:
                shape = (batch, 1, states.shape[2]) if options.locked else states.shape
                states = drop(states, options.layer_dropout, shape)
            directions = []
            for backward in (False, True):
                start = 8 * layer + 4 * backward
                weights = list(self.weights[start : start + 4])
                weights[1] = F.dropout(weights[1], options.weight_drop, self.training)
                read = states.take_along_dim(turned, 1) if backward else states
                read = torch.lstm(read, (zeros, zeros), weights, True, 1, 0.0, self.training, False, True)[0]
                directions.append(read.take_along_dim(turned, 1) if backward else read)
            states = torch.cat(directions, dim=-1)  # [B, T, H]
        padding = (places >= lengths[:, None]).unsqueeze(-1)  # [B, T, 1]
        padded = states.masked_fill(padding, 0.0)
        highest = states.masked_fill(padding, -math.inf).amax(dim=1)  # [B, H]
        mean = padded.sum(dim=1) / lengths[:, None]  # [B, H]
        size = options.hidden_size
        ends = padded[torch.arange(batch), lengths - 1]  # [B, H]
        if options.pooling == "attention":
            shares = self.attention(padded).masked_fill(padding, -math.inf).softmax(dim=1)  # [B, T, 1]
            pooled = (shares * padded).sum(dim=1)
        else:
            pooled = {
                "max": highest,
                "mean": mean,
                "mean_max": torch.cat([mean, highest], dim=-1),
                "last": torch.cat([ends[:, :size], padded[:, 0, size:]], dim=-1),
            }[options.pooling]
        return self.classifier(F.dropout(pooled, options.classifier_dropout, self.training))


def _drop(values: torch.Tensor, share: float, shape: Any, training: bool, scale: bool = True) -> torch.Tensor:
    """Dropout with a mask of another shape."""
    if not training or not share:
        return values
    return values * (torch.rand(shape) >= share) / (1 - share if scale else 1)
