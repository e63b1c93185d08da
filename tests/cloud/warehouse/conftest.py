"""The warehouse's own tests run on each server that this machine can start."""

import pytest

from deploy.local.database_choice import available


@pytest.fixture(scope="session", params=available(), ids=lambda server: server.product)
def database(request, stack_base):
    """The run's database servers."""
    server = request.param.start(stack_base)
    yield server
    server.stop()
