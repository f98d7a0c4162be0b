"""The examples do what they are there to show: the same curves as torch.nn, and models that learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from examples import recommender, text_classifier
from examples.text_classifier import Classifier, Epoch, Task
from torch import Tensor
from torch.testing import assert_close

import pyembed.nn as pnn
from pyembed import optim

DATA = Path(__file__).parents[2] / "shared" / "data"
D = 50


def data(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (DATA / folder).is_dir(), reason=f"no ../shared/data/{folder} beside the repository")


# --- a text classifier ------------------------------------------------------------------------------------------------


@cache
def task(name: str) -> Task:
    return getattr(text_classifier, name)(DATA / "classification" / name)


def adamw(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=3e-3)


def curve_of(of: Task, make: Callable[[int], torch.nn.Embedding], epochs: int) -> list[Epoch]:
    torch.manual_seed(0)
    return text_classifier.train(Classifier(make(len(of.words)), of.classes), of, adamw, epochs=epochs)


def fused(optimizer: type[torch.optim.Optimizer], lr: float) -> Callable[[int], pnn.Embedding]:
    def make(words: int) -> pnn.Embedding:
        embedding = pnn.Embedding(words, D, padding_idx=text_classifier.PADDING)
        optim.fuse(embedding, optimizer, lr=lr)
        return embedding

    return make


@data("classification")
@pytest.mark.parametrize(("name", "epochs", "accuracy"), [("sst2", 4, 0.75), ("banking77", 6, 0.80)])
def test_a_text_classifier_has_the_same_curve_with_either_embedding(name: str, epochs: int, accuracy: float) -> None:
    """By epoch, loss and accuracy; and a table fused with its optimiser learns as well.

    A fused AdamW wants a higher rate: it moves a word in the steps alone that see it, where torch's goes on to move it
    in those that follow.
    """
    ways = {
        "torch.nn": lambda words: torch.nn.Embedding(words, D, padding_idx=text_classifier.PADDING),
        "pyembed.nn": lambda words: pnn.Embedding(words, D, padding_idx=text_classifier.PADDING),
        "fused AdamW": fused(optim.AdamW, 2e-2),
        "fused row-wise Adagrad": fused(optim.RowwiseAdagrad, 0.1),
    }
    curves = {way: curve_of(task(name), make, epochs) for way, make in ways.items()}
    for way, curve in curves.items():
        print(
            f"{name}, {way}:", *(f"loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.1%}" for epoch in curve), sep="  "
        )
    stock, *others = (torch.tensor(curve, dtype=torch.float64) for curve in curves.values())
    assert_close(others[0], stock, rtol=1e-4, atol=1e-3)
    for curve in (stock, *others):
        assert (curve[1:, 0] < curve[:-1, 0]).all(), "the loss falls"
        assert curve[-1, 1] > accuracy
        assert curve[-1, 1] > stock[-1, 1] - 0.02


@cache
def bank_vectors() -> Tensor:
    return text_classifier.pretrained_vectors(task("banking77"), D, epochs=15)


@data("classification")
def test_a_classifier_that_starts_from_pretrained_vectors_needs_fewer_labels() -> None:
    """Five labelled questions of each kind; the vectors come from all questions, without their labels."""
    few = task("banking77")._replace(train=task("banking77").train.some(5))
    vectors = bank_vectors()
    embeddings = {
        "by chance": pnn.Embedding(len(few.words), D, padding_idx=text_classifier.PADDING),
        "fine-tuned": pnn.Embedding.from_pretrained(vectors.clone(), freeze=False),
        "frozen": pnn.Embedding.from_pretrained(vectors.clone()),
        "fused": pnn.Embedding.from_pretrained(vectors.clone(), freeze=False),
    }
    optim.fuse(embeddings["fused"], optim.RowwiseAdagrad, lr=0.1)
    accuracy = {name: curve_of(few, lambda _, e=e: e, epochs=40)[-1].accuracy for name, e in embeddings.items()}
    print(accuracy)
    assert all(accuracy[name] > accuracy["by chance"] + 0.1 for name in ("fine-tuned", "frozen", "fused"))
    assert torch.equal(embeddings["frozen"].weight, vectors)
    assert not torch.equal(embeddings["fine-tuned"].weight, vectors)


@data("classification")
def test_chosen_words_stay_as_they_were_pretrained() -> None:
    """The most frequent words keep their vectors to the bit, while torch's AdamW trains the others."""
    few = task("banking77")._replace(train=task("banking77").train.some(5))
    embedding = pnn.Embedding.from_pretrained(bank_vectors().clone(), freeze=False)
    embedding.freeze_rows(range(100))
    curve_of(few, lambda _: embedding, epochs=2)
    same = (embedding.weight == bank_vectors()).all(dim=1)
    assert same[:100].all()
    assert not same[100:].any()


# --- Hugging Face -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bert() -> object:
    """The example, where transformers is installed."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    from examples import bert

    return bert


def sentences(model: torch.nn.Module, count: int) -> list[dict[str, Tensor]]:
    """Batches of the same hidden pattern: a word is the one before it and one more; the last words are padding."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(count):
        ids = (torch.randint(1, 300, (16, 1), generator=generator) + torch.arange(12)) % 299 + 1
        ids[::2, 9:] = model.config.pad_token_id
        labels = ids.clone() if type(model).__name__ == "BertForMaskedLM" else ids[:, 0] // 100
        batches.append({"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels})
    return batches


@pytest.mark.parametrize("kind", ["BertForSequenceClassification", "BertForMaskedLM"])
def test_a_bert_trains_saves_and_loads_the_same_with_our_embedding(kind: str, bert, tmp_path: Path) -> None:
    import transformers

    of_kind = getattr(transformers, kind)
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(of_kind(bert.small_config()))
    stock, ours = models
    embedding = bert.swap_word_embeddings(ours)
    assert ours.get_input_embeddings() is embedding
    tied = kind == "BertForMaskedLM"
    assert tied == any(layer.weight is embedding.weight for layer in [ours.get_output_embeddings()] if layer)
    curves = [bert.train(model, sentences(model, 40)) for model in models]
    assert_close(*(torch.tensor(curve) for curve in curves), rtol=1e-4, atol=1e-4)
    assert curves[1][-1] < 0.9 * curves[1][0]

    batch = sentences(ours, 1)[0]
    expected = ours.eval()(**batch).logits
    ours.save_pretrained(tmp_path)
    loaded = of_kind.from_pretrained(tmp_path)
    assert type(loaded.get_input_embeddings()) is torch.nn.Embedding
    assert_close(loaded.eval()(**batch).logits, expected, rtol=0, atol=0)
    bert.swap_word_embeddings(loaded)
    assert_close(loaded(**batch).logits, expected, rtol=0, atol=0)
    ours.load_state_dict(stock.state_dict())
    assert_close(ours(**batch).logits, stock.eval()(**batch).logits)


def test_a_bert_trains_with_a_table_fused_with_its_optimiser(bert) -> None:
    import transformers

    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(bert.small_config())
    embedding = bert.swap_word_embeddings(model)
    before = embedding.weight.detach().clone()
    optim.fuse(embedding, optim.RowwiseAdagrad, lr=0.01)
    batches = sentences(model, 40)
    losses = bert.train(model, batches)
    assert losses[-1] < 0.9 * losses[0]
    seen = torch.cat([batch["input_ids"].flatten() for batch in batches]).unique()
    unseen = torch.ones(len(before), dtype=torch.bool).index_fill_(0, seen, False)
    assert torch.equal(embedding.weight[unseen], before[unseen])
    assert not torch.equal(embedding.weight[seen], before[seen])


# --- a recommender ----------------------------------------------------------------------------------------------------


@data("baskets")
def test_two_towers_recommend_better_than_popularity_if_corrected_for_it() -> None:
    baskets, items = recommender.read_baskets(DATA / "baskets" / "groceries.csv")
    count = len(baskets) * 4 // 5
    test = recommender.Batch.of(recommender.leave_one_out(baskets[count:]))
    popular = recommender.popularity(baskets[:count], len(items))
    recalls = {"popularity": recommender.recall(popular.expand(len(test.target), -1), test)}
    for name, log_q in (("corrected", popular.log()), ("not corrected", None)):
        torch.manual_seed(0)
        model = recommender.TwoTowers(len(items), dimensions=32)
        curve = recommender.train(model, baskets[:count], log_q, epochs=6)
        assert curve[-1] < curve[0]
        recalls[name] = recommender.recall(model.scores(test), test)
    print(recalls)
    assert recalls["corrected"] > recalls["popularity"] + 0.01
    assert recalls["not corrected"] < recalls["popularity"]
