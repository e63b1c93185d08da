"""What pip is told; that a wheelhouse installs without an index is shown by the proof on hosts."""

import hashlib

import pytest

from deploy.local.errors import SetupError
from deploy.packages.wheels import Target, own_requirement, with_wheel


def test_flags_for_other_hosts_ask_for_wheels_alone():
    flags = Target(platforms=("manylinux_2_28_aarch64", "any"), python="3.13").flags
    assert flags[0] == "--only-binary=:all:"
    assert flags[1:] == [
        "--python-version=3.13",
        "--platform=manylinux_2_28_aarch64",
        "--platform=any",
    ]


def test_a_host_like_this_one_needs_no_flags():
    assert Target().flags == []


def test_the_project_s_own_wheel_is_named_with_its_hash(tmp_path):
    wheel = tmp_path / "dewline-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    digest = hashlib.sha256(b"a wheel").hexdigest()
    assert own_requirement(wheel) == f"dewline==1.2.3 \\\n    --hash=sha256:{digest}\n"


LOCKED = """\
other-thing==1.0 \\
    --hash=sha256:aa
some-thing==2.0 ; python_version >= '3' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
"""


def test_a_wheel_built_here_is_taken_beside_what_was_locked(tmp_path):
    wheel = tmp_path / "some_thing-2.0-py3-none-any.whl"
    wheel.write_bytes(b"built")
    digest = hashlib.sha256(b"built").hexdigest()
    before, after = LOCKED.split("    --hash=sha256:bb", 1)
    wanted = f"{before}    --hash=sha256:{digest} \\\n    --hash=sha256:bb{after}"
    assert with_wheel(LOCKED, wheel) == wanted


def test_a_wheel_of_another_version_is_refused(tmp_path):
    wheel = tmp_path / "some_thing-2.1-py3-none-any.whl"
    wheel.write_bytes(b"built")
    with pytest.raises(SetupError, match="some_thing-2"):
        with_wheel(LOCKED, wheel)
