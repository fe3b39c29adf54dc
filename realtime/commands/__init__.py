"""The command line: `avel COMMAND` and `avel-live`. Commands are registered by name and loaded when used.

Nothing heavy (torch, cv2, av, ...) is imported to show help. An `AvelError` becomes one line on standard
error and its exit code, and so does wrong usage; `--debug` (or `AVEL_DEBUG=1`) shows the trace as well.
Nothing that is printed here carries credentials.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from ...model.downloads import watched
from ..config.typed import Grouped, make_app
from ..core.errors import AvelError, UsageError
from ..core.redact import redact
from ..core.text import one_line, visible
from .early import hold_hang_ups
from .fetching import bar

_WrongUsage: Any = typer.BadParameter.__base__
"""What the parser raises; the module that defines it is another one in each version of typer."""


class Entry(NamedTuple):
    """Where a command lives: module below this package, name of its function or `typer.Typer`, one line."""

    module: str
    attribute: str
    help: str


COMMANDS: dict[str, Entry] = {
    "live": Entry("live", "live", "Name what is seen and heard, second by second (the same as avel-live)."),
    "serve": Entry("serve", "serve", "Run several streams in one program: [[streams]] of avel.toml."),
    "devices": Entry("devices", "devices", "List cameras and microphones; --test opens each."),
    "doctor": Entry("doctor", "doctor", "Say what works here, what is missing, and how to mend it."),
    "calibrate": Entry("calibrate", "app", "Fit confidence and thresholds, measure a room, align devices."),
    "teach": Entry("teach", "app", "Teach it a class of your own from a few examples."),
    "concepts": Entry("concepts", "concepts", "Search what the ear and the eye know by name already."),
    "localize": Entry("localize", "localize", "Look through recordings; write pages, subtitles, tracks."),
    "events": Entry("events", "app", "What was remembered (--memory): list, count, export, import, delete."),
    "config": Entry("config", "app", "Show the merged configuration and where each value comes from."),
    "deploy": Entry("deploy", "app", "Print systemd units, container files, and the guide to run for weeks."),
    "bench": Entry("bench", "bench", "Measure what every backend costs on this machine, on real clips."),
    "compile": Entry(
        "compile", "compile_networks", "Export to ONNX, or build TensorRT engines for this GPU."
    ),
    "extract": Entry("extract", "extract", "Turn videos into feature files for training."),
    "train": Entry("train", "app", "Train on AVE, on your own videos, or the lite model."),
    "evaluate": Entry("evaluate", "evaluate", "Score a checkpoint; show what waiting for the future buys."),
}
"""Every command, in the order of `avel --help`."""


def load(name: str) -> Any:
    """The click command `name`, importing its module."""
    entry = COMMANDS[name]
    target = getattr(import_module(f".{entry.module}", __name__), entry.attribute)
    if not isinstance(target, typer.Typer):
        app = make_app()
        app.command(name, help=target.__doc__, cls=Grouped)(target)
        target = app
    return get_command(target)


class _Lazy(TyperGroup):
    """Lists what is registered; imports only what is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in COMMANDS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)


app = make_app(cls=_Lazy, no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed_version  # slow to import

        typer.echo(f"avel-live {installed_version('avel-live')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Audio-visual event localization, live: which of 28 events is both seen and heard, every second."""


_INTERRUPTED = 128 + signal.SIGINT
"""What typer makes of Ctrl-C; for us it is an end like any other."""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of `avel`."""
    if (sys.argv[1:] if args is None else list(args))[:1] in (["live"], ["serve"]):
        hold_hang_ups()
    _run(lambda given: get_command(app)(given, prog_name="avel", standalone_mode=False), args)


def live_main(args: Sequence[str] | None = None) -> None:
    """Entry point of `avel-live`."""
    hold_hang_ups()
    _run(lambda given: load("live")(given, prog_name="avel-live", standalone_mode=False), args)


def _run(command: Callable[[list[str]], Any], args: Sequence[str] | None) -> None:
    """Call a command; errors become a line and an exit code."""
    # NumPy's products here are small, but OpenBLAS spreads them over all cores and lets its threads spin for
    # some 25 ms after each: on the cores that the networks need. Read when NumPy is imported, so said here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Plugins of pydantic are looked for in every installed package, for a configuration that has none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given or os.environ.get("AVEL_DEBUG", "") not in ("", "0", "false")
    try:
        with watched(bar):
            code = command(given) or 0
        sys.exit(0 if code == _INTERRUPTED else code)
    except _WrongUsage as error:
        # Without a text it has shown the help already.
        if text := error.format_message():
            _say(f"error: {text}; see --help")
        sys.exit(UsageError.exit_code)
    except AvelError as error:
        _trace(debug)
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:
        _trace(debug)
        hint = "" if debug else "; run again with --debug for the trace"
        _say(f"internal error: {type(error).__name__}: {error}{hint}")
        sys.exit(AvelError.exit_code)


def _trace(debug: bool) -> None:
    """The trace of the error at hand."""
    if debug:
        print(visible(redact(traceback.format_exc())), file=sys.stderr, end="")


def _say(text: str) -> None:
    print(one_line(redact(text)), file=sys.stderr)
