"""The prompts: their texts, the versions that runs used, how two versions differ, and one filled for a chosen user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

import prompts as ours
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Message
from whyrec.trace.words import compare
from whyrec.ui.site import Site, site_of


@dataclass
class Version:
    """A version of a prompt: its digest, its text, whether its file reads so now, and the runs that used it."""

    digest: str
    text: str
    current: bool = False
    runs: list[str] = field(default_factory=list)


def prompts(request: Request) -> Response:
    """Every prompt of the house, and those that only runs still know."""
    site = site_of(request)
    used = _used(site)
    found = [ours.load(name) for name in ours.names()]
    gone = sorted(used.keys() - {prompt.name for prompt in found})
    counts = {name: (len(versions), sum(len(v.runs) for v in versions.values())) for name, versions in used.items()}
    return site.page(request, "prompts.html", prompts=found, counts=counts, gone=gone)


def prompt(request: Request) -> Response:
    """One prompt."""
    site, given, name = site_of(request), request.query_params, request.path_params["name"]
    versions = _versions(site, name)
    shown = _version(versions, name, given.get("version", ""))
    against = _version(versions, name, given["against"]) if given.get("against") else None
    messages: Sequence[Message] = ()
    problem = ""
    if user := given.get("user", "").strip():
        try:
            messages = _rendered(site, shown.text, user, given.get("data", "").strip(), given.get("split", "valid"))
        except (UsageError, UnknownNameError) as error:
            problem = str(error)
    pieces = compare(against.text, shown.text) if against else []
    return site.page(
        request, "prompt.html", name=name, versions=versions, shown=shown, against=against, pieces_found=pieces,
        messages=messages, problem=problem, user=user, data=given.get("data", "") or _some_data(shown, site),
        split=given.get("split", "valid"), prompt=ours.parse(shown.text, where=name),
    )  # fmt: skip


def _used(site: Site) -> dict[str, dict[str, Version]]:
    """Name -> digest -> version, of all runs."""
    found: dict[str, dict[str, Version]] = {}
    for run_id in site.run_ids():
        try:
            with site.run(run_id) as run:
                rows = run.versions()
        except UsageError:
            continue  # the list of runs says what is wrong with it
        for name, digest, text in rows:
            found.setdefault(name, {}).setdefault(digest, Version(digest, text)).runs.append(run_id)
    return found


def _versions(site: Site, name: str) -> list[Version]:
    """The versions of a prompt, that of its file first.

    Raises:
        UnknownNameError: neither the house nor a run knows it.
    """
    used = _used(site)
    known = set(ours.names())
    if name not in known and name not in used:
        raise UnknownNameError("prompt", name, known)
    versions = used.get(name, {})
    if name in known:
        now = ours.load(name)
        versions.setdefault(now.digest, Version(now.digest, now.text)).current = True
    return sorted(versions.values(), key=lambda version: (not version.current, -len(version.runs)))


def _version(versions: list[Version], name: str, digest: str) -> Version:
    """The version meant by the beginning of its digest; the first without one."""
    meant = [version for version in versions if version.digest.startswith(digest)]
    if not meant or (digest and len(meant) > 1):
        raise UnknownNameError(f"version of {name}", digest, [version.digest for version in versions])
    return meant[0]


def _rendered(site: Site, text: str, user: str, data: str, split: str) -> Sequence[Message]:
    """With data that runs were made over: whoever can make a browser open an address should not make us load any."""
    from whyrec.workbench.rendering import rendered

    if data not in (known := {"world", *_data_sets(site)}):
        raise UsageError(
            f"This page fills prompts with data of the runs there are, not with {data!r}. Those are: "
            f"{', '.join(sorted(known))}. At a terminal any will do: whyrec prompts show NAME --render --data DATA."
        )
    return rendered(ours.parse(text), user=user, data=data, split=split, settings=site.settings)


def _data_sets(site: Site) -> set[str]:
    found = set()
    for run_id in site.run_ids():
        try:
            with site.run(run_id) as run:
                found.add(str(run.info()["data"]))
        except UsageError:
            continue  # the list of runs says what is wrong with it
    return found


def _some_data(version: Version, site: Site) -> str:
    """The data set of a run that used it, for the form."""
    if not version.runs:
        return "world"
    with site.run(version.runs[-1]) as run:
        return str(run.info()["data"])
