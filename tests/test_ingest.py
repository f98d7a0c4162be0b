"""Promises of the way from text to word ids, with the compiled engine and the Python one alike."""

from __future__ import annotations

import gzip
import io
import re
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_text import decoded, naive_kept, naive_map, naive_sentences, naive_vocabulary, vocabulary_of
from text_engines import USES_BOTH_ENGINES, text_engine  # noqa: F401
from toy_texts import StartsAgain

from pyembed.config import CorpusConfig
from pyembed.corpus import Corpus, CorpusError, Vocabulary, ingest_files, ingest_sentences

pytestmark = USES_BOTH_ENGINES

ALL_WORDS = CorpusConfig(min_count=1)
REAL_TEXT = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "corpora"
FILES = st.lists(
    st.lists(
        st.sampled_from(["a", "B", "b", "ä", "Ä", "don't", "x-y", "...", " ", "\n", "\t", "\r\n"]), max_size=40
    ).map(lambda pieces: "".join(piece + " " * (len(piece) > 1) for piece in pieces).encode()),
    min_size=1,
    max_size=3,
)
CONFIGS = st.builds(
    CorpusConfig,
    lowercase=st.booleans(),
    tokenizer=st.sampled_from(["whitespace", "words"]),
    min_count=st.integers(1, 3),
    max_final_vocab=st.none() | st.integers(1, 4),
)


def text_of(sentences: list[list[str]]) -> str:
    return "\n".join(" ".join(sentence) for sentence in sentences)


def ingest_text(text: str | bytes, config: CorpusConfig = ALL_WORDS, **options: object) -> Corpus:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ingest_files([path], config, threads=2, **options)  # type: ignore[arg-type]


@settings(deadline=None)
@given(FILES, CONFIGS)
def test_the_corpus_equals_the_naive_twin(files: list[bytes], config: CorpusConfig) -> None:
    def change(token: str) -> list[str]:
        token = token.lower() if config.lowercase else token
        return re.findall(r"[^\W_]+(?:'[^\W_]+)*", token) if config.tokenizer == "words" else [token]

    raw = naive_sentences(files)
    sentences = naive_map(raw, change)
    vocabulary = naive_vocabulary(sentences, config.min_count, config.max_final_vocab)
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(files):
            Path(folder, f"{number}.txt").write_bytes(content)
        if not vocabulary:
            with pytest.raises(CorpusError, match=r"empty|no word"):
                ingest_files([folder], config, threads=2)
            return
        corpus = ingest_files([folder], config, threads=2)
    kept = naive_kept(sentences, [word for word, _ in vocabulary])
    assert vocabulary_of(corpus) == vocabulary
    assert decoded(corpus) == kept
    report = corpus.report
    assert report.raw_tokens == sum(map(len, raw))
    assert (report.sentences, report.kept_tokens) == (len(kept), sum(map(len, kept)))
    assert report.types == len({token for sentence in raw for token in sentence})
    assert report.bytes == sum(map(len, files))


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=3), max_size=5), max_size=8).filter(lambda s: any(any(x) for x in s)))
def test_lists_of_tokens_are_taken_as_they_are(sentences: list[list[str]]) -> None:
    corpus = ingest_sentences(sentences, ALL_WORDS, threads=2)
    without_empty = [[token for token in sentence if token] for sentence in sentences]
    assert decoded(corpus) == [sentence for sentence in without_empty if sentence]


def test_strings_files_and_generators_give_the_same_corpus() -> None:
    sentences = [["the", "cat"], ["a", "könig", "the"], ["the", "a"]]
    config = CorpusConfig(min_count=2)
    corpora = [
        ingest_text(text_of(sentences), config),
        ingest_sentences([" ".join(sentence) for sentence in sentences], config),
        ingest_sentences((sentence for sentence in sentences), config),
        ingest_sentences((tuple(sentence) for sentence in sentences), config),
    ]
    for corpus in corpora:
        assert vocabulary_of(corpus) == [("the", 3), ("a", 2)]
        assert decoded(corpus) == [["the"], ["a", "the"], ["the", "a"]]


def test_a_generator_may_reuse_its_list() -> None:
    def sentences() -> Iterator[list[str]]:
        sentence: list[str] = []
        for number in range(3):
            sentence[:] = [f"word{number}"]
            yield sentence

    assert decoded(ingest_sentences(sentences(), ALL_WORDS)) == [["word0"], ["word1"], ["word2"]]


def test_a_string_is_one_sentence_even_with_line_ends_in_it() -> None:
    assert decoded(ingest_sentences(["a\nb", "c"], ALL_WORDS)) == [["a", "b"], ["c"]]


def test_tokens_of_lists_are_not_split_but_lower_cased() -> None:
    config = CorpusConfig(min_count=1, tokenizer="words", lowercase=True)
    assert decoded(ingest_sentences([["New York", "x-y"]], config)) == [["new york", "x-y"]]
    assert decoded(ingest_sentences(["New York x-y"], config)) == [["new", "york", "x", "y"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, it\u2019s “fine”!", ["Don't", "stop", "it\u2019s", "fine"]),
        ("state-of-the-art (e.g. 3.14)", ["state", "of", "the", "art", "e", "g", "3", "14"]),
        ("new_york __init__ _ 'quoted'", ["new_york", "init", "quoted"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("cafe\u0301 \u0301 x\u200dy", ["cafe\u0301", "x\u200dy"]),
        ("a\u00a0b\u2028c", ["a", "b", "c"]),
    ],
)
def test_words_are_those_of_unicode(text: str, words: list[str]) -> None:
    assert decoded(ingest_text(text, CorpusConfig(min_count=1, tokenizer="words"))) == [words]


def test_lower_casing_is_that_of_unicode() -> None:
    corpus = ingest_text("KÖNIG König ΣΟΦΟΣ ẞ", CorpusConfig(min_count=1, lowercase=True))
    assert vocabulary_of(corpus) == [("könig", 2), ("σοφος", 1), ("ß", 1)]


def test_ids_follow_a_vocabulary_that_is_given() -> None:
    vocabulary = Vocabulary.from_counts(["b", "new", "a"], [9, 8, 7])
    corpus = ingest_text("a b c\nc\na", CorpusConfig(min_count=100), vocabulary=vocabulary)
    assert corpus.vocabulary is vocabulary
    assert corpus.token_ids.ids.tolist() == [2, 0, 2]
    assert corpus.token_ids.sentence_starts.tolist() == [0, 2, 3]
    with pytest.raises(CorpusError, match="none of the corpus's 2 distinct words"):
        ingest_text("x y", vocabulary=vocabulary)


def test_without_strict_invalid_tokens_are_replaced_and_counted() -> None:
    text = b"ok b\xffd ok b\xfed\nb\xffd b\xef\xbf\xbdd"
    corpus = ingest_text(text, CorpusConfig(min_count=1, encoding_errors="replace"))
    assert vocabulary_of(corpus) == [("b\ufffdd", 4), ("ok", 2)]
    assert corpus.report.replaced_tokens == 3


@pytest.mark.parametrize("suffix", [".txt", ".gz"])
def test_invalid_utf8_is_located(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bad{suffix}"
    content = b"fine\nalso fine \xc3\xa9\xe9 x\n"
    path.write_bytes(gzip.compress(content) if suffix == ".gz" else content)
    (tmp_path / "good.txt").write_bytes(b"good\n")
    with pytest.raises(CorpusError, match=rf"bad\{suffix}, line 2, byte 17: invalid UTF-8 \(0xe9\).*'replace'"):
        ingest_files([tmp_path / "good.txt", path], ALL_WORDS)


def test_lone_surrogates_are_located_or_replaced() -> None:
    sentences = [["fine"], ["also", "fi\ud800ne"], ["x\udcff", "y\udc80"], ["z\udcfe"]]
    for bad in (sentences, [" ".join(sentence) for sentence in sentences]):
        with pytest.raises(CorpusError, match="sentence 1: a lone surrogate"):
            ingest_sentences(bad, ALL_WORDS)
        corpus = ingest_sentences(bad, CorpusConfig(min_count=1, encoding_errors="replace"))
        expected = [["fine"], ["also", "fi\ufffdne"], ["x\ufffd", "y\ufffd"], ["z\ufffd"]]
        assert decoded(corpus) == expected
        assert corpus.report.replaced_tokens == 4


@pytest.mark.parametrize("text", [b"", b"\n\n \t\r\n", b"\xef\xbb\xbf", b"\0\0"])
def test_a_corpus_without_a_token_is_an_error(text: bytes) -> None:
    with pytest.raises(CorpusError, match="holds no token"):
        ingest_text(text)


def test_a_vocabulary_without_a_word_is_an_error() -> None:
    with pytest.raises(CorpusError, match=r"min_count = 5 times or more, the most frequent 3 times; lower min_count"):
        ingest_text("a a a b", CorpusConfig(min_count=5))
    with pytest.raises(CorpusError, match="holds no word"):
        ingest_text("... !", CorpusConfig(min_count=1, tokenizer="words"))
    for nothing in ([], [[]], [""], [["", ""]]):
        with pytest.raises(CorpusError, match="holds no token"):
            ingest_sentences(nothing, ALL_WORDS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("one string", "found a str; to read a file use ingest_files"),
        (5, "found a int"),
        ([["a"], ["b", 7]], r"sentence 1, token 1: expected a str, found 7 of type int; convert"),
        ([["a"], "b c"], "sentence 1: expected a list of str, found a str"),
        (["a", ["b"]], "sentence 1: expected a str as those before it, found a list"),
        ([["a"], None], "sentence 1: expected a list of str, found a NoneType"),
        ([7], "sentence 0: expected a list of str, found a int"),
        ([["a", b"b"]], "sentence 0, token 1: expected a str, found b'b' of type bytes"),
    ],
)
def test_iterables_of_something_else_are_explained(sentences: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ingest_sentences(sentences, ALL_WORDS)  # type: ignore[arg-type]


def test_threads_must_be_at_least_one() -> None:
    for threads in (0, -1):
        with pytest.raises(ValueError, match="threads: expected a whole number >= 1"):
            ingest_sentences(["a"], ALL_WORDS, threads=threads)


def test_an_exception_of_the_iterable_passes_through() -> None:
    def sentences() -> Iterator[list[str]]:
        yield ["fine"] * 1_000_000
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        ingest_sentences(sentences(), ALL_WORDS, threads=2)


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a b\nb")))
    corpus = ingest_files(["-"], ALL_WORDS, cache_dir=tmp_path)
    assert decoded(corpus) == [["a", "b"], ["b"]]
    assert list(tmp_path.iterdir()) == []  # what cannot be told from another input is not kept


@pytest.mark.parametrize("name", ["english-1m.txt.gz", "german-2m.txt.gz"])
def test_real_text_is_counted_and_encoded_right(name: str) -> None:
    path = REAL_TEXT / name
    if not path.exists():
        pytest.skip(f"the corpus {name} is not on this machine")
    corpus = ingest_files([path], CorpusConfig(min_count=5), threads=2)
    sentences = [line.split() for line in gzip.decompress(path.read_bytes()).decode().split("\n")]
    counts = Counter(chain.from_iterable(sentences))
    expected = [(word, count) for word, count in counts.most_common() if count >= 5]  # ties by first appearance
    assert vocabulary_of(corpus) == expected
    kept = [[word for word in sentence if counts[word] >= 5] for sentence in sentences]
    assert decoded(corpus) == [sentence for sentence in kept if sentence]


def test_progress_ends_at_the_size_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"word " * 500_000)
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"word " * 500_000))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    told: list[tuple[int, int | None]] = []
    ingest_files([tmp_path], ALL_WORDS, progress=lambda done, all_: told.append((done, all_)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (total, total)


def test_a_file_that_cannot_grow_is_an_error_that_names_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"word " * 500_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(OSError, match="cannot write the encoded corpus: File too large: '/"):
            ingest_files([tmp_path], ALL_WORDS, cache_dir=tmp_path / "cache", threads=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_sentence_of_an_iterator_that_starts_again_is_read_twice() -> None:
    corpus = ingest_sentences(StartsAgain([["a", "b"], ["c"], ["a"]]), ALL_WORDS)
    assert list(decoded(corpus)) == [["a", "b"], ["c"], ["a"]]
    assert corpus.report.given_sentences == 3


@pytest.mark.parametrize(("text", "sentences"), [(b"a\nb\xfe", 2), (b"a\n\nb\n", 3), (b"a\xfe", 1), (b"\n", 1)])
def test_given_sentences_are_lines_whatever_byte_the_last_ends_with(
    text: bytes, sentences: int, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(text)
    (tmp_path / "word").write_bytes(b"word")
    config = CorpusConfig(min_count=1, encoding_errors="replace")
    assert ingest_files([tmp_path], config).report.given_sentences == 2 * sentences + 1
