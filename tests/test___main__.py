"""``python -m captum_focalogic`` is the command line."""

import subprocess
import sys

from captum_focalogic import __version__


def run(argument: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "captum_focalogic", argument]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_package_runs_as_a_module() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"captum-focalogic {__version__}\n"), done.stderr
    wrong = run("unicorn")
    assert wrong.returncode == 2
    assert wrong.stderr == "focalogic: No such command 'unicorn'; see focalogic --help\n"
