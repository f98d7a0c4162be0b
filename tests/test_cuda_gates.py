"""What CI says of CUDA kernels that it cannot run: occupancy as NVIDIA counts it, and nothing overlooked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cuda_gates.compiled import Compiled
from cuda_gates.resources import Resources, readable, resources
from cuda_gates.sass import loops
from cuda_gates.table import spills
from cuda_gates.toolkit import find

from pyembed.selftest.architectures import ARCHITECTURES, WARP, resident

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "benchmarks" / "gpu_kernels.md").read_text()

# --- occupancy --------------------------------------------------------------------------------------------------------


def nvidia_headers() -> Path:
    """Where cuda_occupancy.h is, as nvcc tells it."""
    nvcc = find("nvcc")
    said = subprocess.run([nvcc, "--dryrun", "x.cu"], capture_output=True, text=True).stderr if nvcc else ""
    top = re.search(r"#\$ TOP=(\S+)", said)
    headers = Path(top[1] if top else "/nowhere") / "include"
    if not (headers / "cuda_occupancy.h").exists() or shutil.which("g++") is None:
        pytest.skip("NVIDIA's cuda_occupancy.h, or a C++ compiler, is not here")
    return headers


def test_occupancy_equals_nvidias(tmp_path: Path) -> None:
    program = tmp_path / "occupancy"
    source = ROOT / "tests" / "cpp" / "occupancy.cpp"
    subprocess.run(["g++", "-w", f"-I{nvidia_headers()}", source, "-o", program], check=True)
    cases = [
        (architecture, registers, threads, shared)
        for architecture in ARCHITECTURES.values()
        for registers in (16, 32, 40, 63, 64, 65, 96, 128, 168, 200, 255)
        for threads in (32, 64, 96, 128, 256, 1024)
        for shared in (0, 1, 1024, 5000, 19_000, 40_000, architecture.block_shared_bytes)
        if registers * threads <= 1 << 16
    ]
    lines = [
        f"{a.sm} {a.max_warps} {a.shared_bytes} {a.reserved_bytes} {registers} {threads} {shared}"
        for a, registers, threads, shared in cases
    ]
    said = subprocess.run([program], input="\n".join(lines), check=True, capture_output=True, text=True).stdout
    expected = list(map(int, said.split()))
    found = [
        resident(architecture, registers=registers, threads=threads, shared_bytes=shared).blocks
        for architecture, registers, threads, shared in cases
    ]
    differing = [(case, a, b) for case, a, b in zip(cases, found, expected, strict=True) if a != b]
    assert not differing


def test_occupancy_is_the_share_of_warps() -> None:
    fit = resident(ARCHITECTURES[80], registers=40, threads=128, shared_bytes=4096)
    assert (fit.blocks, fit.warps, fit.share) == (12, 48, 0.75)
    assert fit.warps == fit.blocks * 128 // WARP


# --- what the tools say -----------------------------------------------------------------------------------------------

MESSAGES = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN7pyembed5firstIfLi2EEEvPT_' for 'sm_90'
ptxas info    : Function properties for _ZN7pyembed5firstIfLi2EEEvPT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compile time = 5.0 ms
ptxas info    : Compiling entry function '_ZN7pyembed6secondEPd' for 'sm_90'
ptxas info    : Function properties for _ZN7pyembed6secondEPd
    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 255 registers
"""


def compiled(messages: str) -> Compiled:
    return Compiled("kernels.cu", 90, Path("kernels.cubin"), messages)


def test_resources_are_read_from_what_ptxas_says() -> None:
    assert resources(compiled(MESSAGES)) == [
        Resources("_ZN7pyembed5firstIfLi2EEEvPT_", 90, 40, 1024, 0, 0),
        Resources("_ZN7pyembed6secondEPd", 90, 255, 0, 16, 12),
    ]


def test_a_spill_is_reported_by_the_kernels_name() -> None:
    if shutil.which("c++filt") is None:
        pytest.skip("c++filt is not here")
    assert spills([compiled(MESSAGES)]) == ["second, sm_90: 12 bytes spilled"]


def test_names_are_those_of_the_sources() -> None:
    if shutil.which("c++filt") is None:
        pytest.skip("c++filt is not here")
    assert readable(["_ZN7pyembed5firstIfLi2EEEvPT_"]) == {"_ZN7pyembed5firstIfLi2EEEvPT_": "first<float, 2>"}


SASS = """
//--------------------- .text.kernel --------------------------
.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
        /*0010*/               @P0 EXIT ;
.L_x_2:
        /*0020*/                   LDS.128 R4, [R3] ;
.L_x_1:
        /*0030*/                   FFMA R4, R21, R4, R16 ;
        /*0040*/                   SHFL.BFLY PT, R3, R16, 0x10, 0x1f ;
        /*0050*/               @P2 BRA `(.L_x_1) ;
        /*0060*/              @!P1 BRA `(.L_x_3) ;
        /*0070*/                   REDG.E.ADD.F32.FTZ.RN.STRONG.GPU desc[UR6][R4.64], R2 ;
        /*0080*/               @P3 BRA `(.L_x_2) ;
.L_x_4:
        /*0090*/                   EXIT ;
.L_x_3:
        /*00a0*/                   FADD R1, R1, R2 ;
        /*00b0*/                   BRA `(.L_x_4) ;
.L_x_5:
        /*00c0*/                   BRA `(.L_x_5);
"""


def test_loops_nest_and_count_what_they_hold() -> None:
    outer, inner = loops(SASS)["kernel"]
    assert (outer.depth, inner.depth) == (0, 1)
    assert dict(outer.counts) == {"all": 7, "LDS": 1, "FFMA": 1, "SHFL": 1, "RED/ATOM": 1, "branch": 3}
    assert dict(inner.counts) == {"all": 3, "FFMA": 1, "SHFL": 1, "branch": 1}


# --- the table that is committed --------------------------------------------------------------------------------------


def test_every_kernel_stands_in_the_table() -> None:
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "csrc" / "kernels" / "cuda").iterdir()))
    kernels = set(re.findall(r"__global__ void(?: __launch_bounds__\([^)]*\))? (\w+)\(", sources))
    listed = {row.split("|")[1].strip().partition("<")[0] for row in TABLE.splitlines() if row.startswith("| ")}
    assert kernels
    assert kernels <= listed, "run: python benchmarks/gpu_gates.py --write"


def test_no_kernel_in_the_table_spills() -> None:
    head, *rows = [line.split("|") for line in TABLE.partition("## Loops")[0].splitlines() if line.startswith("| ")]
    column = [cell.strip() for cell in head].index("spills")
    assert rows
    assert {row[1].strip(): row[column].strip() for row in rows if row[column].strip() != "0"} == {}
