"""Runs started from the page: processes of their own, which outlive it, can be watched, and can be stopped.

Each is `whyrec run …` in a session of its own. What was started stands in a file of `$WHYREC_HOME/started`, its output
in another beside it, so that another server over the same home sees it too. A process is known again by its number and
the moment it began: a number that was given to another process since is never signalled.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from whyrec import plugins
from whyrec.errors import UnknownNameError, UsageError
from whyrec.redaction import redact
from whyrec.settings import Settings
from whyrec.sqlite import make_folder

_FOLDER = "started"
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{1,9}")
_TAIL = 8_000  # bytes of output that are shown
_ESTIMATE_S = 300
_OPTION = re.compile(r"[a-z][a-z0-9_]*=[^\n]*")


@dataclass(frozen=True)
class Wish:
    """What is to be run.

    Attributes:
        graph, data, llm: as the command line names them.
        users: the first so many; None for all.
        options: "key=value" of the graph.
        budget_calls, budget_usd: where it stops; None for no such limit.
    """

    graph: str
    data: str
    llm: str
    users: int | None = None
    options: tuple[str, ...] = ()
    budget_calls: int | None = None
    budget_usd: float | None = None

    def arguments(self, *, budgets: bool = True) -> list[str]:
        """For `whyrec run` or `whyrec estimate`. Each value is glued to its option, so that none is taken for one."""
        said = [self.graph, f"--data={self.data}", f"--llm={self.llm}"]
        said += [f"--users={self.users}"] if self.users is not None else []
        said += [f"--option={one}" for one in self.options]
        if budgets and self.budget_calls is not None:
            said.append(f"--budget-calls={self.budget_calls}")
        if budgets and self.budget_usd is not None:
            said.append(f"--budget-usd={self.budget_usd:g}")
        return said


@dataclass(frozen=True)
class Started:
    """A run that was started here: its name, its command, its process with what `_began` said of it, unix seconds."""

    name: str
    command: str
    pid: int
    began: str
    at: float


class Processes:
    """What was started in a home.

    Args:
        settings: home and data folders, handed on to what is started.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._folder = settings, settings.home / _FOLDER
        self._mine: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def estimate(self, wish: Wish) -> Mapping[str, object]:
        """What a wish would take, as `whyrec estimate --json` says it.

        Raises:
            UsageError: it cannot be run, and why; or nobody knew within some minutes.
        """
        command = [*_whyrec(), "estimate", *wish.arguments(budgets=False), "--json"]
        try:
            done = subprocess.run(
                command, env=self._environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=_ESTIMATE_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UsageError(f"The estimate took longer than {_ESTIMATE_S} seconds. Ask for fewer users.") from None
        if done.returncode:
            raise UsageError(redact(done.stderr.strip().removeprefix("whyrec: ")) or "The estimate failed.")
        return dict(json.loads(done.stdout))

    def start(self, wish: Wish) -> Started:
        """Start a run that goes on whatever becomes of the page.

        Raises:
            UsageError: it has no budget, or no process could be started.
        """
        if wish.budget_calls is None and wish.budget_usd is None:
            raise UsageError("A run that is started here needs a budget: so many calls, or so many US dollars.")
        make_folder(self._folder)
        with self._lock:
            number = len(list(self._folder.glob("*.json"))) + 1
            name = f"{time.strftime('%Y%m%d-%H%M%S')}-{number}"
            command = [*_whyrec(), "run", *wish.arguments(), "--yes"]
            try:
                with (self._folder / f"{name}.log").open("xb") as log:
                    process = subprocess.Popen(
                        command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log,
                        stderr=subprocess.STDOUT, start_new_session=True,
                    )  # fmt: skip
            except OSError as error:
                raise UsageError(f"The run could not be started ({error}).") from None
            self._mine[process.pid] = process
            shown = redact(" ".join(["whyrec", "run", *wish.arguments()]))
            one = Started(name, shown, process.pid, _began(process.pid), time.time())
            (self._folder / f"{name}.json").write_text(json.dumps(asdict(one)), encoding="utf-8")
        return one

    def all(self) -> list[Started]:
        """Everything that was started here, the latest first; a damaged record is left out."""
        found = []
        for file in sorted(self._folder.glob("*.json"), reverse=True):
            try:
                found.append(Started(**json.loads(file.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                continue
        return found

    def one(self, name: str) -> Started:
        """What was started under this name.

        Raises:
            UnknownNameError: nothing was.
        """
        for started in self.all() if _NAME.fullmatch(name) else ():
            if started.name == name:
                return started
        raise UnknownNameError("run started here", name, [one.name for one in self.all()][:10])

    def alive(self, started: Started) -> bool:
        """Whether its process is still there, and still the one that was started."""
        if (mine := self._mine.get(started.pid)) is not None and mine.poll() is not None:
            return False
        began = _began(started.pid)
        return bool(began) and began == started.began

    def stop(self, started: Started) -> bool:
        """Ask it to stop as Ctrl-C does, so that it ends in order and can go on later; False where it had ended."""
        if not self.alive(started):
            return False
        os.kill(started.pid, signal.SIGINT)
        return True

    def output(self, started: Started) -> str:
        """The end of what it printed."""
        try:
            with (self._folder / f"{started.name}.log").open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - _TAIL, 0))
                return redact(log.read().decode("utf-8", errors="replace"))
        except OSError:
            return ""

    def _environment(self) -> dict[str, str]:
        """Ours, with this home, these data folders and these plug-ins."""
        data = os.pathsep.join(str(path.absolute()) for path in self._settings.data)
        said = {"WHYREC_HOME": str(self._settings.home), "WHYREC_DATA": data, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        plugged = os.pathsep.join(plugins.files())
        return {**os.environ, **said, **({"WHYREC_PLUGINS": plugged} if plugged else {})}


def read_wish(form: Mapping[str, str], graphs: Sequence[str]) -> Wish:
    """What a form asks for.

    Raises:
        UnknownNameError: no such graph.
        UsageError: a field that is missing or is not what it should be.
    """
    graph = form.get("graph", "").strip()
    if graph not in graphs:
        raise UnknownNameError("graph", graph, graphs)
    data, llm = (_line(form, name) for name in ("data", "llm"))
    options = tuple(line.strip() for line in form.get("options", "").splitlines() if line.strip())
    for line in options:
        if not _OPTION.fullmatch(line):
            raise UsageError(f"The option {line!r} is not of the form key=value.")
    return Wish(
        graph, data, llm, _number(form, "users", least=1), options,
        _number(form, "budget_calls", least=0), _dollars(form.get("budget_usd", "").strip()),
    )  # fmt: skip


def _line(form: Mapping[str, str], name: str) -> str:
    said = form.get(name, "").strip()
    if not said or not said.isprintable() or len(said) > 2000:
        raise UsageError(f"Say in one line which {'model' if name == 'llm' else name} is to be used.")
    return said


def _number(form: Mapping[str, str], name: str, *, least: int) -> int | None:
    said = form.get(name, "").strip().replace(",", "")
    if not said:
        return None
    if not (said.isdecimal() and len(said) < 12 and int(said) >= least):
        raise UsageError(f"{name.replace('_', ' ')} is a whole number of at least {least}, not {said!r}.")
    return int(said)


def _dollars(said: str) -> float | None:
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"A budget is a number of US dollars, not {said!r}.")
    return value


def _whyrec() -> list[str]:
    return [sys.executable, "-m", "whyrec"]


def _began(pid: int) -> str:
    """When a process began, in words of this system; "" where it is not there (or is only waiting to be buried)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return _began_elsewhere(pid)
    return "" if fields[0] == "Z" else fields[19]


def _began_elsewhere(pid: int) -> str:
    """As `_began`, where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return ""
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return said.stdout.strip()
