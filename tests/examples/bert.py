"""A BERT of Hugging Face's whose word embeddings are pyembed's: trained, saved and loaded as before.

What is saved is a checkpoint like any other: it loads into a model with torch.nn.Embedding, and the other way round.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import BertConfig, PreTrainedModel

import pyembed.nn as pnn


def small_config(vocabulary: int = 300) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        num_labels=3,
    )


def swap_word_embeddings(model: PreTrainedModel) -> pnn.Embedding:
    """Puts a pyembed.nn.Embedding with the same weights where the model has its torch.nn.Embedding.

    Where the output layer is tied to the word embeddings, as in a masked language model, it is tied to the new ones.
    Such a table can't be fused with its optimiser: the output layer's gradient reaches all of its rows, and not by
    lookups.
    """
    old = model.get_input_embeddings()
    new = pnn.Embedding.from_pretrained(old.weight.detach(), freeze=False, padding_idx=old.padding_idx)
    model.set_input_embeddings(new)
    model.tie_weights()
    return new


def train(model: PreTrainedModel, batches: list[dict[str, Tensor]], lr: float = 1e-3) -> list[float]:
    """Returns the loss of each step."""
    optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=lr)
    torch.manual_seed(0)  # of dropout
    model.train()
    losses = []
    for batch in batches:
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
