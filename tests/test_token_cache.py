"""Promises of TokenIds and of the token cache."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from naive_text import decoded, vocabulary_of
from text_engines import USES_BOTH_ENGINES, text_engine  # noqa: F401

from pyembed.config import CorpusConfig
from pyembed.corpus import Corpus, TokenIds, Vocabulary, ingest_files
from pyembed.corpus.token_file import Description, finish_token_file, map_token_file, read_token_file, starts_offset

pytestmark = USES_BOTH_ENGINES

CONFIG = CorpusConfig(min_count=1)
TEXT = "the cat sat\non the mat\n\nthe end"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tokens"


def same(one: Corpus, other: Corpus) -> bool:
    return vocabulary_of(one) == vocabulary_of(other) and decoded(one) == decoded(other)


def test_the_second_time_the_cache_is_used(text: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ingest_files([text], CONFIG, cache_dir=cache)
    monkeypatch.chdir(text.parent)
    second = ingest_files([text.name], CONFIG, cache_dir=cache)  # the same file under another name
    assert (first.report.from_cache, second.report.from_cache) == (False, True)
    assert same(first, second)
    assert second.report.raw_tokens == first.report.raw_tokens == 8
    assert [path.suffix for path in cache.iterdir()] == [".tokens"]


def test_other_options_inputs_and_vocabularies_make_other_caches(text: Path, cache: Path) -> None:
    other = text.with_name("other.txt")
    other.write_text(TEXT)
    vocabularies = [Vocabulary.from_counts(["the", "cat"], counts) for counts in ([2, 1], [3, 1])]
    runs = [
        ([text], CONFIG, None),
        ([other], CONFIG, None),
        ([text, text], CONFIG, None),
        ([text, other], CONFIG, None),
        ([other, text], CONFIG, None),
        ([text], CorpusConfig(min_count=2), None),
        ([text], CorpusConfig(min_count=1, lowercase=True), None),
        ([text], CorpusConfig(min_count=1, tokenizer="words"), None),
        ([text], CorpusConfig(min_count=1, encoding_errors="replace"), None),
        ([text], CorpusConfig(min_count=1, max_final_vocab=3), None),
        ([text], CONFIG, vocabularies[0]),
        ([text], CONFIG, vocabularies[1]),
    ]
    for inputs, config, vocabulary in runs:
        fresh = ingest_files(inputs, config, vocabulary=vocabulary)
        assert not ingest_files(inputs, config, vocabulary=vocabulary, cache_dir=cache).report.from_cache
        cached = ingest_files(inputs, config, vocabulary=vocabulary, cache_dir=cache)
        assert cached.report.from_cache
        assert same(fresh, cached)
    assert len(list(cache.iterdir())) == len(runs)


def test_a_changed_file_is_read_again(text: Path, cache: Path) -> None:
    ingest_files([text], CONFIG, cache_dir=cache)
    os.utime(text, ns=(0, text.stat().st_mtime_ns + 1))
    assert not ingest_files([text], CONFIG, cache_dir=cache).report.from_cache
    text.write_text(TEXT + " again")
    assert "again" in ingest_files([text], CONFIG, cache_dir=cache).vocabulary


@pytest.mark.parametrize(
    "damage",
    ["magic", "version", "truncated", "longer", "short", "empty", "tokens", "description", "made from another"],
)
def test_a_damaged_cache_is_never_used_but_rebuilt(damage: str, text: Path, cache: Path) -> None:
    fresh = ingest_files([text], CONFIG, cache_dir=cache)
    [path] = cache.iterdir()
    content = path.read_bytes()
    damaged = {
        "magic": b"X" + content[1:],
        "version": content[:8] + b"\x63" + content[9:],
        "truncated": content[:-1],
        "longer": content + b"\0",
        "short": content[:10],
        "empty": b"",
        "tokens": content[:16] + b"\xff\xff\xff" + content[19:],
        "description": content[:-1] + b"]",
        "made from another": content.replace(b"min_count", b"mim_count"),
    }[damage]
    assert damaged != content
    path.unlink()  # the old content stays mapped
    path.write_bytes(damaged)
    rebuilt = ingest_files([text], CONFIG, cache_dir=cache)
    assert not rebuilt.report.from_cache
    assert same(rebuilt, fresh)
    assert path.read_bytes() != damaged
    assert ingest_files([text], CONFIG, cache_dir=cache).report.from_cache


def test_many_at_once_build_the_same_cache(text: Path, cache: Path) -> None:
    corpora: list[Corpus] = []
    builders = [
        threading.Thread(target=lambda: corpora.append(ingest_files([text], CONFIG, cache_dir=cache, threads=1)))
        for _ in range(8)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(corpora) == 8
    assert all(same(corpus, corpora[0]) for corpus in corpora)
    assert len(list(cache.iterdir())) == 1


def test_a_failure_leaves_no_file(text: Path, cache: Path) -> None:
    text.write_bytes(b"fine \xff")
    with pytest.raises(ValueError, match="invalid UTF-8"):
        ingest_files([text], CONFIG, cache_dir=cache)
    assert list(cache.iterdir()) == []


def test_without_a_cache_the_temporary_file_has_no_name(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("pyembed.corpus.ingest.IN_MEMORY", 0)
    corpus = ingest_files([text], CONFIG)
    assert list(folder.iterdir()) == []
    assert decoded(corpus)[-1] == ["the", "end"]


def test_the_arrays_are_read_only(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = ingest_files([text], CONFIG).token_ids
    monkeypatch.setattr("pyembed.corpus.ingest.IN_MEMORY", 0)
    mapped = ingest_files([text], CONFIG).token_ids
    plain = TokenIds.from_arrays(np.array([1, 2]), np.array([0, 2]))
    for token_ids in (encoded, mapped, plain):
        assert (token_ids.ids.dtype, token_ids.sentence_starts.dtype) == (np.int32, np.int64)
        for array in (token_ids.ids, token_ids.sentence_starts):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


def test_arrays_that_are_no_corpus_are_refused() -> None:
    for ids, starts in [([1, 2], [0, 1]), ([1], [1]), ([1], []), ([1, 2], [0, 1, 1, 2]), ([1, 2], [0, 2, 1, 2])]:
        with pytest.raises(ValueError, match="sentence_starts"):
            TokenIds.from_arrays(np.array(ids), np.array(starts))
    for ids in ([-1], [2**31], [0.5]):
        with pytest.raises(ValueError, match="whole numbers from 0"):
            TokenIds.from_arrays(np.array(ids), [0, 1])
    with pytest.raises(ValueError, match="one dimension"):
        TokenIds.from_arrays(np.zeros((2, 2), np.int32), [0, 4])
    assert TokenIds.from_arrays([], [0]).n_sentences == 0


def resident_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to ask for resident memory")
def test_released_tokens_leave_memory_and_can_be_read_again(tmp_path: Path) -> None:
    tokens, sentences = 30_000_000, 3_000_000
    with (tmp_path / "corpus.tokens").open("x+b") as file:
        np.arange(tokens, dtype=np.int32).tofile(file)  # the first page is where the header would be
        file.seek(starts_offset(tokens))
        np.linspace(0, tokens, sentences + 1, dtype=np.int64).tofile(file)
        file.flush()
        token_ids = map_token_file(file, tokens, sentences)
    checksum = int(token_ids.ids.sum(dtype=np.int64)) + int(token_ids.sentence_starts.sum())
    before = resident_kilobytes()
    block = 1_000_000
    for start in range(0, tokens + block, block):
        token_ids.release(start, start + block)
    freed = before - resident_kilobytes()
    assert freed > 0.95 * (4 * tokens + 8 * sentences) / 1024
    assert int(token_ids.ids.sum(dtype=np.int64)) + int(token_ids.sentence_starts.sum()) == checksum
    TokenIds.from_arrays([1], [0, 1]).release(0, 1)  # nothing to do


def test_more_than_2_31_tokens_have_positions_of_64_bits(tmp_path: Path) -> None:
    tokens = 2**31 + 5
    path = tmp_path / "sparse.tokens"
    vocabulary = Vocabulary.from_counts(["a", "b"], [tokens - 1, 1])
    with path.open("x+b") as file:  # a file of holes: 8 GiB that take a few blocks on disk
        file.seek(starts_offset(tokens))
        file.write(np.array([0, 2**31 + 2, tokens], dtype=np.int64).tobytes())
        file.seek(4096 + 4 * (tokens - 1))
        file.write(np.array([1], dtype=np.int32).tobytes())
        finish_token_file(file, tokens, 2, Description(vocabulary, {}, {}))
    with path.open("rb") as file:
        token_ids, description = read_token_file(file)
    assert (token_ids.n_tokens, token_ids.n_sentences) == (tokens, 2)
    assert token_ids.sentence_starts.tolist() == [0, 2**31 + 2, tokens]
    assert token_ids.ids[2**31 + 2 :].tolist() == [0, 0, 1]
    token_ids.release(2**31, tokens)
    assert token_ids.ids[-1] == 1
    assert description.vocabulary.counts.tolist() == [tokens - 1, 1]
