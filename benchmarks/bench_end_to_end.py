"""From a text file to a vector file, raw words/s, in a process that has imported everything.

On text by Zipf's law, of growing size; and on real text named with --corpus, scored with --pairs and --analogies:

    pytest benchmarks/bench_end_to_end.py --corpus english.txt --pairs wordsim353.txt --analogies questions-words.txt
"""

from __future__ import annotations

from pathlib import Path

import pytest
from measure import Measure
from zipf import ZipfCorpus

from pyembed import Word2Vec
from pyembed.bench.scores import scores
from pyembed.config import CorpusConfig, TrainConfig


def train(corpus: Path, config: TrainConfig, folder: Path) -> Word2Vec:
    model = Word2Vec.from_configs(config, CorpusConfig()).fit_files([corpus], progress=False)
    model.wv.save(folder / "vectors.bin")
    return model


@pytest.mark.parametrize("times", [1, 4, 17, 68])
def test_corpus_size(times: int, corpus: ZipfCorpus, tmp_path: Path, measure: Measure) -> None:
    path, text, config = tmp_path / "text.txt", corpus.text(), TrainConfig(epochs=1)
    with path.open("w") as file:
        file.writelines(text for _ in range(times))
    measure(lambda: train(path, config, tmp_path), rounds=3, words=times * corpus.token_ids.n_tokens)
    path.unlink()  # pytest keeps its folders for a while, and this is large


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "real_corpus" in metafunc.fixturenames:
        metafunc.parametrize("real_corpus", metafunc.config.getoption("corpus"), ids=lambda path: path.name)


def test_real_corpus(real_corpus: Path, request: pytest.FixtureRequest, tmp_path: Path, measure: Measure) -> None:
    config = TrainConfig()
    model: Word2Vec = measure(lambda: train(real_corpus, config, tmp_path), rounds=3)
    if measure.seconds is not None:
        measure.note(**{"words/s": model.report.raw_tokens * config.epochs / measure.seconds})
    option = request.config.getoption
    measure.note(**scores(model.wv, option("pairs"), option("analogies")))
