"""`core.clock` by the name that scripts of version 0.1 know."""

from .core.clock import *  # noqa: F403
