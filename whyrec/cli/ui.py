"""`whyrec ui`: the local page over runs, calls, prompts, results and vectors."""

from __future__ import annotations

import typer


def command(
    host: str = typer.Option("127.0.0.1", help="Where to listen; elsewhere than on this machine a token is asked for."),
    port: int = typer.Option(8700, min=0, max=65535, help="The port; 0 takes a free one."),
    open_: bool = typer.Option(False, "--open", help="Open it in the browser."),
) -> None:
    """Serve the local page. Ctrl-C ends it."""
    import webbrowser

    from whyrec.settings import read_settings
    from whyrec.ui.app import build, warm
    from whyrec.ui.safety import Door
    from whyrec.ui.serving import listen, server

    settings = read_settings()
    sock = listen(host, port)
    door = Door.at(host, sock.getsockname()[1])
    typer.echo(f"whyrec ui: {door.address}\nruns in {settings.home}; Ctrl-C ends it", err=False)
    serving = server(build(settings, door))
    warm()
    if open_:
        webbrowser.open(door.address)
    serving.run(sockets=[sock])
