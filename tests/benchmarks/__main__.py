"""Run the benchmarks: ``python -m tests.benchmarks [--write] [name ...]``.

Each ``bench_<name>.py`` here has a function ``main() -> str`` that measures and returns its figures as Markdown.
``--write`` puts them into ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from tests.benchmarks.support import publish

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure, and show the figures.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(NAMES)}; default: all")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    for name in options.names or NAMES:
        started = time.perf_counter()
        figures = importlib.import_module(f"tests.benchmarks.bench_{name}").main()
        print(figures)
        print(f"\n({name}: {time.perf_counter() - started:.0f} s)")
        if options.write:
            publish(name, figures)


if __name__ == "__main__":
    main()
