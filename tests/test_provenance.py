"""Where an explanation came from: plain values, and the versions of what it rests on."""

import subprocess
import sys
from importlib import metadata

from captum_focalogic.provenance import REMOVALS, Prediction, Provenance, versions


def test_versions_are_those_installed_and_a_copy() -> None:
    found = versions()
    assert found["torch"] == metadata.version("torch")
    assert found["numpy"] == metadata.version("numpy")
    found.clear()
    assert versions()


def test_a_package_that_is_missing_is_left_out() -> None:
    code = (
        "from importlib import metadata\n"
        "def version(name, real=metadata.version):\n"
        "    if name == 'captum': raise metadata.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "metadata.version = version\n"
        "from captum_focalogic.provenance import versions\n"
        "assert 'captum' not in versions() and 'torch' in versions()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_known_unless_it_is_said() -> None:
    assert Provenance() == Provenance(criterion=None, versions={})
    assert hash(Provenance(versions={"torch": "2"})) == hash(Provenance())
    assert REMOVALS == ("fill", "tokens")
    assert Prediction(3) == Prediction(3, None, None, ())
