"""`--log` and `--csv`: results in files, each written by a thread of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from ..core.options import OUTPUTS, Ge, Gt, Option
from .base import About, Sink, SinkOptions
from .csv import HEADER, CsvFile
from .jsonl import JsonlFile
from .rotating import Fsync, RotatingFile, Rotation
from .switchboard import Switchboard
from .thread import SinkThread

FLUSH_S: Final = 5.0


@dataclass(frozen=True)
class LogOptions(SinkOptions):
    """Files that results are written to."""

    jsonl: Annotated[
        Path | None, Option("--log", panel=OUTPUTS, metavar="FILE", help="also write JSONL to this file")
    ] = None
    csv: Annotated[
        Path | None, Option("--csv", panel=OUTPUTS, metavar="FILE", help="write events as CSV to this file")
    ] = None
    rotate_mb: Annotated[float, Gt(0)] | None = None
    rotate_days: Annotated[float, Gt(0)] | None = None
    keep_files: Annotated[int, Ge(1)] = 10
    fsync: Fsync = "event"
    mode: Annotated[str, Option(form='permissions in quotes, such as "0640"', pattern="0[67][0-7]{2}")] = (
        "0600"
    )
    """Permissions of new files, octal: private like clips, unless asked otherwise."""

    def build(self, about: About) -> Sink | None:
        """A live stream never waits for the disk; a recording does, and loses no line."""
        rotation, mode = Rotation(self.rotate_mb, self.rotate_days, self.keep_files), int(self.mode, 8)
        sinks: list[Sink] = []
        name = about.name if about.several else ""
        if self.jsonl is not None:
            log = RotatingFile(self.jsonl, "log", about, rotation=rotation, fsync=self.fsync, mode=mode)
            sinks.append(self._threaded("log", JsonlFile(self._shared(log, about), name), about))
        if self.csv is not None:
            table = RotatingFile(
                self.csv, "csv", about, rotation=rotation, fsync=self.fsync, header=HEADER, mode=mode
            )
            sinks.append(self._threaded("csv", CsvFile(self._shared(table, about)), about))
        return Switchboard(sinks) if sinks else None

    def _shared(self, file: RotatingFile, about: About) -> RotatingFile:
        """In a reload whoever leaves may still write to the file: it can be opened, and will be later."""
        if about.replaces is not None:
            file.close()
        return file

    def _threaded(self, name: str, sink: Sink, about: About) -> Sink:
        return SinkThread(
            name,
            sink,
            about.report,
            about.clock,
            deadline_s=lambda: about.flush_s(FLUSH_S),
            lossless=about.lossless,
            room=about.room(),
            after=about.replaces.gone.wait if about.replaces is not None else None,
        )
