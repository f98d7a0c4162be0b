"""The model of the CUDA kernels as a page: costs of a word, words a second by GPU, and the limit.

python benchmarks/gpu_model.py [--rows 100000] [--dimensions 300] [--json]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from pyembed.bench.table import table
from pyembed.selftest.gpu_costs import Cost, Setting, cost_of, parts
from pyembed.selftest.gpu_model import ASSUMPTIONS, predict
from pyembed.selftest.gpus import GPUS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--dimensions", type=int, default=Setting.dimensions, metavar="D")
    parser.add_argument("--window", type=int, default=Setting.window, metavar="W")
    parser.add_argument("--negative", type=int, default=Setting.negative, metavar="K")
    parser.add_argument("--sentence", type=int, metavar="TOKENS", help="in each sentence (default: very many)")
    parser.add_argument("--rows", type=int, metavar="V", help="of each table (default: more than any cache holds)")
    parser.add_argument("--frequent", type=float, default=0.4, metavar="SHARE", help="of frequent words (default: 0.4)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    arguments = vars(parser.parse_args())
    as_json = arguments.pop("json")
    base = Setting(**arguments)
    settings = {
        "skip-gram": base,
        "skip-gram, store": replace(base, write_back="store"),
        "skip-gram, pool of 4": replace(base, sharing=4),
        "skip-gram, bfloat16": replace(base, table_dtype="bfloat16"),
        "skip-gram, bfloat16, store": replace(base, table_dtype="bfloat16", write_back="store"),
        "CBOW": replace(base, model="cbow"),
        "CBOW, bfloat16, store": replace(base, model="cbow", table_dtype="bfloat16", write_back="store"),
    }
    print(json.dumps(facts(settings), indent=2) if as_json else page(settings), end="")


def facts(settings: dict[str, Setting]) -> dict[str, object]:
    return {
        name: {
            "cost": cost_of(setting)._asdict(),
            "instructions": parts(setting),
            "gpus": {gpu.name: predict(gpu, setting)._asdict() for gpu in GPUS},
        }
        for name, setting in settings.items()
    } | {"assumptions": ASSUMPTIONS}


def page(settings: dict[str, Setting]) -> str:
    base = next(iter(settings.values()))
    head = (
        f"D = {base.dimensions}, window {base.window} ({base.contexts:.2f} contexts), K = {base.negative}, "
        f"{base.frequent:.0%} of tokens are of frequent words."
    )
    costs = [["a trained word costs", *(name.replace("_", " ") for name in Cost._fields)]]
    rates = [["M trained words/s, limit, warps", *(gpu.name for gpu in GPUS)]]
    for name, setting in settings.items():
        costs.append([name, *(f"{value:,.4g}" if value < 100 else f"{value:,.0f}" for value in cost_of(setting))])
        found = [predict(gpu, setting) for gpu in GPUS]
        rates.append([name, *(f"{one.words_per_second / 1e6:,.0f}, {one.limit}, {one.warps}" for one in found)])
    instructions = [["instructions of a window", "skip-gram"], *([k, f"{v:,.0f}"] for k, v in parts(base).items())]
    listed = "\n".join(f"* {assumption}" for assumption in ASSUMPTIONS)
    sources = "\n".join(f"* Second-level cache of {gpu.name}: {gpu.l2_source}." for gpu in GPUS)
    return "\n\n".join([head, *map(table, (costs, rates, instructions)), f"{listed}\n{sources}"]) + "\n"


if __name__ == "__main__":
    main()
