"""`avel teach`: classes of one's own, from a few examples or from concepts that the networks know.

avel teach "doorbell" a.mp4 b.mp4 c.mp4        teach
avel teach list | show | test | rename | remove | export | import
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...config.typed import make_app
from ...core.errors import UsageError

_TEACH = "NAME"
"""What the command behind a class name is called in the help."""


class _Door(TyperGroup):
    """`avel teach NAME …` teaches; the words of the list are commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return _TEACH, self.commands[_TEACH], args
        return super().resolve_command(ctx, args)


app = make_app(
    cls=_Door,
    no_args_is_help=True,
    help="Teach it a class of your own: three to fifty examples, one minute, no data set.",
)
app.callback()(lambda: None)

_Profile = Annotated[str | None, typer.Option(help="whose eye and ear: lite, lite-yamnet, full")]
_AudioWeights = Annotated[Path | None, typer.Option(help="weights of the audio network")]
_VisualWeights = Annotated[Path | None, typer.Option(help="weights of the visual network")]
_Config = Annotated[Path | None, typer.Option(help="read this file instead of ./avel.toml")]
_Json = Annotated[bool, typer.Option("--json", help="print JSON instead of words")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="of a taught class, or its id")]


@app.command(_TEACH)
def teach(
    name: Annotated[str, typer.Argument(metavar="NAME", help="what the class is to be called")],
    examples: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXAMPLE…",
            help="clips, folders of clips, FILE,START,END (seconds), lists of such lines, label files",
        ),
    ] = None,
    heard: Annotated[bool, typer.Option("--heard", help="only the sound tells it")] = False,
    seen: Annotated[bool, typer.Option("--seen", help="only the picture tells it")] = False,
    background: Annotated[
        list[Path] | None,
        typer.Option(help="a recording of your place in which it does not happen (repeatable)"),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="which label of label files is meant, if it is not NAME")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, help="frames a second, of label files that count frames")
    ] = None,
    max_false_alarms: Annotated[str, typer.Option(help="budget for the threshold: 1/day, 2/hour")] = "1/day",
    define: Annotated[
        bool, typer.Option("--define", help="no examples: a rule over what the networks know already")
    ] = False,
    hears: Annotated[
        str | None,
        typer.Option(metavar="SOUND,…", help="with --define: AudioSet classes, see `avel concepts`"),
    ] = None,
    sees: Annotated[
        str | None,
        typer.Option(metavar="THING,…", help="with --define: ImageNet classes, see `avel concepts`"),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="watch the camera and the microphone; Enter says when it happens")
    ] = False,
    clap: Annotated[
        bool, typer.Option("--clap", help="with --live: two claps of the hands say it, too")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="keep small pictures and sounds in the class (a few MB), for `avel teach again`",
        ),
    ] = False,
    camera: Annotated[str | None, typer.Option(help="with --live: index, device, address, or none")] = None,
    mic: Annotated[str | None, typer.Option(help="with --live: name or part of it, index, or none")] = None,
    from_marks: Annotated[
        bool, typer.Option("--from-marks", help="learn from marks of remembered events, if that helps")
    ] = False,
    memory_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="with --from-marks: the memory (default: as configured)"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="teach a class of this name anew")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what to expect; install nothing")] = False,
    json_out: _Json = False,
    profile: _Profile = None,
    audio_weights: _AudioWeights = None,
    visual_weights: _VisualWeights = None,
    config: _Config = None,
) -> None:
    """Teach a class from examples, and say what to expect of it."""
    from .lessons import Wanted, teach_class

    devices = {"camera": camera, "mic": mic}
    loaded = _loaded(
        config, profile=profile, audio_weights=audio_weights, visual_weights=visual_weights, **devices
    )
    wanted = Wanted(
        name=name,
        examples=tuple(examples or ()),
        heard=heard,
        seen=seen,
        background=tuple(background or ()),
        budget=max_false_alarms,
        replace=replace,
        dry_run=dry_run,
        json=json_out,
        label=label or "",
        fps=fps,
        clap=clap,
        keep=keep,
    )
    if clap and not live:
        raise UsageError("--clap goes with --live")
    if live:
        from .live import teach_live

        teach_live(loaded, wanted)
    elif from_marks:
        from .frommarks import teach_from_marks

        teach_from_marks(loaded, wanted, memory_file)
    elif define or hears or sees:
        from .define import define_class

        define_class(loaded, wanted, hears or "", sees or "")
    else:
        teach_class(loaded, wanted)


@app.command("again")
def teach_classes_again(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="default: all that no longer fit")
    ] = None,
    profile: _Profile = None,
    json_out: _Json = False,
    audio_weights: _AudioWeights = None,
    visual_weights: _VisualWeights = None,
    config: _Config = None,
) -> None:
    """Teach classes of an older eye or ear with those in use: from their files, or from what they keep."""
    from .again import teach_again

    loaded = _loaded(config, audio_weights=audio_weights, visual_weights=visual_weights)
    teach_again(loaded, names or [], profile, json_out=json_out)


@app.command("list")
def list_classes(
    json_out: _Json = False,
    audio_weights: _AudioWeights = None,
    visual_weights: _VisualWeights = None,
    config: _Config = None,
) -> None:
    """Every taught class, for which profile it is, and whether it fits the networks in use."""
    from .manage import list_packs

    loaded = _loaded(config, audio_weights=audio_weights, visual_weights=visual_weights)
    list_packs(loaded, json_out=json_out)


@app.command("show")
def show_class(name: _Name, json_out: _Json = False) -> None:
    """What is known of a taught class."""
    from .manage import show_pack

    show_pack(name, json_out=json_out)


@app.command("test")
def try_class(
    name: _Name,
    recordings: Annotated[list[Path], typer.Argument(metavar="FILE…", help="recordings to try it on")],
    json_out: _Json = False,
    audio_weights: _AudioWeights = None,
    visual_weights: _VisualWeights = None,
    config: _Config = None,
) -> None:
    """Try a taught class on recordings, second by second."""
    from .manage import test_pack

    loaded = _loaded(config, audio_weights=audio_weights, visual_weights=visual_weights)
    test_pack(loaded, name, recordings, json_out=json_out)


@app.command("rename")
def rename_class(name: _Name, new: Annotated[str, typer.Argument(metavar="NEW")]) -> None:
    """Call it something else; its id stays."""
    from .manage import rename_pack

    rename_pack(name, new)


@app.command("remove")
def remove_class(name: _Name) -> None:
    """Forget a taught class."""
    from .manage import remove_pack

    remove_pack(name)


@app.command("export")
def export_class(name: _Name, file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Write a taught class to a file, to be imported elsewhere."""
    from .manage import export_pack

    export_pack(name, file)


@app.command("import")
def import_class(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    replace: Annotated[bool, typer.Option("--replace", help="instead of one of that name")] = False,
) -> None:
    """Install a taught class from a file."""
    from .manage import import_pack

    import_pack(file, replace=replace)


def _loaded(config: Path | None, **flags: Any) -> Any:
    from ...config.load import load_config

    return load_config(
        {name: value for name, value in flags.items() if value is not None}, path=config
    ).config
