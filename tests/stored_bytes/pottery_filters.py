"""Writes pottery_filters.json: what Pottery 3.0.1 itself stores.

Run with Pottery installed; argument: a server's URL.
"""

from __future__ import annotations

import base64
import json
import sys
import warnings
from pathlib import Path
from typing import Any

ELEMENTS: list[Any] = [
    "rajiv", "raj", "dan", "", "é€😀", 'quote " and \\', "\n", 0, 1, -1, 2**53, 1.5, 1.0, True, False, None,
    [1, "two", None], {"b": 1, "a": [True]}, [],
]  # fmt: skip
PARAMETERS = [(100, 0.01), (1, 0.5), (1000, 0.001), (10_000_000, 1e-6), (400_000_000, 0.01), (7, 0.999)]


def main() -> None:
    from pottery import BloomFilter, HyperLogLog
    from redis import Redis

    warnings.simplefilter("ignore")
    redis = Redis.from_url(sys.argv[1])
    filters = []
    for elements, rate in PARAMETERS:
        made = BloomFilter(num_elements=elements, false_positives=rate, redis=redis, key="golden")
        made.clear()
        filters.append(
            {
                "num_elements": elements,
                "false_positives": rate,
                "size": made.size(),
                "num_hashes": made.num_hashes(),
                "offsets": [list(made._bit_offsets(element)) for element in ELEMENTS],
            }
        )
    made = BloomFilter(num_elements=100, false_positives=0.01, redis=redis, key="golden")
    made.update(ELEMENTS)
    bits, count = redis.get("golden"), len(made)
    made.clear()
    counter = HyperLogLog(redis=redis, key="golden")
    counter.update(ELEMENTS)
    length, registers = len(counter), redis.get("golden")
    counter.clear()
    golden = {
        "elements": ELEMENTS,
        "filters": filters,
        "bits": base64.b64encode(bits).decode(),
        "count": count,
        "registers": base64.b64encode(registers).decode(),
        "length": length,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
