"""finalfusion, safetensors, numpy, projector, Hugging Face, Arrow: there and back, and refused where damaged."""

from __future__ import annotations

import json
import signal
import sys

import numpy as np
import pytest
from format_cases import DIMENSIONS, WORDS, small_table, write_cases

from pyembed.vectors import VectorFileError
from pyembed.vectors.formats import FORMATS, VectorFileWarning, VectorTable, read, require_target, write

NAMES = {
    "finalfusion": "v.fifu",
    "safetensors": "v.safetensors",
    "npy": "v.npy",
    "npz": "v.npz",
    "projector": "v.tsv",
    "huggingface": "folder",
    "parquet": "v.parquet",
    "arrow": "v.arrow",
}


def requirement(format: str) -> None:
    if format in ("parquet", "arrow"):
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.mark.parametrize("format", NAMES)
def test_what_is_written_reads_back_equal_and_to_equal_bytes(format, tmp_path):
    requirement(format)
    table, folders = small_table(), (tmp_path / "first", tmp_path / "second")
    for folder in folders:
        folder.mkdir()
        write(table, folder / NAMES[format], format=format)
        found = read(folder / NAMES[format])
        assert list(found.words) == WORDS
        np.testing.assert_array_equal(found.vectors.view(np.uint32), table.vectors.view(np.uint32))
        assert (found.counts is not None) == ("counts" in FORMATS[format].keeps)
        if found.counts is not None:
            np.testing.assert_array_equal(found.counts, table.counts)
        assert found.metadata == (table.metadata if "metadata" in FORMATS[format].keeps else {})
        table = found
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    if table.counts is not None:
        assert first == second


@pytest.mark.parametrize("format", ["finalfusion", "safetensors", "npy", "huggingface"])
def test_mapped_vectors_stay_in_the_file(format, tmp_path):
    write(small_table(), tmp_path / NAMES[format], format=format)
    found = read(tmp_path / NAMES[format], mmap=True)
    np.testing.assert_array_equal(found.vectors, small_table().vectors)
    assert not found.vectors.flags.writeable
    assert not found.vectors.flags.owndata


@pytest.mark.parametrize("format", ["finalfusion", "safetensors", "npz", "npy", "huggingface", "arrow", "parquet"])
def test_no_words_read_back_as_no_words(format, tmp_path):
    requirement(format)
    write(VectorTable(words=[], vectors=np.zeros((0, 4), dtype=np.float32)), tmp_path / NAMES[format], format=format)
    assert read(tmp_path / NAMES[format]).words == []


@pytest.mark.parametrize("format", [*NAMES, "fasttext"])
def test_words_that_are_no_text_are_refused(format, tmp_path):
    requirement(format)
    table = VectorTable(words=["\ud800"], vectors=np.eye(1, dtype=np.float32))
    with pytest.raises(VectorFileError, match="UTF-8 can hold"):
        write(table, tmp_path / NAMES.get(format, "v.bin"), format=format)
    assert not list(tmp_path.iterdir())


def test_every_case_reads_as_the_same_words(tmp_path):
    for case, path in write_cases(tmp_path).items():
        found = read(path)
        assert list(found.words) == WORDS, case
        assert found.vectors.shape == (len(WORDS), DIMENSIONS), case


def test_a_missing_pyarrow_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("v.parquet", "v.arrow"):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'pyembed-torch\[arrow\]'"):
            write(small_table(), tmp_path / name)
        with pytest.raises(VectorFileError, match=r"pip install 'pyembed-torch\[arrow\]'"):
            require_target(tmp_path / name)


# --- safetensors and Hugging Face -------------------------------------------------------------------------------------


def test_the_library_of_safetensors_reads_our_files(tmp_path):
    from safetensors.numpy import load_file

    write(small_table(), tmp_path / "v.safetensors")
    write(small_table(), tmp_path / "folder", format="huggingface")
    np.testing.assert_array_equal(load_file(tmp_path / "v.safetensors")["weight"], small_table().vectors)
    np.testing.assert_array_equal(load_file(tmp_path / "folder/model.safetensors")["embeddings"], small_table().vectors)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_word_embeddings_of_a_model_are_found_among_its_tensors(dtype, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    weight = torch.tensor(small_table().vectors).to(getattr(torch, dtype))
    padding = torch.zeros(3, DIMENSIONS, dtype=weight.dtype)
    tensors = {
        "bert.embeddings.word_embeddings.weight": torch.cat([weight, padding]),
        "bert.embeddings.position_embeddings.weight": torch.ones(4, DIMENSIONS),
        "bert.pooler.dense.weight": torch.ones(2, 2),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    found = read(tmp_path)
    assert list(found.words) == WORDS
    np.testing.assert_array_equal(found.vectors, weight.float().numpy())
    if dtype != "float32":
        with pytest.raises(VectorFileError, match="expected float32, to be memory-mapped"):
            read(tmp_path, mmap=True)


def test_the_tokenizer_that_we_write_finds_every_word(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    write(small_table(), tmp_path / "folder", format="huggingface")
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "folder" / "tokenizer.json"))
    assert tokenizer.encode("the x könig").ids == [0, 2, 1]


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ("[", "expected JSON"),
        ("[]", "expected a JSON object, found list"),
        ("{}", "expected a vocabulary"),
        ('{"model": {"vocab": {"a": "b"}}}', "expected a token and its row, found 'a' and 'b'"),
        ('{"model": {"vocab": {"a": 0, "b": 0}}}', "found two tokens in one"),
        ('{"model": {"vocab": {"a": 1}}}', "found none for row 0"),
        ('{"model": {"vocab": [1]}}', "expected pairs of a token and its score"),
        ('{"model": {"vocab": {"a": 0}}, "added_tokens": [1]}', "expected added tokens with id and content"),
        (json.dumps({"model": {"vocab": {str(row): row for row in range(50)}}}), "first of 9 rows, found 50"),
    ],
)
def test_damaged_tokenizers_are_refused(tokenizer, message, tmp_path):
    write(small_table(), tmp_path / "folder", format="huggingface")
    (tmp_path / "folder" / "tokenizer.json").write_text(tokenizer)
    with pytest.raises(VectorFileError, match=message):
        read(tmp_path / "folder")


def test_a_model_without_word_embeddings_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"pooler.bias": np.zeros(3, dtype=np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(VectorFileError, match=r"expected one matrix of word embeddings, found \[\] among pooler.bias"):
        read(tmp_path)


# --- TensorBoard's projector ------------------------------------------------------------------------------------------


def test_projector_files_are_as_tensorboard_wants_them(tmp_path):
    write(VectorTable(words=["a b", "c"], vectors=np.float32([[1, 2.5], [-0.5, 1e-9]])), tmp_path / "v.tsv")
    assert (tmp_path / "v.tsv").read_text() == "1.0\t2.5\n-0.5\t1e-09\n"
    assert (tmp_path / "v.metadata.tsv").read_text() == "a b\nc\n"
    configuration = (tmp_path / "projector_config.pbtxt").read_text()
    assert configuration == 'embeddings {\n  tensor_path: "v.tsv"\n  metadata_path: "v.metadata.tsv"\n}\n'


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [("p_tensor.tsv", "p_metadata.tsv"), ("v.tsv", "metadata.tsv"), ("v.tsv", "v.metadata.tsv")],
)
def test_projector_metadata_are_found_by_custom(tensors, metadata, tmp_path):
    (tmp_path / tensors).write_text("1\t2\n3\t4\n")
    (tmp_path / metadata).write_text("a\nb\n")
    found = read(tmp_path / tensors)
    assert list(found.words) == ["a", "b"]
    np.testing.assert_array_equal(found.vectors, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ("", "a\n", "line 1: expected numbers between tabs"),
        ("1\t2\n3\n", "a\nb\n", "line 2: expected 2 numbers, found 1 fields"),
        ("1\t2\n3\tx\n", "a\nb\n", "line 2: expected a number in dimension 1, found b'x'"),
        ("1\t2\n", "a\nb\n", "expected 1 words, one for each row"),
        ("1\t2\n", "word\tcount\na\tmany\n", "line 2: expected a count, found 'many'"),
        ("1\t2\n", "word\tcount\na\n", "line 2: expected 2 fields, found 1"),
    ],
)
def test_damaged_projector_files_are_refused(tensors, metadata, message, tmp_path):
    (tmp_path / "v.tsv").write_text(tensors)
    (tmp_path / "metadata.tsv").write_text(metadata)
    with pytest.raises(VectorFileError, match=message):
        read(tmp_path / "v.tsv")


def test_a_configuration_that_names_no_file_is_refused(tmp_path):
    write(small_table(), tmp_path / "v.tsv")
    (tmp_path / "v.metadata.tsv").unlink()
    with pytest.raises(VectorFileError, match="which is no file there"):
        read(tmp_path / "v.tsv")


# --- Words beside an array --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["npy", "projector"])
def test_damaged_words_beside_an_array_are_left_out_with_their_rows(format, tmp_path):
    write(small_table(), tmp_path / NAMES[format], format=format)
    words = next(path for path in tmp_path.iterdir() if "words" in path.name or "metadata" in path.name)
    words.write_bytes(words.read_bytes().replace("naïve".encode(), b"na\xefve"))
    with pytest.raises(VectorFileError, match="UTF-8"):
        read(tmp_path / NAMES[format])
    with pytest.warns(VectorFileWarning, match="1 rows were left out"):
        found = read(tmp_path / NAMES[format], errors="skip")
    assert list(found.words) == [word for word in WORDS if word != "naïve"]
    np.testing.assert_array_equal(found.vectors, np.delete(small_table().vectors, WORDS.index("naïve"), axis=0))


@pytest.mark.parametrize(("format", "word"), [("npy", "a\nb"), ("npy", "a\r"), ("projector", "a\tb"), ("npy", "")])
def test_words_that_would_end_a_line_are_refused(format, word, tmp_path):
    table = VectorTable(words=["b", word], vectors=np.eye(2, dtype=np.float32))
    with pytest.raises(VectorFileError, match="row 1: "):
        write(table, tmp_path / NAMES[format], format=format)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is Unix's")
@pytest.mark.parametrize(("letters", "dimensions"), [(1, 50), (200, 1)], ids=["much of vectors", "much of words"])
@pytest.mark.parametrize("format", ["npy", "projector", "huggingface"])
def test_files_that_belong_together_change_together_or_not_at_all(format, letters, dimensions, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / NAMES[format]
    write(small_table(), path, format=format)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    words = [letters * "w" + str(row) for row in range(500)]
    larger = VectorTable(words=words, vectors=np.ones((500, dimensions), dtype=np.float32))
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # as on a full disk: room for one, not for both
    try:
        with pytest.raises(OSError, match="File too large"):
            write(larger, path, format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


# --- Parquet and Arrow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_tables_of_other_making_are_read(suffix, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import feather, parquet

    lists = pyarrow.array(small_table().vectors.astype(np.float64).tolist(), pyarrow.list_(pyarrow.float64()))
    table = pyarrow.table({"word": pyarrow.array(WORDS).dictionary_encode(), "vector": lists, "more": WORDS})
    (parquet.write_table if suffix == ".parquet" else feather.write_feather)(table, tmp_path / f"v{suffix}")
    found = read(tmp_path / f"v{suffix}")
    assert list(found.words) == WORDS
    np.testing.assert_array_equal(found.vectors, small_table().vectors)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_damaged_tables_are_refused(suffix, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import feather, parquet

    path = tmp_path / f"v{suffix}"
    save = parquet.write_table if suffix == ".parquet" else feather.write_feather
    for columns, message in [
        ({"word": ["a"]}, "expected the columns word and vector"),
        ({"word": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, "expected lists of one length"),
        ({"word": ["a"], "vector": [["x"]]}, "expected floats"),
        ({"word": ["a", "a"], "vector": [[1.0], [2.0]]}, "'a' in rows 0 and 1"),
        ({"word": ["a"], "vector": [[1.0]], "count": [1.5]}, "expected counts as whole numbers"),
        ({"word": ["a", None], "vector": [[1.0], [2.0]]}, "expected a word in each row, found none in row 1"),
    ]:
        save(pyarrow.table(columns), path)
        with pytest.raises(VectorFileError, match=message):
            read(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(VectorFileError, match="expected a table of words and vectors"):
        read(path)
