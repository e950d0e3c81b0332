"""Does anything in a run hold what it may not see? Prompts, answers' repairs, results, artefacts; and secrets.

    audit(run, settings) -> Report(findings, notes, counts)

What may be seen where is declared beside the graphs, who may see what follows from the data (scopes.py), and
both are held against everything the run recorded, one call and one result at a time, so that a run of any length fits.
An answer that names a target nobody showed is a guess, and a note: models may guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphs.workflow import Source
from whyrec.data import open_again
from whyrec.errors import UsageError
from whyrec.runs import RunReader
from whyrec.settings import Settings
from whyrec.workbench.audit.artefacts import Artefacts
from whyrec.workbench.audit.calls import Answers, CallAudit
from whyrec.workbench.audit.findings import Finding, Findings
from whyrec.workbench.audit.places import Places
from whyrec.workbench.audit.results import ResultAudit, check_steps
from whyrec.workbench.audit.scopes import Scopes
from whyrec.workbench.audit.secrets import Secrets, check_secrets

Progress = Callable[[str, int, int], None]
_TICK = 50


@dataclass(frozen=True)
class Report:
    """What an audit came to.

    Attributes:
        run: its id.
        findings: what should not be there.
        more: findings beyond those listed.
        notes: what is worth knowing and no leak: guesses, what is gone, prompts that nobody declares.
        counts: what was checked -> how much.
    """

    run: str
    findings: tuple[Finding, ...]
    more: int
    notes: tuple[Finding, ...]
    counts: dict[str, int]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def audit(run: RunReader, settings: Settings, *, progress: Progress | None = None) -> Report:
    """Check a run.

    Args:
        run: the run; may still be written.
        settings: home and data folders; the environment's keys are looked for.
        progress: told (what, done, all) now and then.

    Raises:
        UsageError: the run's data are not there, or not what they were.
    """
    info, findings = run.info(), Findings()
    tell = progress or (lambda what, done, all_: None)
    opened = open_again(info["data"], info.get("data_path", ""), settings=settings)
    if opened.data.digest != info["data_digest"]:
        raise UsageError(
            f"{info['data']} is not what it was when {run.id} was made (its digest is {opened.data.digest}, then "
            f"{info['data_digest']}), so nobody can say what that run was allowed to see."
        )
    source = Source(opened.data, settings.home)
    artefacts = Artefacts(run, source, findings)
    tell("earlier runs and artefacts", 0, 1)
    artefacts.check()
    scopes = Scopes(artefacts.graph, artefacts.options, source)
    anybody = "placebo" in artefacts.options.values() or artefacts.options.get("whose") == "another"
    places, answers = Places(scopes, artefacts.described), Answers(run, artefacts.texts, anybody=anybody)
    strict = artefacts.options.get("time", "strict") == "strict"
    _calls(run, CallAudit(run, scopes=scopes, places=places, findings=findings, answers=answers), strict, tell)
    results = ResultAudit(artefacts.graph, scopes=scopes, places=places, findings=findings, answers=answers)
    results.strict = strict
    counts = run.counts()
    for done, result in enumerate(run.results(), 1):
        results.check(result)
        if done % _TICK == 0:
            tell("results", done, counts.done + counts.failed)
    results.finish()
    check_steps(run, scopes, findings, info["data_digest"])
    check_secrets(run, Secrets(settings), findings, home=settings.home, progress=lambda done: tell("secrets", done, 0))
    return Report(run.id, tuple(findings.found), findings.more, tuple(findings.notes), dict(findings.counts))


def _calls(run: RunReader, calls: CallAudit, strict: bool, tell: Progress) -> None:
    calls.strict = strict
    last = run.counts().calls
    for number in range(1, last + 1):
        calls.check(number)
        if number % _TICK == 0:
            tell("calls", number, last)
