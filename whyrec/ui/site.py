"""What every page needs: the home, the door, the templates, and what is dear to make and therefore kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from whyrec.errors import UnknownNameError
from whyrec.redaction import KNOWN
from whyrec.runs import RunReader, open_run
from whyrec.runs.folders import run_ids
from whyrec.settings import Settings
from whyrec.ui.safety import Door
from whyrec.ui.shown import FILTERS
from whyrec.ui.started import Processes
from whyrec.ui.tally import Tallies
from whyrec.version import __version__

if TYPE_CHECKING:
    from whyrec.workbench.path import Workplace

_WORKPLACES = 2  # each holds a data set
_THEMES = ("light", "dark")


@dataclass(frozen=True)
class Measure:
    """What a run's results are worth by one measure: its mean over so many examples; which way is better."""

    name: str
    mean: float
    n: int
    better: str


class Site:
    """One home behind one door.

    Args:
        settings: home and data folders.
        door: who may ask.
    """

    def __init__(self, settings: Settings, door: Door) -> None:
        KNOWN.learn_environment()
        self.settings, self.door, self.tallies = settings, door, Tallies()
        self.processes = Processes(settings)
        self.projects = _projects_results()
        self.worth: dict[str, tuple[str, tuple[Measure, ...]]] = {}
        self.building: dict[str, tuple[int, int]] = {}
        self._workplaces: OrderedDict[str, Workplace] = OrderedDict()
        self._working = threading.Lock()
        self._checked: set[str] = set()
        self._templates = _environment()

    def run_ids(self) -> list[str]:
        """All runs of the home."""
        return run_ids(self.settings.home)

    @contextmanager
    def run(self, run_id: str) -> Iterator[RunReader]:
        """A run, opened for reading. The id must be one of the home's, so that a URL never names a folder.

        Raises:
            UnknownNameError: there is no such run.
        """
        if run_id not in self.run_ids():
            raise UnknownNameError("run", run_id, self.run_ids()[:20], hint="The list of runs has them all.")
        if run_id in self._checked:
            run = RunReader(self.settings.home / "runs" / run_id)
        else:
            run = open_run(self.settings.home, run_id)
            self._checked.add(run_id)
        try:
            yield run
        finally:
            run.close()

    @contextmanager
    def workplace(self, run_id: str) -> Iterator[Workplace]:
        """A run's workflow set up again, for one page at a time.

        Raises:
            UsageError: the data are not those of the run any more.
        """
        from whyrec.workbench.path import Workplace

        with self._working:
            if run_id not in self._workplaces:
                with self.run(run_id):  # it is there, and its file is up to date
                    kept = RunReader(self.settings.home / "runs" / run_id)
                self._workplaces[run_id] = Workplace(kept, self.settings)
            self._workplaces.move_to_end(run_id)
            while len(self._workplaces) > _WORKPLACES:
                self._workplaces.popitem(last=False)[1].run.close()
            yield self._workplaces[run_id]

    def page(
        self, request: Request, template: str, *, status: int = 200, live: bool = False, **values: Any
    ) -> Response:
        """A page from a template; everything put into it is escaped. One that is live is fetched again and again."""
        theme = request.cookies.get("whyrec_theme", "")
        text = self._templates.get_template(template).render(
            **values,
            live=live,
            version=__version__,
            home=str(self.settings.home),
            theme=theme if theme in _THEMES else "",
            acting=self.door.acting,
            here=request.url.path,
        )
        return HTMLResponse(KNOWN.cut(text), status)


def site_of(request: Request) -> Site:
    """The site a request came to."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def link(*parts: object, **query: object) -> str:
    """An address of ours: parts quoted, empty query values left out. An example's key keeps its slash."""
    path = "/" + "/".join(quote(str(part), safe="/:" if i == len(parts) - 1 else "") for i, part in enumerate(parts))
    given = {name: value for name, value in query.items() if value not in ("", None)}
    return f"{path}?{urlencode(given)}" if given else path


def _projects_results() -> Path:
    """The folder of the project's own tables: in the wheel they lie inside evals, in a checkout in docs/results.

    Nowhere else is looked for them: a folder docs beside an installed package, or in the current one, is another's.
    """
    installed = Path(str(files("evals"))) / "project_results"
    return installed if installed.is_dir() else installed.parents[1] / "docs" / "results"


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    found.globals["link"] = link
    return found


def _source(name: str) -> str:
    return (files("whyrec.ui") / "templates" / name).read_text(encoding="utf-8")
