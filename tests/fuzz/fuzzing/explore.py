"""Many drawn inputs for one target, and the smallest one for each fault that is new."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from fuzzing.meter import Verdict, judge
from fuzzing.target import Target

_SHRINK_SECONDS = 8.0
_SHOWN = 1500


@dataclass
class Fault:
    """What went wrong, how often, and the smallest input that shows it (a pickle)."""

    how: str
    signature: str
    said: str
    trace: str
    times: int = 0
    value: bytes = b""
    shown: str = ""

    def keep(self, value: bytes) -> None:
        if not self.value or len(value) < len(self.value):
            self.value, self.shown = value, show(pickle.loads(value))


@dataclass
class Outcome:
    """Figures of one target."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    growth: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)

    def add(self, verdict: Verdict, value: bytes) -> None:
        self.inputs += 1
        self.accepted += verdict.how == "accepted"
        self.refused += verdict.how == "refused"
        self.seconds += verdict.seconds
        self.slowest, self.growth = max(self.slowest, verdict.seconds), max(self.growth, verdict.growth)
        if verdict.fault:
            self.fault(verdict.how, verdict.signature, verdict.said, verdict.trace, value)

    def fault(self, how: str, signature: str, said: str, trace: str, value: bytes) -> None:
        found = self.faults.setdefault(signature, Fault(how, signature, said, trace))
        found.times += 1
        found.keep(value)

    def merge(self, other: Outcome) -> None:
        for name in ("inputs", "accepted", "refused", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest, self.growth = max(self.slowest, other.slowest), max(self.growth, other.growth)
        for signature, fault in other.faults.items():
            mine = self.faults.setdefault(signature, Fault(fault.how, signature, fault.said, fault.trace))
            mine.times += fault.times
            mine.keep(fault.value)

    def counted(self, *hows: str) -> int:
        """How many inputs ended so."""
        return sum(fault.times for fault in self.faults.values() if fault.how in hows)

    def numbers(self) -> dict[str, Any]:
        """As JSON-able data, the faults without their pickles."""
        plain = {k: v for k, v in asdict(self).items() if k != "faults"}
        faults = [{k: v for k, v in asdict(f).items() if k != "value"} for f in self.faults.values()]
        return {**plain, "foreign": self.counted("foreign", "no sentence", "died"), "faults": faults}


def show(value: Any) -> str:
    """A value for people; a long one without its middle."""
    text = repr(value)
    half = _SHOWN // 2
    return text if len(text) <= _SHOWN else f"{text[:half]} […{len(text):,} characters…] {text[-half:]}"


def explore(
    target: Target,
    *,
    seed: int,
    count: int,
    known: Iterable[str] = (),
    skip: Collection[bytes] = (),
    before: Callable[[bytes], None] = lambda _: None,
) -> Outcome:
    """Draw `count` inputs and judge each.

    Args:
        target: what is fuzzed; prepared.
        seed: of the draw: the same seed draws the same inputs.
        count: how many.
        known: signatures of faults that need not be made smaller again.
        skip: pickled inputs that are known to end the process.
        before: told each input, pickled, before it is run.
    """
    outcome, strategy = Outcome(), target.inputs()

    def one(value: Any) -> None:
        pickled = pickle.dumps(value)
        if pickled in skip:
            return
        before(pickled)
        # once seen to be slow, a target need not prove it again
        doubt = not any(fault.how in ("slow", "memory") for fault in outcome.faults.values())
        outcome.add(judge(target, value, doubt=doubt), pickled)

    _draw(one, strategy, seed=seed, count=count)
    for signature in [s for s, f in outcome.faults.items() if f.how in ("foreign", "no sentence") and s not in known]:
        smaller = _smallest(target, signature, skip, seed=seed, count=count, before=before)
        if smaller is not None:
            outcome.faults[signature].value = b""
            outcome.faults[signature].keep(smaller)
    return outcome


class _Same(Exception):
    """The fault that is looked for."""


def _smallest(
    target: Target,
    signature: str,
    skip: Collection[bytes],
    *,
    seed: int,
    count: int,
    before: Callable[[bytes], None],
) -> bytes | None:
    """The smallest input that Hypothesis finds within some seconds for a fault that these draws have shown."""
    found: list[bytes] = []
    until: list[float] = []

    def one(value: Any) -> None:
        pickled = pickle.dumps(value)
        if pickled in skip or (until and time.monotonic() > until[0]):
            return
        before(pickled)
        if judge(target, value).signature == signature:
            if not until:
                until.append(time.monotonic() + _SHRINK_SECONDS)
            found.append(pickled)
            raise _Same

    try:
        _draw(one, target.inputs(), seed=seed, count=count, shrink=True)
    except BaseException as error:  # of any kind: Hypothesis says "flaky" where the time was over
        if isinstance(error, KeyboardInterrupt):
            raise
    return min(reversed(found), key=len) if found else None  # of equals the last, which is the simplest


def _draw(one: Callable[[Any], None], strategy: Any, *, seed: int, count: int, shrink: bool = False) -> None:
    """Hypothesis, without its example database and with our own idea of what takes too long."""
    quiet = settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
    )
    hypothesis.seed(seed)(quiet(given(strategy)(one)))()
