"""Writes every dashboard into a folder: `python3 -m source FOLDER`, with the folder above as the current one."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import budgets, daemon, incidents, overview, service

# What the SDK fills in by itself: a place for links, a menu in which nobody looks at night, so that without it they are
# in sight; and fields that the types of Grafana's current version do not have.
UNWANTED = [("placement", "inControlsMenu"), ("auto", False), ("auto_min", "10s"), ("auto_count", 30)]


def tidied(value: dict[str, object]) -> dict[str, object]:
    kept = {key: one for key, one in value.items() if (key, one) not in UNWANTED}
    if "showHeader" in kept:
        # Of a table: where it has sums below is a matter of its columns.
        kept.pop("footer", None)
    return kept


def write(folder: Path) -> None:
    for room in (overview, service, incidents, budgets, daemon):
        made = room.dashboard().build()
        for n, panel in enumerate(made.panels or []):
            # Links to single panels stay good as long as their order does.
            panel.id_val = n + 1
        plain = json.loads(json.dumps(made, cls=JSONEncoder), object_hook=tidied)
        text = json.dumps(plain, indent=2, ensure_ascii=False)
        name = room.__name__.rpartition(".")[2]
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
