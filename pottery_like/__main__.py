"""``python -m pottery_like demo [FILE ...]``."""

from __future__ import annotations

import argparse
import sys

from pottery_like.demo import run


def main() -> int:
    """Parse the command line and run what it names."""
    parser = argparse.ArgumentParser(prog="python -m pottery_like", description="Redis through Python's own types.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="count the words of many files with several processes, and check the result"
    )
    demo.add_argument("files", nargs="*", metavar="FILE", help="default: the standard library's Python sources")
    demo.add_argument("--workers", type=int, default=4, metavar="N", help="number of processes (default: 4)")
    demo.add_argument("--redis-url", metavar="URL", help="default: REDIS_URL, localhost:6379, or an embedded server")
    arguments = parser.parse_args()
    if arguments.workers < 1:
        parser.error("--workers must be at least 1")
    return run(arguments.files, workers=arguments.workers, redis_url=arguments.redis_url)


if __name__ == "__main__":
    sys.exit(main())
