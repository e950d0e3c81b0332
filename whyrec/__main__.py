"""The front door: checks that the floors are ours, then hands over to the command line.

`agents`, `evals`, `graphs`, `prompts` and `rec_models` are top-level names (see docs/decisions/0001), so another
package may own one of them; `openai-agents` installs `agents`. Better one sentence now than an ImportError later.
"""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import sys
from pathlib import Path

_FLOORS = ("agents", "evals", "graphs", "prompts", "rec_models")


def foreign_floor() -> str | None:
    """A sentence about the first floor that is not whyrec's own, or None."""
    for floor in _FLOORS:
        spec = importlib.util.find_spec(floor)
        if spec is None or spec.origin is None:
            return (
                f"whyrec's own folder {floor!r} cannot be found beside {Path(__file__).parent}; install whyrec again."
            )
        if "whyrec" not in Path(spec.origin).read_text(encoding="utf-8", errors="replace")[:200]:
            return (
                f"The package {floor!r} at {Path(spec.origin).parent} is not whyrec's, but whyrec needs that name "
                f"(openai-agents, for one, installs 'agents'). Install whyrec in a virtual environment of its own."
            )
    return None


def refused(error: OSError) -> str:
    """What the machine refused, in a sentence."""
    if not error.filename:
        return str(error)
    return (
        f"{error.filename}: {error.strerror or error}. Results are kept under WHYREC_HOME (default: ~/.whyrec), data "
        f"is looked for under WHYREC_DATA: name folders that exist and that you may write, or another file."
    )


def unreadable(arguments: list[str]) -> str | None:
    """A sentence about the first argument that is not UTF-8 text, or None."""
    for number, argument in enumerate(arguments[1:], 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            return (
                f"Argument {number}, {argument!a}, is not UTF-8 text, and names that cannot be written down cannot be "
                f"recorded. Rename the file, or write it in UTF-8."
            )
    return None


def printable(text: str) -> str:
    """Text from files and servers without characters that would act on a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def main() -> None:
    """Run the command line.

    Exit codes: 0 all done, 1 some examples failed, 2 usage or environment, 130 interrupted.
    """
    atexit.register(gc.freeze)  # looking for garbage in what ends anyway took a sixth of a short command
    if complaint := foreign_floor() or unreadable(sys.argv):
        print(f"whyrec: {complaint}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    from whyrec.redaction import KNOWN, guarded
    from whyrec.redaction.telemetry import hush

    hush()
    KNOWN.learn_environment()
    KNOWN.learn_arguments(sys.argv[1:])
    with guarded():
        _run()


def _without_plugins(arguments: list[str]) -> list[str]:
    """The arguments without `--plugin FILE`, which may stand anywhere before `--` and holds for all that is done.

    Raises:
        UsageError: no file follows.
    """
    from whyrec import plugins
    from whyrec.errors import UsageError

    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*kept, argument, *rest]
        if argument == "--plugin":
            file = next(rest, "")
            if not file or file.startswith("-"):
                raise UsageError(
                    "--plugin needs a Python file, as in: whyrec run taste --plugin taste.py --data world."
                )
            plugins.use([file])
        elif argument.startswith("--plugin="):
            plugins.use([argument.removeprefix("--plugin=")])
        else:
            kept.append(argument)
    return kept


def _run() -> None:
    from whyrec.cli import build
    from whyrec.errors import LeakageError, UnknownNameError, UsageError
    from whyrec.redaction import redact

    try:
        arguments = _without_plugins(sys.argv[1:])
        build("".join(arguments[:1]))(args=arguments)
    except (UsageError, UnknownNameError, LeakageError, OSError) as error:
        if os.environ.get("WHYREC_DEBUG"):
            raise
        said = refused(error) if isinstance(error, OSError) else str(error)
        print(f"whyrec: {printable(redact(said))}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
