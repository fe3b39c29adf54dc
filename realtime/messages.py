"""`core.messages` by the name that scripts of version 0.1 know."""

from .core.messages import *  # noqa: F403
