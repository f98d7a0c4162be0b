"""The command line: what it prints, the exit codes, and that bad input leaves no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyembed.cli import main
from pyembed.vectors import KeyedVectors

TEXT = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog\n" * 40
SMALL = ["--vector-size", "8", "--epochs", "2", "--min-count", "1", "--threads", "1", "--quiet"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    degrees = {"north": 90, "up": 80, "east": 0, "right": 10, "könig": 52}
    angles = np.radians(list(degrees.values()))
    KeyedVectors(list(degrees), np.stack([np.cos(angles), np.sin(angles)], axis=1)).save(path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as error:  # argparse's way to end
        code = int(error.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


# --- Queries ----------------------------------------------------------------------------------------------------------


def test_neighbors_are_printed_by_word(capsys, vectors):
    code, out, _ = run(capsys, "neighbors", vectors, "north", "könig", "-n", "2")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["north"],
        ["0.985", "up"],
        ["0.788", "könig"],
        ["könig"],
        ["0.883", "up"],
        ["0.788", "north"],
    ]


def test_analogy_answers_what_is_to_c_as_b_is_to_a(capsys, vectors):
    code, out, _ = run(capsys, "analogy", vectors, "east", "right", "up", "--json")
    assert code == 0
    assert json.loads(out)["answers"][0]["word"] == "north"


def test_json_of_neighbors_holds_the_cosines(capsys, vectors):
    _, out, _ = run(capsys, "neighbors", vectors, "north", "--json")
    (found,) = json.loads(out)
    assert found["word"] == "north"
    assert [near["word"] for near in found["neighbors"]] == ["up", "könig", "right", "east"]
    assert found["neighbors"][0]["cosine"] == pytest.approx(np.cos(np.radians(10)), abs=1e-6)


def test_an_unknown_word_is_an_input_error_with_suggestions(capsys, vectors):
    code, out, err = run(capsys, "neighbors", vectors, "nort")
    assert (code, out) == (3, "")
    assert err == "pyembed: error: no vector for 'nort'; similar words: north\n"


def test_evaluate_scores_pairs_and_analogies(capsys, vectors, tmp_path):
    pairs, analogies = tmp_path / "pairs.csv", tmp_path / "analogies.txt"
    pairs.write_text("north,up,9\nnorth,east,1\nup,right,2\nnorth,nowhere,5\n")
    analogies.write_text(": direction\neast right up north\n: gram1\nEAST Right up north\neast right up west\n")
    code, out, _ = run(capsys, "evaluate", vectors, "--pairs", pairs, pairs, "--analogies", analogies, "--json")
    assert code == 0
    scores = json.loads(out)
    assert [score["pairs"] for score in scores["pairs"]] == [3, 3]
    assert scores["pairs"][0]["spearman"] == pytest.approx(1)
    assert scores["analogies"]["total"] == {
        "name": "total", "correct": 2, "questions": 2, "total": 3, "accuracy": 1.0
    }  # fmt: skip
    code, out, _ = run(capsys, "evaluate", vectors, "--pairs", pairs, "--analogies", analogies)
    assert code == 0
    assert "100.00   3 of 4" in out
    assert "syntactic" in out


def test_evaluate_prints_several_files_side_by_side_with_intervals(capsys, vectors, tmp_path):
    pairs, analogies, other = tmp_path / "pairs.csv", tmp_path / "analogies.txt", tmp_path / "other.bin"
    pairs.write_text("north,up,9\nnorth,east,1\nup,right,2\nnorth,nowhere,5\n")
    analogies.write_text(": direction\neast right up north\nright east north up\n")
    KeyedVectors(["north", "east"], np.eye(2)).save(other)
    asked = ("evaluate", vectors, other, "--pairs", pairs, "--analogies", analogies)
    code, out, _ = run(capsys, *asked)
    assert code == 0
    _, _, header, *rows = out.splitlines()
    assert header.split() == ["vectors", "pairs", "analogies"]
    assert [row.split()[0] for row in rows] == [str(vectors), str(other)]
    assert "3 of 4" in rows[0]
    assert "1 of 4" in rows[1]
    assert rows[0].rstrip().endswith("100.00 [100.00 100.00]  2 of 2")
    first, second = json.loads(run(capsys, *asked, "--json")[1])
    assert (first["vectors"], second["vectors"]) == (str(vectors), str(other))
    low, high = first["pairs"][0]["interval"]
    assert low <= first["pairs"][0]["spearman"] <= high
    assert first["analogies"]["interval"] == [1, 1]
    assert second["pairs"][0]["interval"] == [None, None]


def test_evaluate_compares_settings_of_several_runs(capsys, vectors, tmp_path):
    pairs, analogies = tmp_path / "pairs.csv", tmp_path / "analogies.txt"
    pairs.write_text("north,up,9\nnorth,east,1\nup,right,2\nnorth,nowhere,5\n")
    analogies.write_text(": direction\neast right up north\nright east north up\n")
    files = [tmp_path / f"{seed}.safetensors" for seed in range(3)]
    for seed, file in enumerate(files):
        values = np.random.default_rng(seed).normal(size=(3 + seed, 2))
        KeyedVectors(["north", "up", "east", "right", "left"][: 3 + seed], values).save(file)
    asked = ("evaluate", vectors, "--runs", "one", *files, "--runs", "other", vectors, "--pairs", pairs)
    code, out, _ = run(capsys, *asked, "--analogies", analogies)
    assert code == 0
    title, *tables = out.split("\n\n")
    assert title == "analogies among the 30,000 most frequent words"
    of_files, of_settings, of_differences = (table.splitlines() for table in tables)
    assert [row.split()[0] for row in of_files] == ["vectors", str(vectors)]
    assert [row.split()[:2] for row in of_settings] == [["setting", "runs"], ["one", "3"], ["other", "1"]]
    assert "2 to 3 of 4" in of_settings[1]
    assert "100.00 ± nan" in of_settings[2]
    assert of_differences[0].startswith("better than one by")
    assert of_differences[1].startswith("other ")

    found = json.loads(run(capsys, *asked, "--json")[1])
    assert found["files"][0]["vectors"] == str(vectors)
    one, other = found["settings"]
    assert (one["name"], other["name"]) == ("one", "other")
    (test,) = one["tests"]
    assert (test["counted"], test["total"], test["difference"]) == ([2, 3, 3], 4, None)
    assert other["tests"][0]["difference"]["common"] == 2
    assert other["tests"][0]["deviation"] is None


def test_evaluate_writes_tables_in_markdown(capsys, vectors, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("north,up,9\nnorth,east,1\nup,right,2\nnorth,nowhere,5\n")
    code, out, _ = run(capsys, "evaluate", vectors, "--runs", "a", vectors, "--pairs", pairs, "--markdown")
    assert code == 0
    for table in out.split("\n\n"):
        header, line, row = (row.split("|") for row in table.splitlines())
        assert len(header) == len(line) == len(row)
        assert set("".join(line)) == {"-", " "}
    assert run(capsys, "evaluate", vectors, "--pairs", pairs, "--markdown", "--json")[0] == 2


def test_scores_that_are_not_numbers_are_null_in_json(capsys, vectors, tmp_path):
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("x y 1\n")
    _, out, _ = run(capsys, "evaluate", vectors, "--pairs", pairs, "--json")
    assert json.loads(out)["pairs"][0]["spearman"] is None


def test_info_tells_the_size_of_a_folder_of_hugging_face(capsys, tmp_path):
    folder = tmp_path / "model"
    KeyedVectors(["a", "b"], np.eye(2)).save(folder, format="huggingface")
    (folder / "more").mkdir()
    facts = json.loads(run(capsys, "info", folder, "--json")[1])
    assert facts["format"] == "huggingface"
    names = ("config.json", "tokenizer.json", "model.safetensors")
    assert facts["bytes"] == sum((folder / name).stat().st_size for name in names)


def test_info_tells_of_a_vector_file(capsys, vectors):
    _, out, _ = run(capsys, "info", vectors, "--json")
    facts = json.loads(out)
    assert (facts["format"], facts["words"], facts["dimensions"]) == ("word2vec-text", 5, 2)
    assert facts["norm_mean"] == pytest.approx(1, abs=1e-6)
    code, out, _ = run(capsys, "info", vectors)
    assert code == 0
    assert "north up east right könig" in out


def test_info_tells_which_kernels_are_in_use(capsys):
    from pyembed import ops

    _, out, _ = run(capsys, "info", "--json")
    facts = json.loads(out)
    assert facts["compiled_kernels"] == ops.status().native
    assert facts["simd"] == ops.status().simd
    assert facts["threads"] >= 1
    assert facts["compiled_kernels"] or facts["why_not"]


# --- Training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".bin", ".txt", ".vec", ".safetensors"])
def test_train_writes_the_format_of_the_suffix(suffix, capsys, corpus, tmp_path):
    output = tmp_path / f"out{suffix}"
    code, out, err = run(capsys, "train", corpus, "-o", output, *SMALL)
    assert (code, out, err) == (0, "", "")
    found = KeyedVectors.load(output)
    assert found.vector_size == 8
    assert found.index_to_key[0] == "the"
    assert set(found.index_to_key) == set(TEXT.split())


def test_one_thread_and_one_seed_make_one_file(capsys, corpus, tmp_path):
    contents = []
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        run(capsys, "train", corpus, "-o", tmp_path / f"{name}.bin", "--seed", seed, *SMALL)
        contents.append((tmp_path / f"{name}.bin").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_options_have_the_spellings_of_gensim_and_fasttext(capsys, corpus, tmp_path):
    spellings = {
        "gensim": "--vector-size 6 --window 2 --negative 3 --sample .01 --min-count 2 --epochs 1 --alpha 1 --workers 1",
        "fasttext": "--dim 6 --ws 2 --neg 3 -t .01 --minCount 2 --epoch 1 --lr 1 --thread 1",
    }
    reports = []
    for name, options in spellings.items():
        code, out, _ = run(capsys, "train", corpus, "-o", tmp_path / f"{name}.bin", *options.split(), "--json")
        assert code == 0
        reports.append(json.loads(out)["training"])
    assert reports[0] == reports[1]
    assert reports[0]["vector_size"] == 6
    assert (tmp_path / "gensim.bin").read_bytes() == (tmp_path / "fasttext.bin").read_bytes()


def test_cbow_options_reach_the_trainer(capsys, corpus, tmp_path):
    options = ["--model", "cbow", "--cbow-sum", "--cbow-gradient", "exact", "--backend", "torch", "--json"]
    code, out, _ = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *SMALL, *options)
    assert code == 0
    report = json.loads(out)
    assert report["training"]["cbow_mean"] is False
    assert report["training"]["cbow_gradient"] == "exact"
    assert report["backend"] == "torch"
    assert len(report["epochs"]) == 2


def test_windows_shrink_unless_they_are_fixed(capsys, corpus, tmp_path):
    pairs = []
    for options in ([], ["--fixed-windows"]):
        arguments = [*SMALL, "--sample", "0", *options, "--json"]
        code, out, _ = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *arguments)
        assert code == 0
        report = json.loads(out)
        assert report["training"]["shrink_windows"] is not bool(options)
        pairs.append(report["epochs"][0]["pairs"])
    assert pairs[0] < pairs[1]


def test_options_of_negatives_and_tables_reach_the_trainer(capsys, corpus, tmp_path):
    options = [
        "--negatives-from",
        "batch",
        "--pool",
        "7",
        "--pool-negatives",
        "9",
        "--products",
        "bfloat16",
        "--table-dtype",
        "bfloat16",
        "--json",
    ]
    code, out, _ = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *SMALL, *options)
    assert code == 0
    report = json.loads(out)
    names = ("negatives_from", "pool", "pool_negatives", "products", "table_dtype")
    given = [report["training"][name] for name in names]
    assert given == ["batch", 7, 9, "bfloat16", "bfloat16"]
    assert report["table_bytes"] == 2 * report["vocabulary"] * 32  # 8 dimensions, padded to 16 of 2 bytes


def test_a_saved_vocabulary_trains_again(capsys, corpus, tmp_path):
    vocabulary = tmp_path / "vocabulary.txt"
    run(capsys, "train", corpus, "-o", tmp_path / "one.bin", "--save-vocab", vocabulary, *SMALL)
    assert vocabulary.read_text().startswith("the 160\n")
    vocabulary.write_text("dog 80\ncat 80\n")
    code, *_ = run(capsys, "train", corpus, "-o", tmp_path / "two.bin", "--vocab", vocabulary, *SMALL)
    assert code == 0
    assert KeyedVectors.load(tmp_path / "two.bin").index_to_key == ["dog", "cat"]


def test_a_report_says_how_much_and_how_fast(capsys, corpus, tmp_path):
    code, out, _ = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *SMALL[:-1])
    assert code == 0
    assert f"{len(TEXT.split()):,} words read" in out
    assert "epoch 2  loss" in out
    assert "words/s" in out
    assert f"saved {tmp_path / 'out.bin'}" in out


def test_an_interrupted_training_saves_what_it_has(capsys, corpus, tmp_path, monkeypatch):
    from pyembed.training.loop import TrainingLoop

    def one_epoch_then_ctrl_c(loop, progress, _hooks):
        loop._run_epoch(0, progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingLoop, "run", one_epoch_then_ctrl_c)
    output = tmp_path / "out.bin"
    code, _, err = run(capsys, "train", corpus, "-o", output, *SMALL)
    assert code == 130
    assert err == f"pyembed: interrupted; {output} holds what was trained until then\n"
    assert "cat" in KeyedVectors.load(output)


# --- Bad input --------------------------------------------------------------------------------------------------------


def only_inputs_remain(folder: Path) -> bool:
    return not [path for path in folder.iterdir() if path.name.startswith("out") or path.suffix == ".tmp"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vector-size", "0"], "vector_size: expected a whole number from 1"),
        (["--window", "0"], "window: expected"),
        (["--alpha", "nan"], "alpha: expected a finite number > 0, found nan"),
        (["--lr", "-1"], "alpha: expected"),
        (["--model", "glove"], "model: expected one of skipgram, cbow, found 'glove'"),
        (["--tokenizer", "none"], "tokenizer: expected"),
        (["--epochs", "two"], "argument --epochs"),
        (["--vector"], "unrecognized arguments: --vector"),
        (["--cbow-sum", "--cbow-mean"], "not allowed with"),
        (["--device", "teapot"], "teapot"),
        (["-o", "out.pickle"], "expected a name that ends in .txt"),
    ],
)
def test_values_out_of_range_are_usage_errors(options, message, capsys, corpus, tmp_path):
    code, out, err = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *options)
    assert (code, out) == (2, "")
    assert err.startswith("pyembed: error: ")
    assert message in err
    assert only_inputs_remain(tmp_path)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "corpus.txt"),
        (b"", [], "empty"),
        (b"a b c\n", [], "min_count"),
        (b"good\nbad \xff line\n", [], "line 2"),
    ],
    ids=["missing", "empty", "all words too rare", "invalid UTF-8"],
)
def test_text_that_cannot_be_used_is_an_input_error(content, options, message, capsys, corpus, tmp_path):
    corpus.unlink()
    if content is not None:
        corpus.write_bytes(content)
    code, out, err = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *options)
    assert (code, out) == (3, "")
    assert err.startswith("pyembed: error: ")
    assert message in err
    assert only_inputs_remain(tmp_path)


def test_a_missing_output_folder_is_told_before_the_text_is_read(capsys, tmp_path):
    code, _, err = run(capsys, "train", tmp_path / "no-text", "-o", tmp_path / "missing" / "out.bin")
    assert code == 4
    assert err == f"pyembed: error: {tmp_path / 'missing' / 'out.bin'}: No such file or directory\n"


def test_a_full_disk_is_an_output_error_and_leaves_nothing(capsys, corpus, tmp_path, monkeypatch):
    opened = Path.open

    def open_full(path, mode="r", *arguments, **options):
        file = opened(path, mode, *arguments, **options)
        return opened(Path("/dev/full"), "wb") if "out.bin" in path.name else file

    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    monkeypatch.setattr(Path, "open", open_full)
    code, _, err = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *SMALL)
    assert code == 4
    assert err == f"pyembed: error: {tmp_path / 'out.bin'}: No space left on device\n"
    assert only_inputs_remain(tmp_path)


def test_training_that_diverges_fails_without_a_file(capsys, corpus, tmp_path):
    code, _, err = run(capsys, "train", corpus, "-o", tmp_path / "out.bin", *SMALL, "--alpha", "1e38")
    assert code == 1
    assert "lower alpha" in err
    assert only_inputs_remain(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
@pytest.mark.parametrize("command", [["neighbors"], ["evaluate", "--pairs", "pairs.txt"], ["info"]])
def test_vectors_that_cannot_be_used_are_an_input_error(command, content, capsys, tmp_path):
    path = tmp_path / "vectors.bin"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run(capsys, command[0], path, *command[1:], *(["word"] if command == ["neighbors"] else []))
    assert (code, out) == (3, "")
    assert err.startswith(f"pyembed: error: {path}: ")


def test_evaluate_wants_something_to_evaluate(capsys, vectors, tmp_path):
    assert run(capsys, "evaluate", vectors)[0] == 2
    assert "expected VECTORS or --runs" in run(capsys, "evaluate", "--pairs", "pairs.txt")[2]
    code, _, err = run(capsys, "evaluate", "--pairs", "pairs.txt", "--runs", "a", vectors, "--runs", "a", vectors)
    assert code == 2
    assert "--runs: expected a NAME of its own, found 'a'" in err
    err = run(capsys, "evaluate", "--pairs", "pairs.txt", "--runs", vectors)[2]
    assert f"--runs: expected NAME and at least one file, found '{vectors}'" in err
    code, _, err = run(capsys, "evaluate", vectors, "--pairs", tmp_path / "missing.txt")
    assert (code, err) == (3, f"pyembed: error: {tmp_path / 'missing.txt'}: No such file or directory\n")


def test_no_command_is_a_usage_error_and_help_lists_exit_codes(capsys):
    assert run(capsys)[0] == 2
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "130  interrupted" in out
    assert run(capsys, "--version")[1].startswith("pyembed ")


# --- The process ------------------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_no_error(vectors):
    words = ["north"] * 20_000
    command = f"{sys.executable} -m pyembed neighbors {vectors} {' '.join(words)} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("north\n0\n", "")


def test_output_survives_a_terminal_that_knows_only_ascii(vectors):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "pyembed", "neighbors", vectors, "könig", "-n", "1"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith(b"k\\xf6nig\n")
