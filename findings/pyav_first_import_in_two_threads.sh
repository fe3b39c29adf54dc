#!/usr/bin/env bash
# av 18.1.0 (PyAV).
#
# One would guess: Python's import lock makes first imports safe in threads: whoever comes second waits for the first,
#   and where an import fails the next `import av` makes it good.
# Instead: two threads that import different parts of it first (`from av.error import …` where one camera is opened,
#   `from av.video.frame import …` where another is) meet in its circle of imports; Python gives each the half made
#   modules rather than let both wait for ever. Both imports fail with errors that name neither threads nor circles,
#   and `av` is left without `av.error` for the rest of the process: what has to name FFmpegError fails from then on.
#   With `import av` once before the threads begin, or as the first import of each, all is well.
# Seen (of 10 processes each):
#   parts first: 10 broken; KeyError: 'av', ImportError: cannot import name InvalidDataError
#   import av in every thread: 0 broken
#   import av before the threads: 0 broken
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
cd "$folder"
cat >one.py <<'PY'
import sys
import threading

way = sys.argv[1]
if way == "before":
    import av
gate, said = threading.Barrier(2), []


def errors():
    if way == "every":
        import av
    from av.error import FFmpegError


def frames():
    if way == "every":
        import av
    from av.video.frame import VideoFrame


def work(part):
    gate.wait()
    try:
        part()
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")


threads = [threading.Thread(target=work, args=(part,)) for part in (errors, frames)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import av

print("fine" if not said and hasattr(av, "error") else "broken: " + ", ".join(sorted(set(said), reverse=True)))
PY
python3 - <<'PY'
import subprocess
import sys

ways = {"parts": "parts first", "every": "import av in every thread", "before": "import av before the threads"}
broken = {}
for way, name in ways.items():
    runs = [subprocess.run(["venv/bin/python", "one.py", way], capture_output=True, text=True) for _ in range(10)]
    bad = [run.stdout.strip() for run in runs if run.stdout.startswith("broken")]
    broken[way] = len(bad)
    print(f"{name}: {len(bad)} broken" + (f"; {bad[0].removeprefix('broken: ')}" if bad else ""))
sys.exit(0 if broken["parts"] > 0 and broken["every"] == broken["before"] == 0 else "this has changed")
PY
