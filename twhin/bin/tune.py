# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Searches for the values of a configuration that give the best embeddings.

Each trial is a run of //twhin:train in OUTPUT_DIR/trials/NUMBER, judged by
`evaluation.best_metric` on the validation edges. The first trial is the
configuration itself. A search that was stopped goes on with the same command;
with a larger --num_trials it goes on after its end. OUTPUT_DIR gets trials.csv,
search.html with plots, and best.yaml, a configuration with the best values; of the
checkpoints those of the best trial stay.

The space is a YAML file that gives fields a range or choices:

    optimizer.learning_rate: {low: 0.01, high: 1, log: true}
    negatives.num_uniform: {low: 100, high: 2000}
    loss.kind: {choices: [softmax, logistic]}
"""

import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from absl import flags

# build: needs //twhin/bin:train
from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.step_bar import StepBar
from twhin.config.resolved_config import ResolvedConfig
from twhin.errors import ConfigError
from twhin.graph.open_graph import PREPARED_FOLDER, open_graph
from twhin.graph.report_table import ReportTable
from twhin.tuning import search_page, trial_table
from twhin.tuning.search import Search
from twhin.tuning.search_space import SearchSpace, configured_values, load_space
from twhin.tuning.trial import Trial, best_first
from twhin.tuning.trial_process import TrialProcess

BEST_FILE = "best.yaml"
TRIALS_FOLDER = "trials"
_CHECKPOINTS_FOLDER = "checkpoints"
_TRAIN = "twhin.bin.train"
_DEFAULT_SPACE = Path(__file__).parent.parent / "configs" / "search" / "default.yaml"
_NUM_SHOWN = 10
_SPACE = flags.DEFINE_string(
    "space",
    None,
    "The search space (YAML); without it twhin/configs/search/default.yaml.",
)
_NUM_TRIALS = flags.DEFINE_integer(
    "num_trials",
    20,
    "Trials over all starts of the search, those that failed included.",
    lower_bound=1,
)
_SEARCH_SEED = flags.DEFINE_integer(
    "search_seed", 0, "The seed of the draws from the space.", lower_bound=0
)
_NPROC_PER_NODE = flags.DEFINE_integer(
    "nproc_per_node", 1, "Ranks of each trial.", lower_bound=1
)


def main(arguments: Sequence[str]) -> None:
    """Searches, and reports."""
    del arguments
    config = run_flags.load_config()
    if run_flags.PRINT_CONFIG.value:
        print(config.text, end="")
        return
    best_metric = config.settings.evaluation.best_metric
    if best_metric is None:
        raise ConfigError(
            "evaluation.best_metric: missing; trials are compared by it, for example"
            " --override=evaluation.best_metric=link_prediction/filtered/mrr"
        )
    metric = f"valid/{best_metric}"
    space_path = _DEFAULT_SPACE if _SPACE.value is None else Path(_SPACE.value)
    space = load_space(space_path, run_flags.config_path())
    # A SIGTERM ends the trial too, which saves its state.
    signal.signal(signal.SIGTERM, _exit)
    folder = run_flags.output_dir()
    subject = f"{config.digest} {metric}"
    with Search(
        folder, space=space, subject=subject, seed=_SEARCH_SEED.value
    ) as search:
        search.begin_with(configured_values(space, config.settings))
        _run(search, config, metric, folder, space)
        _report(search.trials, metric, folder, list(space))


def _run(
    search: Search,
    config: ResolvedConfig,
    metric: str,
    folder: Path,
    space: SearchSpace,
) -> None:
    shared = _prepare(config, folder)
    process = TrialProcess(
        [
            sys.executable,
            "-m",
            _TRAIN,
            f"--nproc_per_node={_NPROC_PER_NODE.value}",
            # Choosing by the test edges, even by eye, would make them training edges.
            "--split=valid",
            *run_flags.config_flags(),
        ],
        metric=metric,
    )

    def evaluate(number: int, overrides: Sequence[str]) -> float:
        run_flags.load_config(*overrides)  # Raises where they do not go together.
        return process.run(
            folder / TRIALS_FOLDER / f"{number:05}",
            [*shared, *overrides],
            kept_files=[search.lock],
        )

    def write(trial: Trial) -> None:
        trials = search.trials
        shown = trial.state if trial.metric is None else f"{metric} {trial.metric:.5f}"
        print(f"Trial {trial.number}: {shown}. {trial.reason}".strip(), flush=True)
        trial_table.write_trials(folder / trial_table.TRIALS_FILE, trials, list(space))
        _drop_checkpoints(trials, folder / TRIALS_FOLDER)
        page = folder / search_page.PAGE_FILE
        search_page.write_page(page, trials, space, metric=metric)

    search.run(evaluate, num_trials=_NUM_TRIALS.value, on_trial=write)


def _prepare(config: ResolvedConfig, folder: Path) -> list[str]:
    """Prepares raw edges once; returns the overrides by which trials find them."""
    data = config.settings.data
    if data.raw is None and data.demo is None:
        return []
    with StepBar() as bar:
        open_graph(config.settings, folder, progress=bar)
    return [f"data.prepared={json.dumps(str(folder / PREPARED_FOLDER))}"]


def _drop_checkpoints(trials: Sequence[Trial], folder: Path) -> None:
    """Deletes the tables of all complete trials but the best: they are large."""
    for trial in best_first(trials)[1:]:
        checkpoints = folder / f"{trial.number:05}" / _CHECKPOINTS_FOLDER
        shutil.rmtree(checkpoints, ignore_errors=True)


def _report(
    trials: Sequence[Trial], metric: str, folder: Path, fields: Sequence[str]
) -> None:
    ranked = best_first(trials)
    if not ranked:
        return
    rows = [
        (
            str(trial.number),
            f"{trial.metric:.5f}",
            f"{trial.secs:.0f}",
            *(trial_table.plain_value(trial.values[field]) for field in fields),
        )
        for trial in ranked[:_NUM_SHOWN]
    ]
    header = ("trial", metric, "secs", *fields)
    title = f"The best of {len(trials)} trials"
    print(ReportTable(title=title, header=header, rows=tuple(rows)).render())
    best = folder / BEST_FILE
    overrides = [f"{name}={value}" for name, value in ranked[0].values.items()]
    best.write_text(run_flags.load_config(*overrides).text, encoding="utf-8")
    print(f"\nTrials:  {folder / trial_table.TRIALS_FILE}")
    print(f"Plots:   {folder / search_page.PAGE_FILE}")
    print(f"Run:     {folder / TRIALS_FOLDER / f'{ranked[0].number:05}'}")
    print("\nNext: train with the best values, in a folder of its own:")
    print(f"  ./bazelw run //twhin:train -- --config={best} --output_dir={folder}_best")


def _exit(signal_number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    command.run(main)
