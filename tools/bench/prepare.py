# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures //twhin:prepare on a generated graph.

    python tools/bench/prepare.py --num_edges=5000000 --work=/tmp/bench

makes edges between users and tweets with string ids (or 64-bit ones with
--ids=int64) and skewed degrees, one entity of each type for every 20 edges, then
prepares them in a process of its own. Prints one JSON object:

    edges_per_sec         edges / wall seconds of the process, imports included
    peak_resident_bytes   of that process; without the JVM of --engine=spark

With --pbg_dir, a folder from which `torchbiggraph` can be imported, its importer
converts the same edges, as text, in the same run:

    pbg_edges_per_sec     edges / wall seconds of its process, imports included
"""

import json
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb
from absl import app, flags

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench.measured_process import run_measured

_NUM_EDGES = flags.DEFINE_integer("num_edges", 5_000_000, "Edges to generate.")
_IDS = flags.DEFINE_enum("ids", "string", ["string", "int64"], "The type of ids.")
_WORK = flags.DEFINE_string("work", None, "A folder for all files.", required=True)
_MEMORY_LIMIT = flags.DEFINE_string("memory_limit", "6GB", "As //twhin:prepare has it.")
_NUM_THREADS = flags.DEFINE_integer("num_threads", os.cpu_count(), "As above.")
_ENGINE = flags.DEFINE_string("engine", "duckdb", "As above.")
_MASTER = flags.DEFINE_string("master", "local[*]", "As above.")
_PBG_DIR = flags.DEFINE_string(
    "pbg_dir", None, "Where torchbiggraph is; none: not run."
)
_KEEP = flags.DEFINE_bool("keep", False, "Keeps the prepared graph.")

_EDGES_PER_ENTITY = 20
_ROW_GROUP_EDGES = 1_000_000

CONFIG = """
graph:
  entity_types: [{name: user}, {name: tweet}]
  relations: [{name: favorites, lhs: user, rhs: tweet}]
data:
  raw: {train: {paths: raw.parquet, lhs: user, rhs: tweet, relation: favorites}}
"""


PBG_CONFIG = """
def get_torchbiggraph_config():
    return dict(
        entity_path="{folder}",
        edge_paths=["{folder}/edges"],
        entities=dict(user=dict(num_partitions=1), tweet=dict(num_partitions=1)),
        relations=[dict(name="favorites", lhs="user", rhs="tweet", operator="none")],
        dimension=100,
    )
"""


def generate(path: Path, num_edges: int, ids: str) -> None:
    """Writes edges between random entities; degrees fall as a power of the rank.

    Args:
      path: A parquet file with the columns `user` and `tweet`.
      num_edges: Rows.
      ids: "string" or "int64".
    """
    count = max(1, num_edges // _EDGES_PER_ENTITY)
    columns = []
    for name in ("user", "tweet"):
        # A quarter of the edges goes to 6 % of the entities, and every 20th edge
        # names its entity by turns, so that each entity has an edge.
        skewed = f"CAST(floor(pow(random(), 2) * {count}) AS BIGINT)"
        rank = f"CASE WHEN i % {_EDGES_PER_ENTITY} = 0 THEN i // {_EDGES_PER_ENTITY}"
        rank = f"({rank} ELSE {skewed} END)"
        value = f"({rank} * 2654435761 + 12345) % 1000000007"
        columns.append(
            f"'{name}_' || ({value}) AS {name}"
            if ids == "string"
            else f"{value} AS {name}"
        )
    with duckdb.connect(config={"threads": 1, "memory_limit": "2GB"}) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"COPY (SELECT {', '.join(columns)} FROM range({num_edges}) AS r(i))"
            f" TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP_EDGES})"
        )


def measure(config: Path, output: Path) -> dict[str, Any]:
    """Prepares in a process and returns what it took."""
    root = Path(__file__).resolve().parents[2]
    measured = run_measured(
        [
            sys.executable,
            "-m",
            "twhin.bin.prepare",
            f"--config={config}",
            f"--output_dir={output}",
            f"--memory_limit={_MEMORY_LIMIT.value}",
            f"--num_threads={_NUM_THREADS.value}",
            f"--engine={_ENGINE.value}",
            f"--master={_MASTER.value}",
        ],
        {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
    )
    print(measured.output, file=sys.stderr)
    return {
        "wall_secs": round(measured.wall_secs, 2),
        "peak_resident_bytes": measured.peak_resident_bytes,
        "edges_per_sec": round(_NUM_EDGES.value / measured.wall_secs),
    }


def measure_pbg(raw: Path, work: Path, pbg_dir: str) -> dict[str, Any]:
    """Imports the same edges with PyTorch-BigGraph; writing the text does not count."""
    text, folder = work / "pbg.tsv", work / "pbg"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "edges").mkdir(parents=True)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            f"COPY (SELECT * FROM '{raw}') TO '{text}' (DELIMITER '\t', HEADER false)"
        )
    config = work / "pbg_config.py"
    config.write_text(PBG_CONFIG.format(folder=folder))
    measured = run_measured(
        [
            *(sys.executable, "-m", "torchbiggraph.converters.import_from_tsv"),
            *("--lhs-col=0", "--rhs-col=1", str(config), str(text)),
        ],
        {"PYTHONPATH": os.pathsep.join([pbg_dir, *sys.path])},
    )
    return {
        "pbg_wall_secs": round(measured.wall_secs, 2),
        "pbg_peak_resident_bytes": measured.peak_resident_bytes,
        "pbg_edges_per_sec": round(_NUM_EDGES.value / measured.wall_secs),
    }


def main(argv: list[str]) -> None:
    """Generates, measures and prints."""
    del argv
    work = Path(_WORK.value)
    work.mkdir(parents=True, exist_ok=True)
    name = f"raw-{_NUM_EDGES.value}-{_IDS.value}.parquet"
    if not (work / name).exists():
        generate(work / "raw.partial", _NUM_EDGES.value, _IDS.value)
        (work / "raw.partial").rename(work / name)
    config = work / "config.yaml"
    config.write_text(CONFIG.replace("raw.parquet", name))
    output = work / "output"
    shutil.rmtree(output, ignore_errors=True)
    result = measure(config, output)
    manifest = json.loads((output / "prepared" / "manifest.json").read_text())
    files = [f for f in output.rglob("*") if f.is_file()]
    result |= {
        "num_edges": manifest["splits"]["train"]["num_edges"],
        "num_entities": sum(v["num_ids"] for v in manifest["vocabularies"]),
        "input_bytes": (work / name).stat().st_size,
        "output_bytes": sum(file.stat().st_size for file in files),
        "ids": _IDS.value,
        "engine": _ENGINE.value,
        "memory_limit": _MEMORY_LIMIT.value,
        "num_threads": _NUM_THREADS.value,
        "machine": platform.machine(),
        "num_cores": os.cpu_count(),
        "duckdb": metadata.version("duckdb"),
    }
    if _PBG_DIR.value is not None:
        result |= measure_pbg(work / name, work, _PBG_DIR.value)
    if not _KEEP.value:
        shutil.rmtree(output)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    app.run(main)
