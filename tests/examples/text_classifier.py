"""A text classifier: the mean of a text's word vectors, a linear layer, ReLU, a linear layer, cross-entropy.

`model.embedding` is whatever the caller gives: torch.nn.Embedding, pyembed.nn.Embedding, or one fused with its
optimiser, which then needs no place in the optimizer of the rest.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

import pyembed

PADDING, UNKNOWN = 0, 1
"""The first two rows of the table belong to no word."""


class Texts(NamedTuple):
    """Texts as ids of their words, and what they are about."""

    ids: list[Tensor]
    """int64[words] each."""
    labels: Tensor
    """int64[texts]."""

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Ids [B, words of the longest], padded, and labels [B]; shuffled if there is a generator."""
        count = len(self.ids)
        order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
        for chosen in order.split(size):
            ids = [self.ids[text] for text in chosen.tolist()]
            yield pad_sequence(ids, batch_first=True, padding_value=PADDING), self.labels[chosen]

    def some(self, of_each_class: int) -> Texts:
        """The first so many texts of each class."""
        chosen = [
            int(text) for label in self.labels.unique() for text in (self.labels == label).nonzero()[:of_each_class, 0]
        ]
        return Texts([self.ids[text] for text in chosen], self.labels[chosen])


class Task(NamedTuple):
    train: Texts
    test: Texts
    words: list[str]
    """By id, PADDING and UNKNOWN included."""
    classes: int


def sst2(folder: Path) -> Task:
    """Film reviews, good or bad: a line is its label and its words."""
    return _task(*([line.split(maxsplit=1)[::-1] for line in _lines(folder / f"stsa.binary.{part}")] for part in _SST2))


def banking77(folder: Path) -> Task:
    """Questions to a bank, of 77 kinds."""
    return _task(*(list(csv.reader(_lines(folder / f"{part}.csv")))[1:] for part in ("train", "test")))


_SST2 = ("train", "test")


def pretrained_vectors(task: Task, dimensions: int, epochs: int) -> Tensor:
    """float32[words, D], learned from the training texts without their labels; as long as torch.nn.Embedding's are."""
    texts = [[task.words[id_] for id_ in ids.tolist()] for ids in task.train.ids]
    model = pyembed.Word2Vec(sg=1, vector_size=dimensions, min_count=1, epochs=epochs, workers=1)
    model.fit(texts, progress=False)
    vectors = model.wv.to_embedding(task.words, padding=PADDING).weight
    return vectors * dimensions**0.5 / vectors.norm(dim=1).mean()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _task(train: Iterable[list[str]], test: Iterable[list[str]]) -> Task:
    split = [[(_words(text), label) for text, label in part] for part in (train, test)]
    counts = Counter(word for words, _ in split[0] for word in words)
    words = ["<padding>", "<unknown>", *(word for word, count in counts.most_common() if count > 1)]
    labels = sorted({label for _, label in split[0]})
    id_of, class_of = ({name: id_ for id_, name in enumerate(names)} for names in (words, labels))
    parts = [
        Texts(
            [torch.tensor([id_of.get(word, UNKNOWN) for word in text]) for text, _ in part],
            torch.tensor([class_of[label] for _, label in part]),
        )
        for part in split
    ]
    return Task(*parts, words, len(labels))


def _words(text: str) -> list[str]:
    for mark in "?!.,":
        text = text.replace(mark, f" {mark} ")
    return text.lower().split()


class Classifier(torch.nn.Module):
    def __init__(self, embedding: torch.nn.Embedding, classes: int, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(embedding.embedding_dim, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes)
        )

    def forward(self, ids: Tensor) -> Tensor:
        """ids: int64[B, words]. Returns scores, [B, classes]."""
        words = (ids != PADDING).unsqueeze(-1)
        mean = (self.embedding(ids) * words).sum(dim=1) / words.sum(dim=1).clamp(min=1)
        scores: Tensor = self.layers(mean)
        return scores


class Epoch(NamedTuple):
    loss: float
    """Mean over the training texts."""
    accuracy: float
    """On the test texts, after it."""


def train(
    model: Classifier,
    task: Task,
    make_optimizer: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer],
    *,
    epochs: int,
    batch: int = 64,
    seed: int = 0,
) -> list[Epoch]:
    """Trains the parameters that require a gradient; a fused or frozen table does not, and is none of them."""
    optimizer = make_optimizer([parameter for parameter in model.parameters() if parameter.requires_grad])
    generator = torch.Generator().manual_seed(seed)
    curve = []
    for _ in range(epochs):
        total = 0.0
        for ids, labels in task.train.batches(batch, generator):
            loss = cross_entropy(model(ids), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        curve.append(Epoch(total / len(task.train.labels), accuracy(model, task.test)))
    return curve


@torch.no_grad()
def accuracy(model: Classifier, texts: Texts) -> float:
    right = sum(int((model(ids).argmax(dim=1) == labels).sum()) for ids, labels in texts.batches(256))
    return right / len(texts.labels)
