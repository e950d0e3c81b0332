"""Which users paths are mined from, and which fresh ones a template is tried on; never the same.

Both are drawn by seed from all users of the split; `--users` says how many at most. Where an earlier run has the
chains, its users are mined, and the fresh ones are drawn from those it does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphs.workflow import Source, spread
from whyrec.data.some import at_most
from whyrec.data.split import SplitView
from whyrec.errors import UsageError
from whyrec.runs import RunReader


@dataclass(frozen=True)
class DrawnUsers:
    """Dense user indices: whose chains are mined, and who is fresh."""

    mined: npt.NDArray[np.int64]
    fresh: npt.NDArray[np.int64]

    def rehearsal(self, view: SplitView, most: int) -> DrawnUsers:
        """A few of either, with histories of all lengths, for an estimate's dry run."""
        few = [users[spread(_lengths(view, users), most)] for users in (self.mined, self.fresh)]
        return DrawnUsers(*few)


def draw_users(source: Source, view: SplitView, options: Any, run: RunReader | None) -> DrawnUsers:
    """Draw users under the options `sample`, `fresh` and `seed`.

    Raises:
        UsageError: there are not enough users.
    """
    rng = np.random.default_rng(options.seed)
    if run is not None:
        return _beside(run, view, rng, options.fresh)
    most = min(len(view.users), at_most(source.users) or len(view.users))
    fresh = min(options.fresh, most // 3)
    mined = min(options.sample, most - fresh)
    if mined < 2 or fresh < 1:
        raise UsageError(
            f"scoter.mine needs at least 2 users to mine and 1 fresh one, but {source.corpus.name} has {most} "
            f"with a {view.split} target here, and options are sample={options.sample} and fresh={options.fresh}."
        )
    # from all users, however many are asked for: who is drawn follows from the options alone, the run's identity
    drawn = rng.permutation(view.users)[: mined + fresh]
    return DrawnUsers(np.sort(drawn[:mined]), np.sort(drawn[mined:]))


def _lengths(view: SplitView, users: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.array([len(view.history(int(user))) for user in users], dtype=np.int64)


def _beside(run: RunReader, view: SplitView, rng: np.random.Generator, wanted: int) -> DrawnUsers:
    index = view.corpus.user_index
    done = {index[r.user] for r in run.results("done") if r.split == view.split and r.user in index}
    known = np.array(sorted(done), dtype=np.int64)
    others = np.setdiff1d(view.users, known)
    if len(known) < 2 or not len(others) or wanted < 1:
        raise UsageError(
            f"Run {run.id} has chains of {len(known)} of the {len(view.users)} users with a {view.split} target, and "
            f"fresh={wanted}. Mining needs at least 2 with chains and 1 without: run {run.info()['graph']} on this "
            f"data and split with fewer --users, and name that run."
        )
    return DrawnUsers(known, np.sort(rng.permutation(others)[:wanted]))
