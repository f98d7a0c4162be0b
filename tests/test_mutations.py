"""Seeded faults: each is put into the CUDA kernels' sources, and the C++ tests that run them must then fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "csrc" / "kernels" / "cuda"
SIMT = ROOT / "tests" / "cpp" / "simt"
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
FLAGS = ("-std=c++17", "-O1", "-fno-math-errno", "-fno-strict-aliasing", "-w")
AT_ONCE = 2
"""Compilers, or tests, that run at the same time."""
TEST_SECONDS = 60
"""After which a test counts as one that hangs, and so as one that fails."""

UNITS = ("skipgram.cu", "cbow.cu", "exact_steps.cu", "draws.cu", "subsample.cu", "pairs.cu", "rows.cu")
PROGRAMS = {"cuda_steps": ("quick",), "cuda_draws": (), "cuda_rows": ("quick",)}

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed")


@dataclass(frozen=True)
class Mutation:
    """A fault in one place of one source; `text` stands there once."""

    name: str
    file: str
    text: str
    replacement: str
    unit: str = "skipgram.cu"
    """What is compiled with it."""
    program: str = "cuda_steps"
    """The test that must see it."""


MUTATIONS = (
    Mutation(
        "learning rate of the next center",
        "window_draws.cuh",
        "-learning_rate(block_, rate_, own)",
        "-learning_rate(block_, rate_, own + 1)",
    ),
    Mutation(
        "radius of the next position",
        "window_draws.cuh",
        "window_radius(draws_, block_.first_position + static_cast<uint64_t>(own))",
        "window_radius(draws_, block_.first_position + static_cast<uint64_t>(own) + 1)",
    ),
    Mutation(
        "window one token short",
        "train_windows.cuh",
        "center + radius + 1 < reach_.end ? center + radius + 1 : reach_.end",
        "center + radius < reach_.end ? center + radius : reach_.end",
    ),
    Mutation(
        "border of the sentence ignored",
        "window_draws.cuh",
        "high > borders_.end ? borders_.end : high",
        "high > block_.tokens ? static_cast<int>(block_.tokens) : high",
    ),
    Mutation(
        "a pool's negatives drawn for each window",
        "window_draws.cuh",
        "if (draws_.sharing > kPerWindow) position -= position % static_cast<uint64_t>(draws_.sharing);",
        "",
    ),
    Mutation(
        "rows used before they have arrived",
        "train_windows.cuh",
        "wait_for_copies<1>();",
        "wait_for_copies<2>();",
    ),
    Mutation(
        "errors read before all lanes have written them",
        "skipgram.cu",
        "__syncwarp();\n    const bool one_tile",
        "const bool one_tile",
    ),
    Mutation(
        "hidden errors read before all lanes have written them",
        "cbow.cu",
        "__syncwarp();\n    state.in.rows.for_each_four",
        "state.in.rows.for_each_four",
        unit="cbow.cu",
    ),
    Mutation(
        "last contexts not written back",
        "train_windows.cuh",
        "last ? entered_.end : reach_.begin",
        "reach_.begin",
    ),
    Mutation(
        "a changed context not written back",
        "context_ring.cuh",
        "changed_ |= chosen;",
        "changed_ |= chosen & (chosen - 1);",
    ),
    Mutation(
        "row of an ending pool not written back",
        "output_rows.cuh",
        "if (pooled_ && (last || new_pool_)) {",
        "if (pooled_ && last) {",
    ),
    Mutation(
        "addition that is not atomic",
        "row_slots.cuh",
        "{ atomic_add4(address, delta); }",
        "{ racing_store4(address, racing_load4(address) + delta); }",
    ),
    Mutation(
        "lane missing from a mask",
        "context_ring.cuh",
        "__ballot_sync(kAllLanes, count > 0)",
        "__ballot_sync(kAllLanes >> 1, count > 0)",
    ),
    Mutation(
        "negative that equals the center takes part",
        "output_rows.cuh",
        "pool_.id >= 0 && pool_.id != center_",
        "pool_.id >= 0",
    ),
    Mutation(
        "context that stands twice counts once",
        "context_ring.cuh",
        "counts[rank] = static_cast<float>(count);",
        "counts[rank] = 1;",
    ),
    Mutation(
        "negative that was drawn twice counts once",
        "output_rows.cuh",
        "Pool{negative, __popc(same)}",
        "Pool{negative, 1}",
    ),
    Mutation(
        "loss of the last windows lost",
        "train_windows.cuh",
        "if (last || (center - centers_.begin) % kWarp == kWarp - 1) {",
        "if ((center - centers_.begin) % kWarp == kWarp - 1) {",
    ),
    Mutation(
        "stride of the other table",
        "output_rows.cuh",
        "rows{tables.out, tables.out_stride,",
        "rows{tables.out, tables.in_stride,",
    ),
    Mutation(
        "row of the next window loaded while this one changes it",
        "output_rows.cuh",
        "negative == center_ ? center_slot_ : -1",
        "-1",
    ),
    Mutation(
        "change of a frequent row written back twice",
        "context_ring.cuh",
        "coming_ |= stale;",
        "",
    ),
    Mutation(
        "share of the exact gradient always taken",
        "cbow.cu",
        "options.exact_gradient ? share : 1.0f",
        "share",
        unit="cbow.cu",
    ),
    Mutation(
        "label of a negative",
        "exact_steps.cu",
        "Real(n == 0 ? 1 : 0)",
        "Real(n <= 1 ? 1 : 0)",
        unit="exact_steps.cu",
    ),
    Mutation(
        "negatives of the first pair for every pair",
        "exact_steps.cu",
        "negative_ids(draws, position, c, scratch.outputs + 1);",
        "negative_ids(draws, position, 0, scratch.outputs + 1);",
        unit="exact_steps.cu",
    ),
    Mutation(
        "negatives of the wrong context",
        "draws.cu",
        "negative_ids(draws, position, context, list + 1);",
        "negative_ids(draws, position, 0, list + 1);",
        unit="draws.cu",
        program="cuda_draws",
    ),
    Mutation(
        "threshold itself not kept",
        "subsample.cu",
        "words.word[i] <= tokens.keep_threshold[id]",
        "words.word[i] < tokens.keep_threshold[id] / 2",
        unit="subsample.cu",
        program="cuda_draws",
    ),
    Mutation(
        "negative equal to the first output of a pair",
        "pair_walk.cuh",
        "if (n == 0) return 1;",
        "if (n == 0) return equal;",
        unit="pairs.cu",
        program="cuda_rows",
    ),
    Mutation(
        "negative that stands twice trained once",
        "pair_walk.cuh",
        "before == 0 ? equal : 0",
        "before == 0 ? 1 : 0",
        unit="pairs.cu",
        program="cuda_rows",
    ),
    Mutation(
        "sums of both ends of a tile in one place",
        "segments.cuh",
        "(2 * t + (run.first > 0 ? 1 : 0))",
        "(2 * t)",
        unit="rows.cu",
        program="cuda_rows",
    ),
    Mutation(
        "sum of squares in place of their mean",
        "rows.cu",
        "table.squares[row], table.dimensions",
        "table.squares[row], 1",
        unit="rows.cu",
        program="cuda_rows",
    ),
    Mutation(
        "clipped by the norm of one lane's columns",
        "segments.cuh",
        "measure += __shfl_xor_sync(kAllLanes, measure, distance);",
        "__shfl_xor_sync(kAllLanes, measure, distance);",
        unit="rows.cu",
        program="cuda_rows",
    ),
    Mutation(
        "factor of an entry dropped",
        "rows.cu",
        "given.factors ? given.factors[place] : Arithmetic<Element>(1)",
        "Arithmetic<Element>(1)",
        unit="rows.cu",
        program="cuda_rows",
    ),
    Mutation(
        "frozen row changed",
        "rows.cu",
        "good && left_out && left_out[id] ? -1",
        "good && left_out && left_out[id] && id > 0 ? -1",
        unit="rows.cu",
        program="cuda_rows",
    ),
)


class Workshop:
    """Compiles the kernels with and without a fault, and runs their tests, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.common = [
            *sorted(SIMT.glob("*.cpp")),
            *(ROOT / "csrc" / "kernels" / name for name in ("exact_cpu.cpp", "pairs_plan.cpp")),
        ]
        self.tests = [ROOT / "tests" / "cpp" / f"test_{program}.cpp" for program in PROGRAMS]

    def object_of(self, source: Path) -> Path:
        return self.folder / f"{source.name}.o"

    def compile(self, source: Path, target: Path, faulty: Path | None = None) -> None:
        """faulty: a folder of sources that come before the right ones."""
        folders = [SIMT, *([faulty] if faulty else []), ROOT / "csrc", ROOT / "tests" / "cpp"]
        includes = [f"-I{folder}" for folder in folders]
        run([str(COMPILER), *FLAGS, *includes, "-x", "c++", "-c", str(source), "-o", str(target)])

    def compile_all(self) -> None:
        sources = [*self.tests, *self.common, *(KERNELS / unit for unit in UNITS)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda source: self.compile(source, self.object_of(source)), sources))

    def failure(self, program: str, folder: Path, replaced: dict[str, Path]) -> str:
        """What a test prints when it fails, with these objects in place of the units'; empty if it passes."""
        units = [replaced.get(unit, self.object_of(KERNELS / unit)) for unit in UNITS]
        objects = [*units, self.folder / f"test_{program}.cpp.o", *map(self.object_of, self.common)]
        binary = folder / program
        run([str(COMPILER), *map(str, objects), "-o", str(binary)])
        try:
            test = subprocess.run(
                [str(binary), *PROGRAMS[program]], capture_output=True, text=True, timeout=TEST_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return "it hangs"
        return test.stderr or f"exit status {test.returncode}" if test.returncode else ""

    def failure_with(self, mutation: Mutation) -> str:
        folder = self.folder / mutation.name.replace(" ", "_")
        faulty = folder / "kernels" / "cuda" / mutation.file
        faulty.parent.mkdir(parents=True)
        faulty.write_text((KERNELS / mutation.file).read_text().replace(mutation.text, mutation.replacement))
        source = faulty if mutation.file == mutation.unit else KERNELS / mutation.unit
        target = folder / "unit.o"
        self.compile(source, target, faulty=folder)
        return self.failure(mutation.program, folder, {mutation.unit: target})


def run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr}"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("mutations"))
    workshop.compile_all()
    return workshop


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_still_has_its_place(mutation: Mutation) -> None:
    found = (KERNELS / mutation.file).read_text().count(mutation.text)
    assert found == 1, f"{mutation.file}: expected {mutation.text!r} once, found it {found} times; update the mutation"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_kernels_without_a_fault_pass(workshop: Workshop, program: str) -> None:
    assert workshop.failure(program, workshop.folder, {}) == ""


@pytest.fixture(scope="module")
def failures(workshop: Workshop) -> dict[str, str]:
    """What the tests say to each fault."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip((m.name for m in MUTATIONS), pool.map(workshop.failure_with, MUTATIONS), strict=True))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_is_caught(failures: dict[str, str], mutation: Mutation) -> None:
    assert failures[mutation.name], f"{mutation.file} with {mutation.replacement!r} for {mutation.text!r} passes"
