"""Issue 4, Show 4: `compare` finds differences that are there, and of a model with itself no more than it should.

    python tests/checks/compare_alarms.py [--runs 40] [--users 150] [--resamplings 1000]

Finds: simulated:0.3 against simulated:0.8, and two versions of scoter/follow, one without the history, each with p.
False alarms: `--runs` runs of simulated:0.5 with seeds of their own (separate samples); every resampling takes two of
them and a random half of the users, and tests as `whyrec compare` does. Exit 0 if both differences have p < .05 and the
share of false alarms at .05 lies in 3-7 %.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import prompts  # noqa: E402
from evals.statistics.aggregate import compare  # noqa: E402
from graphs.run import How  # noqa: E402
from graphs.workflow import read_options, workflow  # noqa: E402
from whyrec.data import open_data  # noqa: E402
from whyrec.settings import read_settings  # noqa: E402
from whyrec.workbench.compare import Arm, Comparison, Subject, arms, held_against, run_arm  # noqa: E402

DRAWS = 1_000  # sign flips of a test; `whyrec compare` makes 10,000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--users", type=int, default=150)
    parser.add_argument("--resamplings", type=int, default=1_000)
    asked = parser.parse_args()
    began = time.process_time()
    folder = Path(tempfile.mkdtemp(prefix="whyrec-compare-"))
    data = f"world:users={asked.users},items=200,seed=11"

    def subject(graph: str, **options: str) -> tuple[Subject, How]:
        settings = read_settings(home=folder / "home")
        opened = open_data(data, settings=settings)
        given = read_options(workflow(graph), options)
        return Subject(graph, given, opened.data), How(settings=settings, world=opened.world)

    what, how = subject("pulse.choose", selector="none")
    models = _told(
        "simulated:0.3 against simulated:0.8", _ran(what, how, arms(["simulated:0.3", "simulated:0.8"], [], []))
    )
    generating = subject("scoter.generate", template="two_step", split="test")
    files = [_copy(folder / f"{name}.md", blind=name == "blind") for name in ("blind", "seeing")]
    words = _told(
        "a prompt without the history against one with it", _ran(*generating, arms(["simulated:0.8"], files, []))
    )
    share = _false_alarms(what, how, asked.runs, asked.resamplings)
    print(f"{time.process_time() - began:.0f} CPU s")
    return int(not (models < 0.05 and words < 0.05 and 0.03 <= share <= 0.07))


def _ran(what: Subject, how: How, compared: list[Arm]) -> Comparison:
    return held_against([run_arm(what, arm, how)[0] for arm in compared])


def _told(name: str, found: Comparison) -> float:
    for row in found.rows:
        if row.outcome and (test := row.tests[1]) is not None:
            interval = f"[{test.low:+.4f}, {test.high:+.4f}]"
            print(f"{name}: {row.name} {test.difference:+.4f} {interval}, p {test.p:.4f}, n {test.n}")
    p = found.rows[0].p[1]
    assert p is not None
    return p


def _false_alarms(what: Subject, how: How, runs: int, resamplings: int) -> float:
    values = []
    for seed in range(runs):
        ran, _ = run_arm(what, Arm(f"seed {seed}", "simulated:0.5", (), seed), how)
        values.append(np.array([ran.worth[0].values[key] for key in sorted(ran.worth[0].values)]))
    table = np.stack(values)
    print(
        f"a model with itself: {runs} runs of {table.shape[1]} users, {len(np.unique(table, axis=0))} of them different"
    )
    rng = np.random.default_rng(0)
    alarms = 0
    for number in range(resamplings):
        one, other = rng.choice(runs, 2, replace=False)
        users = rng.choice(table.shape[1], table.shape[1] // 2, replace=False)
        alarms += compare(table[one, users], table[other, users], seed=number, draws=DRAWS).p < 0.05
    print(f"false alarms at .05: {alarms} of {resamplings} resamplings, {alarms / resamplings:.1%}")
    return alarms / resamplings


def _copy(path: Path, *, blind: bool) -> str:
    """An edited copy of scoter/follow, with the history left out of it or only a word changed."""
    text = prompts.load("scoter/follow").text
    if blind:
        text = re.sub(r"^  history: .*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"{{ history.*?}}", "1. (not shown)", text)
    path.write_text(text.replace("# system\n", "# system\nRead well. ", 1))
    return str(path)


if __name__ == "__main__":
    raise SystemExit(main())
