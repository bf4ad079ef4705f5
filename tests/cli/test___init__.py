"""The command line as a whole: help, version, and what it leaves with."""

import subprocess
import sys

import pytest

from captum_focalogic.cli import main


def test_version_and_help_need_no_torch():
    code = (
        "import sys\n"
        "from captum_focalogic.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as left:\n    assert left.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    for arguments in (["--version"], ["--help"], ["explain", "--help"], ["verify", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "focalogic" in done.stdout


def test_without_a_command_there_is_help(capsys):
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "Usage: focalogic" in "".join(capsys.readouterr())
