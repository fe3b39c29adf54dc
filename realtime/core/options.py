"""How an option is declared: once, in the frozen dataclass that uses it.

    timeout_s: Annotated[float, Gt(0), Option("--timeout", panel=OUTPUTS, help="…")] = 5.0

The field is the type, the bounds, the default; its `Option` is the flag, the help text, and what a change of
it affects. Command line, environment and `avel.toml` are all generated from there (`realtime.config`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

SOURCE: Final = "Source"
NETWORK: Final = "Network"
EVENTS: Final = "Events"
OUTPUTS: Final = "Outputs"
RUNNING: Final = "Running"

Affects = Literal["start", "findings", "decoding"]
"""What a changed value changes: `start` how a stream runs (only a restart takes it), `findings` what is found
in a recording, `decoding` that too, and a running stream can take it. Options of an output are exchanged
with it and say nothing here."""


class Bound:
    """A bound of a number, for pydantic. Its own `annotated_types` would do, and cost `--help` 20 ms."""

    kind: ClassVar[str]

    def __init__(self, value: float) -> None:
        self.value = value

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], Any]) -> Any:
        """The number's schema, bounded."""
        return {**handler(source), self.kind: self.value}


class Ge(Bound):
    """At least so much."""

    kind = "ge"


class Gt(Bound):
    """More than so much."""

    kind = "gt"


class Le(Bound):
    """At most so much."""

    kind = "le"


@dataclass(frozen=True)
class Option:
    """How a key is set, beside its name in the file: flags, help, and what it affects."""

    flags: tuple[str, ...]
    panel: str
    help: str
    metavar: str | None
    affects: Affects
    secret: bool
    form: str
    """What a text must look like, for people; checked by `pattern`."""
    pattern: str

    def __init__(
        self,
        *flags: str,
        panel: str = "",
        help: str = "",
        metavar: str | None = None,
        affects: Affects = "start",
        secret: bool = False,
        form: str = "",
        pattern: str = "",
    ) -> None:
        # By hand, because flags read best in front.
        texts = {"panel": panel, "help": help, "metavar": metavar, "form": form, "pattern": pattern}
        for name, value in {"flags": flags, **texts, "affects": affects, "secret": secret}.items():
            object.__setattr__(self, name, value)


class Options:
    """Base of every group of options. Values are checked where they are read (`config.load`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "coerce_numbers_to_str": True,
        "allow_inf_nan": False,
    }


Names = tuple[str, ...]
"""Several names; in one string (environment, file) they are separated by `;`: class names contain commas."""
Seconds = Annotated[float, Ge(0)]
Probability = Annotated[float, Ge(0), Le(1)]
Secret = Annotated[str, Option(secret=True)]
"""Never shown: not by `avel config show`, nor in an error."""
