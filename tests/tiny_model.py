"""A model of odd sizes, and a batch for it."""

from typing import Any

import torch
from transformers import set_seed

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification

BATCH, LENGTH, VOCABULARY = 13, 7, 99
POOLINGS = ["last", "mean", "max", "mean_max", "attention"]


def make_model(**changes: Any) -> GloveBiLSTMForSequenceClassification:
    set_seed(0)
    config = GloveBiLSTMConfig(
        **{"vocab_size": VOCABULARY, "embedding_dim": 5, "hidden_size": 6, "num_labels": 3, **changes}
    )
    model = GloveBiLSTMForSequenceClassification(config).eval()
    with torch.no_grad():  # weights that differ from gate to gate, so that a swapped gate can't hide
        for parameter in model.classifier.parameters():
            parameter.normal_()
    return model


def make_batch(seed: int = 0, right: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask: texts of 1 to LENGTH tokens, padded on one side."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, VOCABULARY, (BATCH, LENGTH), generator=generator)
    lengths = torch.randint(1, LENGTH + 1, (BATCH, 1), generator=generator)
    mask = torch.arange(LENGTH) < lengths
    if not right:
        mask = mask.flip(1)
    return ids * mask, mask.long()
