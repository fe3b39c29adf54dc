"""`avel devices`: which cameras and microphones there are; `--test` opens each and looks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from ..config.schema import NONE
from ..core.clock import SystemClock
from ..core.errors import AvelError, SourceError, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from ..sources.probe import CameraResult, MicResult
    from ..ui.console import Console

_FLOOR_DBFS = -60.0


def devices(
    test: Annotated[
        bool, typer.Option("--test", help="Open each: a level meter, a picture, the real fps and rate.")
    ] = False,
    camera: Annotated[
        str | None, typer.Option(metavar="N|PATH|URL|none", help="Test this camera only, or none.")
    ] = None,
    mic: Annotated[
        str | None, typer.Option(metavar="NAME|INDEX|none", help="Test this microphone only, or none.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Picture size to ask for.")] = None,
    fps: Annotated[float | None, typer.Option(min=1, help="Pictures a second to ask for.")] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to look at each.")] = 4.0,
) -> None:
    """List cameras and microphones; with --test, open each and show what it really delivers."""
    from ..ui.console import Console

    console = Console(highlight=False)
    problems = _list(console)
    if test or camera is not None or mic is not None:
        problems += _test_cameras(console, camera, size, fps, seconds)
        problems += _test_microphones(console, mic, seconds)
        if problems:
            raise SourceError(
                f"{problems} of the devices tested do not work; `avel doctor` looks for the cause"
            )


def _list(console: Console) -> int:
    from ..sources import probe
    from ..sources.portaudio import input_devices

    console.print("[bold]Cameras[/]")
    found = probe.cameras()
    for k, device in enumerate(found):
        console.print(f"  {device.spec}  {device.name}{'  (default)' if k == 0 else ''}", markup=False)
    if not found:
        console.print("  none found; a network camera is given as --camera rtsp://…", markup=False)
    console.print("[bold]Microphones[/]")
    try:
        microphones = input_devices()
    except SourceError as error:
        console.print(f"  {error}", markup=False)
        return 1
    for mic in microphones:
        remark = probe.monitor_remark(mic)
        note = "  (default)" if mic.default else ""
        console.print(f"  {mic}{note}{f'  ! {remark}' if remark else ''}", markup=False)
    if not microphones:
        console.print("  none found", markup=False)
    _list_offsets(console)
    return 0


def _list_offsets(console: Console) -> None:
    """What `avel calibrate sync` measured; applied by itself when such a pair is used."""
    from ...calibration.files import stored_devices

    measured, wrong = stored_devices()
    if measured or wrong:
        console.print("[bold]Offsets[/] (camera time minus microphone time)")
    for one in measured:
        when = one.made.partition("T")[0]
        what = "flashes" if one.kind == "flash" else "claps"
        console.print(f"  {one.devices}:  {one}  ({one.events} {what}, {when})", markup=False)
    for error in wrong:
        console.print(f"  ! {error}", markup=False, style="yellow")


def _test_cameras(
    console: Console, only: str | None, size: str | None, fps: float | None, seconds: float
) -> int:
    from ..sources import probe
    from ..sources.capture import CameraOptions

    if only == NONE:
        return 0
    specs = [only] if only is not None else [device.spec for device in probe.cameras()]
    failed = 0
    for spec in specs:
        options = CameraOptions(spec, _size(size), fps)
        console.print()
        try:
            with console.status(f"camera {probe.safe(spec)} …"):
                result = probe.try_camera(options, SystemClock(), seconds)
        except AvelError as error:
            failed += 1
            console.print(f"✗ {error}", markup=False, style="red")
            continue
        _show_camera(console, probe.safe(spec), result)
    return failed


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, by, height = text.partition("x")
    if not (by and width.isdigit() and height.isdigit()):
        raise UsageError(f"--size {text}: expected WIDTHxHEIGHT, such as 1280x720")
    return int(width), int(height)


def _show_camera(console: Console, spec: str, result: CameraResult) -> None:
    from ..ui.picture import draw
    from ..ui.theme import Theme

    width, height = result.size
    console.print(f"✓ camera {spec}", markup=False, style="green")
    console.print(f"  says      {result.granted}", markup=False)
    console.print(
        f"  delivers  {width}x{height} at {result.fps:.1f} fps, ±{result.jitter_ms:.1f} ms", markup=False
    )
    for remark in result.remarks:
        console.print(f"  ! {remark}", markup=False, style="yellow")
    if console.is_terminal:
        theme = Theme(color=console.color_system is not None and not console.no_color)
        columns = min(48, console.width - 4)
        rows = max(4, round(columns * height / width / 2))
        for line in draw(result.image, None, rows, columns, theme):
            console.print("  ", line, sep="")


def _test_microphones(console: Console, only: str | None, seconds: float) -> int:
    from ..sources.microphone import MicOptions
    from ..sources.portaudio import input_devices

    if only == NONE:
        return 0
    try:
        specs = [only] if only is not None else [str(d.index) for d in input_devices()]
    except SourceError:
        return 0  # said already, and counted
    failed = 0
    for spec in specs:
        console.print()
        try:
            result = _listen(console, MicOptions(spec), seconds)
        except AvelError as error:
            failed += 1
            console.print(f"✗ {error}", markup=False, style="red")
            continue
        _show_microphone(console, result)
    return failed


def _listen(console: Console, options: object, seconds: float) -> MicResult:
    """Listen, with a live meter where there is a terminal."""
    from rich.live import Live

    from ..sources.microphone import MicOptions
    from ..sources.probe import try_microphone

    assert isinstance(options, MicOptions)
    if not console.is_terminal:
        return try_microphone(options, SystemClock(), seconds)
    level = [_FLOOR_DBFS]

    def heard(dbfs: float) -> None:
        level[0] = max(dbfs, level[0] - 0.5)  # falls slowly, so that an eye can follow

    with Live(get_renderable=lambda: meter(level[0]), console=console, refresh_per_second=15, transient=True):
        return try_microphone(options, SystemClock(), seconds, heard)


def meter(dbfs: float, width: int = 40) -> Text:
    """A level meter from -60 to 0 dBFS: green, yellow above -12, red above -3."""
    from rich.text import Text

    share = (max(dbfs, _FLOOR_DBFS) - _FLOOR_DBFS) / -_FLOOR_DBFS
    full = min(width, math.ceil(share * width))
    colour = "red" if dbfs > -3 else "yellow" if dbfs > -12 else "green"
    bar = Text("  ")
    bar.append("█" * full, style=colour)
    bar.append("·" * (width - full), style="dim")
    return bar.append(f" {dbfs:5.0f} dBFS")


def _show_microphone(console: Console, result: MicResult) -> None:
    device = result.device
    ppm = (result.rate_hz / result.nominal_hz - 1) * 1e6
    console.print(f"✓ microphone {device}", markup=False, style="green")
    console.print(
        f"  delivers  {result.rate_hz:.1f} Hz measured against this machine's clock ({ppm:+.0f} ppm), "
        f"callbacks ±{result.jitter_ms:.1f} ms",
        markup=False,
    )
    console.print(
        f"  level     peak {result.peak_dbfs:.0f} dBFS, mean {result.rms_dbfs:.0f} dBFS", markup=False
    )
    console.print(meter(result.peak_dbfs))
    if result.overflows:
        console.print(
            f"  ! {result.overflows} overflows: the machine was too busy", markup=False, style="yellow"
        )
    for remark in result.remarks:
        console.print(f"  ! {remark}", markup=False, style="yellow")
