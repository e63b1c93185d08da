"""History in: imported weather is in Elasticsearch as the lake has it.

`test_cold_store.py` and the demo continue with imported history up to a bundle on a gateway.
"""

import json

import pytest

from cloud.cli import main
from deploy.local.weather import HISTORY_MAPPING, Shift, recorded_ms, write_history

pytestmark = pytest.mark.services

CONFIG = """\
[lake]
root = "{folder}/lake"
period = "month"
grace_s = 0.0
[search]
url = "{search}"
prefix = "history"
[warehouse]
port = {url.port}
user = "{url.username}"
password_file = "{folder}/password"
database = "{url.database}"
"""


def test_elasticsearch_has_every_imported_record(tmp_path, own_database, elasticsearch, capsys):
    """`search verify` compares the documents with the lake's keys."""
    write_history(tmp_path / "weather.csv", Shift(0), recorded_ms("2013-02-01T00:00:00+00:00"))
    config = tmp_path / "cloud.toml"
    (tmp_path / "password").write_text(own_database.password)
    config.write_text(CONFIG.format(folder=tmp_path, search=elasticsearch.url, url=own_database))
    words = ("import", str(tmp_path / "weather.csv"), "--mapping", str(HISTORY_MAPPING))
    migrate = ("warehouse", "migrate")
    for command in (migrate, words, ("search", "setup"), ("search", "run"), ("search", "verify")):
        assert main(["--config", str(config), *command]) == 0
    capsys.readouterr()
    assert main(["--config", str(config), *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["readings"] == 0  # the same file stores nothing
    for command in (("lake", "fold"), ("lake", "verify")):
        assert main(["--config", str(config), *command]) == 0
