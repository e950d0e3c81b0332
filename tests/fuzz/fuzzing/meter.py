"""One input, held to account: how it ended, its CPU seconds, and how far memory grew.

Memory is the peak of what is resident, reset before each input (Linux: /proc/self/clear_refs), against what was
resident before. An input over a bound is run again at once and counts only if it is over it again, since the first
call of a place may import things.
"""

from __future__ import annotations

import contextlib
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzzing.target import Target, ours

ROOT = Path(__file__).resolve().parents[3]
CPU_SECONDS, BYTES = 2.0, 1 << 30
_ALARM_SECONDS = 2 * CPU_SECONDS  # Python code is stopped there; what does not listen, the pool ends
_LONGEST = 20_000  # characters of a sentence
_OURS = (f"{ROOT}/whyrec/", *(f"{ROOT}/{floor}/" for floor in ("agents", "evals", "graphs", "prompts", "rec_models")))
_PAGE = 4096


class Overdue(BaseException):
    """The input took too much CPU time. No `Exception`, so that nobody swallows it."""


@dataclass(frozen=True)
class Verdict:
    """How one input ended.

    Attributes:
        how: "accepted", "refused", or a fault: "foreign", "slow", "memory", "no sentence".
        seconds: of CPU.
        growth: bytes.
        signature: what makes two faults the same: the exception's type and the line of ours it came through.
        said: the exception, or the figure that is over its bound.
        trace: the last lines of the traceback.
    """

    how: str
    seconds: float
    growth: int
    signature: str = ""
    said: str = ""
    trace: str = ""

    @property
    def fault(self) -> bool:
        return self.how not in ("accepted", "refused")


def judge(target: Target, value: object, *, doubt: bool = True) -> Verdict:
    """Run a target on a value; without doubt, one that is over a bound is not run again."""
    found = _once(target, value)
    if doubt and found.how in ("slow", "memory"):
        again = _once(target, value)
        return again if again.how != found.how else max(found, again, key=lambda one: one.seconds)
    return found


def _once(target: Target, value: object) -> Verdict:
    before = _resident()
    Path("/proc/self/clear_refs").write_text("5")
    start, how, error = time.process_time(), "accepted", None
    try:
        with _alarm():
            target.run(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except Overdue as late:
        how, error = "slow", late
    except (*ours(), *target.ours) as refusal:
        how, error = ("refused" if _is_sentence(refusal) else "no sentence"), refusal
    except BaseException as foreign:  # a Rust panic is no Exception
        how, error = "foreign", foreign
    seconds, growth = time.process_time() - start, max(0, _peak() - before)
    if how in ("accepted", "refused") and seconds > CPU_SECONDS:
        return Verdict("slow", seconds, growth, f"{target.name}: slow", f"{seconds:.1f} CPU seconds")
    if how != "foreign" and growth > BYTES:
        return Verdict("memory", seconds, growth, f"{target.name}: memory", f"{growth >> 20:,} MiB more")
    if error is None or how == "refused":
        return Verdict(how, seconds, growth)
    said = f"{type(error).__module__}.{type(error).__qualname__}: {error}"[:600].encode("utf-8", "replace").decode()
    return Verdict(how, seconds, growth, _signature(target, how, error), said, _tail(error))


def _is_sentence(error: BaseException) -> bool:
    said = str(error).strip()
    return 3 < len(said) <= _LONGEST and " " in said


def _signature(target: Target, how: str, error: BaseException) -> str:
    if how == "slow":
        return f"{target.name}: slow"
    behind = error.__cause__ if isinstance(error, AssertionError) and error.__cause__ else None
    why = f" for {type(behind).__name__} at {_where(behind)}" if behind else ""
    return f"{type(error).__name__} at {_where(error)}{why}"


def _where(error: BaseException) -> str:
    """The innermost line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if frame.filename.startswith(_OURS)] or frames[-1:]
    return " ".join(
        f"{Path(f.filename).relative_to(ROOT)}:{f.lineno} {f.name}"
        if f.filename.startswith(str(ROOT))
        else f"{Path(f.filename).name}:{f.lineno}"
        for f in mine[-1:]
    )


def _tail(error: BaseException) -> str:
    lines = traceback.format_tb(error.__traceback__)[-5:]
    return "".join(lines).replace(f"{ROOT}/", "").encode("utf-8", "replace").decode()[-3000:]


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def late(_signal: int, _frame: object) -> None:
        raise Overdue(f"stopped after {_ALARM_SECONDS:g} CPU seconds")

    before = signal.signal(signal.SIGPROF, late)
    # again and again: what is raised inside a destructor or a callback of the collector is ignored
    signal.setitimer(signal.ITIMER_PROF, _ALARM_SECONDS, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    at = status.index("VmHWM:") + 6
    return int(status[at : status.index("kB", at)]) * 1024
