"""Promises of the counting engine, compiled and in Python alike."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_text import naive_sentences
from text_engines import USES_BOTH_ENGINES, text_engine  # noqa: F401

from pyembed.corpus import engine
from pyembed.corpus.engine import Engine, Types

pytestmark = USES_BOTH_ENGINES

# Few letters, so that tokens recur; every separator; lengths around 8, 16 and 64 bytes, where the code changes its way.
TEXT = st.lists(
    st.one_of(
        st.sampled_from([b" ", b"\n", b"\r\n", b"\t", b"\v", b"\f", b"\0", b"\n\n", b"  "]),
        st.text("abé\x01\x1f\x7f𝄞", min_size=1, max_size=20).map(str.encode),
        st.sampled_from(
            [b"x" * n for n in (7, 8, 9, 15, 16, 17, 24, 63, 64, 65, 200)] + [b"x" * 16 + b"y", b"x" * 24 + b"z"]
        ),
    ),
    max_size=60,
).map(b"".join)
MEMORY = 1 << 28
CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def feed(ingest: Engine, text: bytes, cuts: list[int], *, pieces: bool) -> bool:
    """Feeds a source in blocks of the sizes `cuts`, over and over, or in such pieces of a file that is closed at once.

    Returns whether all of it was wanted.
    """
    with tempfile.TemporaryFile() as file:
        file.write(text)
        file.flush()
        at = turn = 0
        while at < len(text):
            size = min(cuts[turn % len(cuts)], len(text) - at)
            if not (
                ingest.feed_file(file.fileno(), "a file", at, size) if pieces else ingest.feed(text[at : at + size])
            ):
                return False
            at, turn = at + size, turn + 1
    return ingest.end_of_file()


def run(
    files: list[bytes],
    cuts: list[int],
    threads: int,
    min_count: int = 1,
    memory: int = MEMORY,
    pieces: bool = False,
) -> tuple[dict[bytes, int], list[list[bytes]]]:
    """Counts files fed as `feed` does; then encodes what occurs min_count times."""
    with tempfile.TemporaryFile() as scratch:
        ingest = engine.open_engine(scratch.fileno(), memory=memory, threads=threads, records=False, strict=True)
        with closing(ingest):
            for file in files:
                assert feed(ingest, file, cuts, pieces=pieces)
            ingest.finish()
            assert ingest.fault() is None
            types = Types.of(ingest)
            order = np.argsort(types.first_positions)
            texts = [text.encode() for text in types.texts(order)]
            words = np.full(len(order), -1, dtype=np.int32)
            words[order] = np.arange(len(order))
            words[types.counts < min_count] = -1
            ids = np.empty(int(types.counts[words >= 0].sum()), dtype=np.int32)
            starts = np.empty(ingest.sentence_ends() + 1, dtype=np.int64)
            tokens, sentences = ingest.encode(words, np.zeros(1, np.int64), np.zeros(0, np.int32), ids, starts)
            assert tokens == len(ids)
            bounds = starts[: sentences + 1].tolist()
    counts = dict(zip(texts, types.counts[order].tolist(), strict=True))
    return counts, [[texts[i] for i in ids[a:b]] for a, b in pairwise(bounds)]


def expected(files: list[bytes], min_count: int = 1) -> tuple[dict[bytes, int], list[list[bytes]]]:
    sentences = [[token.encode() for token in sentence] for sentence in naive_sentences(files)]
    counts: dict[bytes, int] = {}
    for token in (token for sentence in sentences for token in sentence):
        counts[token] = counts.get(token, 0) + 1
    kept = [[token for token in sentence if counts[token] >= min_count] for sentence in sentences]
    return counts, [sentence for sentence in kept if sentence]


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=3), CUTS, st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_types_and_sentences_equal_the_naive_twin_however_blocks_and_files_are_cut(
    files: list[bytes], cuts: list[int], threads: int, min_count: int, pieces: bool
) -> None:
    counts, sentences = run(files, cuts, threads, min_count, pieces=pieces)
    expected_counts, expected_sentences = expected(files, min_count)
    assert list(counts.items()) == list(expected_counts.items())  # also in the order of first appearance
    assert sentences == expected_sentences


def test_counts_do_not_depend_on_threads() -> None:
    random = np.random.default_rng(1)
    words = [f"w{i}" + "x" * (i % 30) for i in range(20_000)]
    lines = [" ".join(words[i] for i in random.zipf(1.3, 40) % len(words)) for _ in range(20_000)]
    text = "\n".join(lines).encode()
    one = run([text], [1 << 18], threads=1)
    assert one[0] == expected([text])[0]
    for threads in (1, 2, 5):
        for pieces in (False, True):
            assert run([text], [1 << 18], threads, pieces=pieces) == one


def test_notes_that_memory_does_not_hold_are_read_back_from_the_scratch_file() -> None:
    # More than 2^16 types, so that there are notes of every size; memory for none, and for one thread's.
    random = np.random.default_rng(2).integers(0, 200_000, 300_000)
    text = b" ".join(b"%d" % number for number in random.tolist())
    whole = run([text], [1 << 18], threads=2)
    for memory in (0, 1 << 23):
        assert run([text], [1 << 18], threads=2, memory=memory) == whole


@pytest.mark.parametrize("pieces", [False, True])
def test_one_line_without_end_and_one_token_without_end_are_whole(pieces: bool) -> None:
    line = b"ab " * 500_000
    counts, sentences = run([line], [1 << 16], threads=2, pieces=pieces)
    assert counts == {b"ab": 500_000}
    assert [len(sentence) for sentence in sentences] == [500_000]
    token = b"0123456789" * 300_000
    assert run([token], [1 << 16], threads=2, pieces=pieces) == ({token: 1}, [[token]])


def test_long_tokens_that_only_differ_at_their_end_stay_apart() -> None:
    random = np.random.default_rng(1).bytes(8 * 300_000).hex().encode()
    tokens = [b"x" * 16 + random[at : at + 16] for at in range(0, len(random), 16)]
    counts, _ = run([b" ".join(tokens * 2)], [1 << 18], threads=1)
    assert list(counts) == tokens
    assert set(counts.values()) == {2}


def test_no_token_spans_two_files() -> None:
    assert run([b"a b", b"c"], [10], threads=1)[1] == [[b"a", b"b"], [b"c"]]


BAD_TOKENS = [
    b"\x80", b"\xc1\xa1", b"\xc3", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b"\xc3\x28",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_TOKENS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("pieces", [False, True])
def test_the_first_invalid_byte_is_located(bad: bytes, threads: int, pieces: bool) -> None:
    head = b"\xef\xbb\xbf" + "gut schön\nabc é".encode()
    text = head + bad + b" more\n" + b"fine words\n" * 1000 + b"again \xff\n"
    for cut in (1, 7, 4096):
        with tempfile.TemporaryFile() as scratch:
            ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=threads, records=False, strict=True)
            with closing(ingest):
                feed(ingest, b"a first file\n\n", [cut], pieces=pieces)
                feed(ingest, text, [cut], pieces=pieces)
                ingest.finish()
                assert ingest.fault() == (1, 2, len(head), bad[0])


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_validity_is_that_of_pythons_decoder(token: bytes) -> None:
    if any(byte in b" \n\t\v\f\r\0" for byte in token):
        return
    with tempfile.TemporaryFile() as scratch:
        ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=1, records=False, strict=True)
        with closing(ingest):
            ingest.feed(b"x" + token)
            ingest.end_of_file()
            ingest.finish()
            try:
                token.decode()
                bad = None
            except UnicodeDecodeError as error:
                bad = (0, 1, 1 + error.start, token[error.start])
            assert ingest.fault() == bad


def test_without_strict_invalid_types_are_marked_and_counted() -> None:
    with tempfile.TemporaryFile() as scratch:
        ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=2, records=False, strict=False)
        with closing(ingest):
            ingest.feed(b"a \xff b \xff\xff a\xc3 \xff ")
            ingest.end_of_file()
            ingest.finish()
            assert ingest.fault() is None
            types = Types.of(ingest)
    assert sorted(types.texts(types.invalid)) == ["a\ufffd", "\ufffd", "\ufffd\ufffd"]
    assert types.counts[types.invalid].sum() == 4


def test_types_may_become_several_words_or_none() -> None:
    with tempfile.TemporaryFile() as scratch:
        ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=2, records=False, strict=True)
        with closing(ingest):
            ingest.feed(b"one two three\nthree\none none\nfour two\n\n")
            ingest.end_of_file()
            ingest.finish()
            types = Types.of(ingest)
            becomes = {"one": 7, "two": -2, "three": -1, "none": -1, "four": -3}
            words = np.array([becomes[text] for text in types.texts(np.arange(5))], dtype=np.int32)
            ids, starts = np.empty(9, np.int32), np.empty(ingest.sentence_ends() + 1, np.int64)
            size = ingest.encode(words, np.array([0, 2, 5]), np.array([1, 2, 3, 4, 5], np.int32), ids, starts)
    assert size == (9, 3)
    assert ids.tolist() == [7, 1, 2, 7, 3, 4, 5, 1, 2]
    assert starts[:4].tolist() == [0, 3, 4, 9]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def feed_and_finish() -> None:
        ingest.feed_file(folder, "the folder", 0, 10)
        ingest.finish()

    folder = os.open(tmp_path, os.O_RDONLY)
    with tempfile.TemporaryFile() as scratch:
        ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=2, records=False, strict=True)
        with closing(ingest), pytest.raises(IsADirectoryError) as raised:
            feed_and_finish()
    os.close(folder)
    assert raised.value.filename == "the folder"


def test_a_file_that_has_become_shorter_ends_where_it_ends() -> None:
    with tempfile.TemporaryFile() as scratch, tempfile.TemporaryFile() as file:
        file.write(b"one two thr")
        file.flush()
        ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=2, records=False, strict=True)
        with closing(ingest):
            for at in range(0, 40, 4):
                ingest.feed_file(file.fileno(), "a file", at, 4)
            ingest.end_of_file()
            ingest.finish()
            types = Types.of(ingest)
            assert sorted(types.texts(np.arange(3))) == ["one", "thr", "two"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_ends_the_pass_with_an_error() -> None:
    def feed_and_finish() -> None:
        for _ in range(40):
            if not ingest.feed(b"word " * 40_000):
                break
        ingest.finish()

    with open("/dev/full", "r+b", buffering=0) as full:  # noqa: PTH123 - a device
        ingest = engine.open_engine(full.fileno(), memory=0, threads=2, records=False, strict=True)
        with closing(ingest), pytest.raises(OSError, match="No space left"):
            feed_and_finish()


def test_closing_early_does_not_hang() -> None:
    with tempfile.TemporaryFile() as scratch:
        ingest = engine.open_engine(scratch.fileno(), memory=MEMORY, threads=3, records=False, strict=True)
        ingest.feed(b"some words and no end")
        ingest.close()
        ingest.close()
