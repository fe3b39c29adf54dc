"""Material that lies beside the checkout and is not part of the project; tests skip where it is absent."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no evaluation material at {DATA}")
