"""The forms of a Redis URL."""

import pytest

from weighbridge.plaintext import goes_in_plaintext
from weighbridge.server_url import parse_server_url, with_tls_files


def test_a_plain_url_is_left_to_redis_py() -> None:
    server = parse_server_url("rediss://user:pw@host:7000/2?ssl_ca_certs=/ca.pem")
    assert (server.kind, server.tls, server.hosts) == ("single", True, (("host", 7000),))
    assert server.plain == "rediss://user:pw@host:7000/2?ssl_ca_certs=/ca.pem"


def test_sentinels_have_a_service_and_a_database() -> None:
    server = parse_server_url("redis+sentinel://u:p@a,b:1,[::1]:2/main/3?sentinel_password=x")
    assert (server.kind, server.service, server.tls) == ("sentinel", "main", False)
    assert server.hosts == (("a", 26379), ("b", 1), ("::1", 2))
    assert server.plain == "redis://u:p@localhost/3?sentinel_password=x"


def test_a_cluster_is_known_by_some_of_its_nodes() -> None:
    server = parse_server_url("rediss+cluster://a:7000,b")
    assert (server.kind, server.tls, server.hosts) == (
        "cluster",
        True,
        (("a", 7000), ("b", 6379)),
    )


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "redis+sentinel://h", "redis+sentinel://h/s/x", "redis+cluster://h/1"),
        *("redis+cluster://h,,i", "redis+cluster://h:x", "unix+cluster://h", "rediss+x://h"),
        "h:1",
    ],
)
def test_other_forms_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="takes"):
        parse_server_url(url)


def test_no_password_is_in_a_repr() -> None:
    assert "canary" not in repr(parse_server_url("redis+cluster://u:canary@a,b"))


def test_one_host_that_is_another_machine_makes_a_url_plaintext() -> None:
    assert goes_in_plaintext("redis+cluster://127.0.0.1:1,other:2")
    assert goes_in_plaintext("redis+sentinel://other/main")
    assert not goes_in_plaintext("redis+cluster://127.0.0.1:1,localhost:2")
    assert not goes_in_plaintext("rediss+cluster://other")
    assert not goes_in_plaintext("unix:///run/redis.sock")


def test_what_a_url_says_of_tls_itself_stays() -> None:
    url = "rediss://h/0?ssl_ca_certs=/own.pem"
    assert with_tls_files(url, "/ca.pem", "", "") == url
    assert with_tls_files(url, "", "/c.pem", "") == f"{url}&ssl_certfile=%2Fc.pem"
    assert with_tls_files("redis://h", "/ca.pem", "", "") == "redis://h"
