"""Install into the virtual environment whose Python runs this, the pins of constraints.txt: by uv, else by pip.

    .venv/bin/python .ci/install.py -e '.[dev]'

uv is several times faster. It does not read pip's configuration, so what pip is told (indexes, folders of wheels,
constraints, certificates) is told to uv in its own words, and it is asked to take the best version of all of them, as
pip does. What it would install is looked at first: where that is not the pinned versions, or CUDA builds, or where pip
is told something that has no word here, pip does it. Neither compiles what it installs: that takes two minutes, and an
import compiles what it needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]

# pip's option -> uv's variable, and what stands between several values there
WORDS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
CHANGES_NO_VERSION = re.compile(
    "cache-dir|no-cache-dir|disable-pip-version-check|no-python-version-warning|quiet|verbose|progress-bar|no-input|"
    "no-color|retries|log|require-virtualenv|root-user-action|no-warn-script-location|break-system-packages|"
    "exists-action|prefer-binary|compile|no-compile|use-feature"
)


class NotByUv(Exception):
    """Why uv is not to do it."""


def main(wanted: list[str]) -> int:
    """Install, and say by what."""
    try:
        told = pip_configuration()
        environment = uv_environment(told)
        constraints = [f"--constraint={file}" for file in (PINS, *told.get("constraint", "").split())]
        uv = [_uv(), "pip", "install", "--python", sys.executable, *constraints]
        _look_at(_planned([*uv, "--dry-run", *wanted], environment))
        subprocess.run([*uv, "--quiet", *wanted], cwd=ROOT, env=environment, check=True)
        return 0
    except (NotByUv, subprocess.CalledProcessError) as why:
        print(f"Not by uv ({why}); pip does it, which takes some minutes.")
    command = [*PIP, "install", "--quiet", "--no-compile", "--constraint", str(PINS)]
    # torch first: its pinned version decides which build is taken
    for part in (["torch"], wanted):
        done = subprocess.run([*command, *part], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


def pip_configuration() -> dict[str, str]:
    """What pip is told by files and variables, by option; a variable goes before a file, and `install` before all."""
    told = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    found: dict[str, tuple[int, str]] = {}
    for section, option, value in re.findall(r"^(global|install|:env:)\.([\w-]+)='(.*)'$", told, re.MULTILINE):
        rank = ("global", "install", ":env:").index(section)
        if option not in found or found[option][0] <= rank:
            found[option] = rank, value.replace("\\n", " ")
    return {option: value for option, (_rank, value) in found.items()}


def uv_environment(told: Mapping[str, str]) -> dict[str, str]:
    """The environment in which uv looks where pip looks; what the person has told uv itself goes before.

    Raises:
        NotByUv: pip is told something that may change versions and has no word here.
    """
    ours = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, value in told.items():
        if option in WORDS:
            name, between = WORDS[option]
            ours[name] = between.join(value.split())
        elif option != "constraint" and not CHANGES_NO_VERSION.fullmatch(option):
            raise NotByUv(f"pip is configured with {option}")
    return {**ours, **os.environ}


def _uv() -> str:
    """Where uv is; it is put into the virtual environment where there is none.

    Raises:
        NotByUv: it is not to be had.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        subprocess.run([*PIP, "install", "--quiet", "uv"], capture_output=True, check=False)
        found = str(beside) if beside.exists() else None
    if found is None:
        raise NotByUv("it is not installed, and pip could not install it")
    return found


def _planned(command: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Package -> version that uv would install.

    Raises:
        NotByUv: it found no way.
    """
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotByUv((done.stderr.strip() or "it failed").splitlines()[-1].strip())
    return dict(re.findall(r"^ \+ ([\w.-]+)==(\S+)$", f"{done.stdout}\n{done.stderr}", re.MULTILINE))


def _look_at(planned: Mapping[str, str]) -> None:
    """Refuse what pip would not have installed.

    Raises:
        NotByUv: a version that is not the pinned one, or CUDA builds.
    """
    lines = [line.partition("==") for line in PINS.read_text(encoding="utf-8").split() if "==" in line]
    pins = {_plain(name): version for name, _, version in lines}
    for name, version in planned.items():
        if name.startswith(("nvidia-", "cuda-")):
            raise NotByUv(f"torch would come with {name}, for a graphics card: several GB. README says how to avoid it")
        pinned = pins.get(_plain(name), version)
        if version.partition("+")[0] != pinned:
            raise NotByUv(f"it would take {name} {version}, pinned is {pinned}")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
