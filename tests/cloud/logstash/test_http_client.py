"""The HTTP client over real sockets, against the stand-in for Logstash's http input."""

import json
import socket
from itertools import repeat

import pytest

from cloud.errors import ProjectionError
from cloud.logstash.http_client import HttpAddress, HttpClient
from contract.errors import ConfigError
from deploy.local.logstash_input import Answer, IntakeManner
from transport.tls import server_context

BODY = json.dumps([{"n": n} for n in range(4)]).encode()


def client_to(intake, **named):
    return HttpClient(HttpAddress(url=intake.url, **named))


@pytest.fixture
def taken():
    return []


def test_events_arrive_over_one_connection(new_intake, taken):
    intake = new_intake(taken.append)
    client = client_to(intake)
    assert [client.post(BODY) for _ in range(5)] == [200] * 5
    assert taken == [{"n": n} for n in range(4)] * 5
    assert intake.connections_total == 1
    client.close()


def test_an_account_is_asked_for(new_intake, taken):
    intake = new_intake(taken.append, manner=IntakeManner(account=("search", "geheim ü")))
    known = client_to(intake, user="search", password="geheim ü")
    assert known.post(BODY) == 200
    stranger = client_to(intake)
    assert stranger.post(BODY) == 401
    assert len(taken) == 4
    known.close()
    stranger.close()


@pytest.mark.parametrize(
    ("answer", "status", "arrived"),
    [
        (Answer.BUSY, 429, 0),
        (Answer.FAILED, 500, 0),
        (Answer.FAILED_PARTLY, 500, 2),
        (Answer.UNAVAILABLE, 503, 0),
    ],
)
def test_an_answer_is_handed_on(new_intake, taken, answer, status, arrived):
    client = client_to(new_intake(taken.append, iter([answer, Answer.TAKEN]).__next__))
    assert client.post(BODY) == status
    assert len(taken) == arrived
    assert client.post(BODY) == 200
    client.close()


@pytest.mark.parametrize(
    ("answer", "arrived"),
    [(Answer.CUT, 0), (Answer.CUT_AFTER, 4), (Answer.SLOW, 4)],
)
def test_no_answer_is_an_error_that_may_pass_and_the_next_request_connects_anew(
    new_intake, taken, answer, arrived, wait_until
):
    manner = IntakeManner(slow_s=4.0)
    intake = new_intake(taken.append, iter([answer, *repeat(Answer.TAKEN, 3)]).__next__, manner)
    client = client_to(intake, timeout_s=2)
    with pytest.raises(ProjectionError, match=r"no answer: .*is Logstash running|within 2 s"):
        client.post(BODY)
    wait_until(lambda: len(taken) == arrived)
    assert client.post(BODY) == 200
    assert intake.connections_total == 2
    client.close()


def test_a_full_queue_is_silent_first_and_then_answers_429(new_intake, taken, wait_until):
    intake = new_intake(taken.append, manner=IntakeManner(blocked_s=0.5))
    client = client_to(intake, timeout_s=1)
    intake.has_space.clear()
    with pytest.raises(ProjectionError, match=r"within 1 s: Logstash's queue is full, or .* hangs"):
        client.post(BODY)
    assert [client.post(BODY) for _ in range(3)] == [429] * 3
    assert taken == []
    intake.has_space.set()
    wait_until(lambda: len(taken) == 4)  # the first post arrives after all
    assert client.post(BODY) == 200
    client.close()


def test_an_intake_that_ends_with_a_full_queue_has_taken_nothing(new_intake, taken):
    intake = new_intake(taken.append)
    intake.has_space.clear()
    client = client_to(intake, timeout_s=0.5)
    with pytest.raises(ProjectionError, match=r"within 0\.5 s"):
        client.post(BODY)
    intake.close()
    with pytest.raises(ProjectionError, match=r"no answer: .*is Logstash running"):
        client.post(BODY)
    assert taken == []


def test_the_time_limit_is_longer_than_logstash_s_own():
    """Logstash answers 429 to others when a post has waited for 10 s; a minute is too silent."""
    assert 2 * IntakeManner().blocked_s < HttpAddress(url="http://h").timeout_s < 60


@pytest.mark.parametrize(
    ("account", "key"),
    [
        ({"user": "u", "password": "a${HOME}b"}, "logstash_password_file"),
        ({"user": "u", "password": "${X:default}"}, "logstash_password_file"),
        ({"user": "${USER}", "password": "geheim"}, "logstash_user"),
    ],
)
def test_an_account_that_logstash_would_rewrite_is_refused(account, key):
    with pytest.raises(ConfigError, match=rf"\[search\] {key}: .*Logstash would replace") as error:
        HttpClient(HttpAddress(url="http://h:1", **account))
    assert account["password"] not in str(error.value)
    HttpClient(HttpAddress(url="http://h:1", user="u", password="a$b{c}$"))


def test_a_connection_that_the_server_closed_while_idle_is_an_error_that_may_pass(new_intake):
    intake = new_intake(lambda _event: None)
    client = client_to(intake)
    assert client.post(BODY) == 200
    intake.close()
    with pytest.raises(ProjectionError):
        client.post(BODY)
    client.close()


def test_an_answer_that_comes_before_everything_was_sent_is_read():
    """A proxy that answers 413 and closes without reading the body."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = HttpClient(HttpAddress(url=url, timeout_s=5))
        client._connection.connect()
        server, _ = listener.accept()
        with server:
            server.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            server.shutdown(socket.SHUT_WR)
            assert client.post(BODY) == 413
        client.close()


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProjectionError, match=r"refused; is Logstash running"):
        HttpClient(HttpAddress(url=f"http://127.0.0.1:{port}")).post(BODY)


def test_a_body_beyond_the_limit(new_intake, taken):
    client = client_to(new_intake(taken.append, manner=IntakeManner(most_bytes=10)))
    assert client.post(BODY) == 413
    assert taken == []
    client.close()


@pytest.mark.parametrize(
    "url",
    ["logstash:8443", "ftp://host:1", "https://", "https://user:secret@host:1", "https://h:port"],
)
def test_an_address_that_cannot_be_used_is_refused_with_an_example(url):
    with pytest.raises(ConfigError, match=r"logstash_url: .*expected such as https://"):
        HttpClient(HttpAddress(url=url))


@pytest.fixture
def tls_intake(new_intake, certificates, tmp_path, taken):
    certificates.install(tmp_path)
    pair = (str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
    return new_intake(taken.append, manner=IntakeManner(tls=server_context(*pair, "test")))


def test_over_tls(tls_intake, certificates, taken):
    client = client_to(tls_intake, ca_file=str(certificates.ca))
    assert [client.post(BODY), client.post(BODY)] == [200, 200]
    assert len(taken) == 8
    assert tls_intake.connections_total == 1
    client.close()


def test_a_certificate_of_nobody_we_know_is_refused_for_good(tls_intake, taken):
    with pytest.raises(ConfigError, match=r"logstash_url: .*no authority in ca_file"):
        client_to(tls_intake).post(BODY)
    assert taken == []


def test_an_authority_s_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"ca_file: .*gone.pem"):
        HttpClient(HttpAddress(url="https://h:1", ca_file=str(tmp_path / "gone.pem")))
