"""`kibana push` and `kibana show`: what they take from the command line and from the file."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cloud.cli import main
from cloud.config import Period
from cloud.search.kibana.objects import bundle
from cloud.search.names import IndexNames

BUNDLE = bundle(IndexNames("dewline", Period.DAY))
TAKEN = b'{"success":true,"successCount":%d}' % BUNDLE.count("\n")


@pytest.fixture
def kibana():
    """A server that takes everything; `.asked` are paths and authorizations."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path.partition("/api")[0], self.headers["authorization"], body))
            self.send_response(200)
            self.send_header("content-length", str(len(TAKEN)))
            self.end_headers()
            self.wfile.write(TAKEN)

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = asked
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "pw").write_text("secret\n")
    (tmp_path / "key").write_text("a2V5\n")

    def call(text, *words):
        (tmp_path / "cloud.toml").write_text(text.format(folder=tmp_path))
        filled = [word.format(folder=tmp_path) for word in words]
        return main(["--config", str(tmp_path / "cloud.toml"), "kibana", *filled])

    return call


def test_the_file_says_it_all(run, kibana, capsys):
    text = (
        f'[kibana]\nurl = "{kibana.url}"\nspace = "farm"\n'
        'username = "elastic"\npassword_file = "{folder}/pw"\n'
    )
    assert run(text, "push") == 0
    ((path, who, body),) = kibana.asked
    assert (path, who) == ("/s/farm", "Basic ZWxhc3RpYzpzZWNyZXQ=")
    assert BUNDLE.encode() in body
    assert "objects imported into space farm" in capsys.readouterr().out


def test_the_command_line_goes_first_and_is_an_identity_of_its_own(run, kibana):
    text = (
        '[kibana]\nurl = "http://127.0.0.1:1"\nspace = "farm"\n'
        'username = "elastic"\npassword_file = "{folder}/pw"\n'
    )
    words = ("--url", kibana.url, "--space", "other", "--api-key-file", "{folder}/key")
    assert run(text, "push", *words) == 0
    assert kibana.asked[0][:2] == ("/s/other", "ApiKey a2V5")


def test_without_a_section(run, kibana):
    words = ("--url", kibana.url, "--user", "elastic", "--password-file", "{folder}/pw")
    assert run("", "push", *words) == 0
    assert kibana.asked[0][:2] == ("", "Basic ZWxhc3RpYzpzZWNyZXQ=")


def test_the_prefix_of_indices_is_that_of_section_search(run, kibana):
    assert run('[search]\nurl = "http://x"\nprefix = "cellar"\n', "push", "--url", kibana.url) == 0
    assert b'"title":"cellar-reading"' in kibana.asked[0][2]


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", (), "[kibana] url is missing"),
        (
            "",
            ("--url", "http://127.0.0.1:1", "--user", "x"),
            "the user or the password file is missing",
        ),
        (
            "",
            (
                "--url=http://127.0.0.1:1",
                "--user=x",
                "--password-file={folder}/pw",
                "--api-key-file={folder}/key",
            ),
            "remove one of them",
        ),
        ("", ("--url=http://127.0.0.1:1", "--api-key-file={folder}/none"), "cannot be read"),
        ('[kibana]\nurl = "x"\ncolour = "red"\n', (), "colour"),
    ],
)
def test_wrong_usage(run, capsys, text, words, said):
    assert run(text, "push", *words) == 2
    assert said in capsys.readouterr().err


def test_a_failure_has_exit_code_1(run, capsys):
    assert run("", "push", "--url", "http://127.0.0.1:1") == 1
    assert "check that Kibana runs there" in capsys.readouterr().err


def test_show_prints_what_push_sends(run, capsys):
    assert run("", "show") == 0
    assert capsys.readouterr().out == BUNDLE
