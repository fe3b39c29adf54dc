"""Random weights for the paper's profile, to time it where the public ones are not at hand.

    python tests/bench/paper_weights.py DIR

Writes DIR/vgg.h5, DIR/vggish.pth and DIR/head.safetensors. Time and memory do not depend on what the weights
say; whether two precisions agree does, so nothing about that can be learnt from these.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.paper_files import paper_head, vgg19_file, vggish_file


def main(folder: Path) -> None:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = (
        vgg19_file(folder / "vgg.h5"),
        vggish_file(folder / "vggish.pth"),
        paper_head(folder / "head.safetensors"),
    )
    for path in files:
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB, random")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
