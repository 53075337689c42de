"""Every option: its default, what it takes, and the sentence with which it refuses the rest."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from weighbridge import QueueSettings, SettingsError
from weighbridge.settings import load, options
from weighbridge_worker.gateway.settings import GatewaySettings
from weighbridge_worker.settings import SAFE_RPM, WorkerSettings

KEY = "0123456789abcdef"
TAKEN = [
    (QueueSettings, "WEIGHBRIDGE_REDIS_URL", "rediss://h:1/0", "redis_url", "rediss://h:1/0"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_CA", __file__, "redis_ca", __file__),
    (QueueSettings, "WEIGHBRIDGE_REDIS_CERT", __file__, "redis_cert", __file__),
    (QueueSettings, "WEIGHBRIDGE_REDIS_KEY", __file__, "redis_key", __file__),
    (QueueSettings, "WEIGHBRIDGE_WAIT_REPLICAS", "2", "wait_replicas", 2),
    (QueueSettings, "WEIGHBRIDGE_ALLOW_PLAINTEXT", "1", "allow_plaintext", True),
    (QueueSettings, "WEIGHBRIDGE_NAMESPACE", "team-a", "namespace", "team-a"),
    (QueueSettings, "WEIGHBRIDGE_PARTITION", "red", "partition", "red"),
    (
        QueueSettings,
        "WEIGHBRIDGE_DIGEST_KEY",
        KEY,
        "digest_key",
        KEY.encode(),
    ),
    (QueueSettings, "WEIGHBRIDGE_PRODUCER", "billing", "producer", "billing"),
    (QueueSettings, "WEIGHBRIDGE_MAX_QUEUE", "10", "max_queue", 10),
    (QueueSettings, "WEIGHBRIDGE_MAX_QUEUE_BYTES", "33554432", "max_queue_bytes", 2**25),
    (QueueSettings, "WEIGHBRIDGE_JOB_DEADLINE", "60", "deadline_s", 60.0),
    (WorkerSettings, "WEIGHBRIDGE_RPM", "5000", "rpm", 5000),
    (WorkerSettings, "WEIGHBRIDGE_RPM", "auto", "rpm", "auto"),
    (WorkerSettings, "WEIGHBRIDGE_SLOW_START", "0.25", "slow_start", 0.25),
    (WorkerSettings, "WEIGHBRIDGE_CONCURRENCY", "8", "concurrency", 8),
    (WorkerSettings, "WEIGHBRIDGE_PROCESSES", "2", "processes", 2),
    (WorkerSettings, "WEIGHBRIDGE_CALL_DEADLINE", "2.5", "call_deadline_s", 2.5),
    (WorkerSettings, "WEIGHBRIDGE_LEASE", "60", "lease_s", 60.0),
    (WorkerSettings, "WEIGHBRIDGE_DRAIN", "22", "drain_s", 22.0),
    (WorkerSettings, "WEIGHBRIDGE_GRACE", "60", "grace_s", 60.0),
    (WorkerSettings, "WEIGHBRIDGE_HEALTH_PORT", "8398", "health_port", 8398),
    (WorkerSettings, "WEIGHBRIDGE_HEALTH_HOST", "0.0.0.0", "health_host", "0.0.0.0"),
    (WorkerSettings, "WEIGHBRIDGE_MAX_ATTEMPTS", "3", "max_attempts", 3),
    (WorkerSettings, "WEIGHBRIDGE_CACHE_TTL", "600", "cache_ttl_s", 600),
    (WorkerSettings, "WEIGHBRIDGE_DEAD_TTL", "0", "dead_ttl_s", 0),
    (WorkerSettings, "WEIGHBRIDGE_LOG_LEVEL", "debug", "log_level", "debug"),
    (WorkerSettings, "WEIGHBRIDGE_LOG_FORMAT", "json", "log_format", "json"),
    (WorkerSettings, "ANTHROPIC_API_KEY", "sk-1", "api_key", "sk-1"),
    (WorkerSettings, "ANTHROPIC_AUTH_TOKEN", "t-1", "auth_token", "t-1"),
    (WorkerSettings, "ANTHROPIC_ADMIN_KEY", "sk-admin-1", "admin_key", "sk-admin-1"),
    (WorkerSettings, "ANTHROPIC_BASE_URL", "http://h:1", "base_url", "http://h:1"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_HOST", "::1", "host", "::1"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_PORT", "80", "port", 80),
    (GatewaySettings, "WEIGHBRIDGE_TOKENS_FILE", "/t.toml", "tokens_file", "/t.toml"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_PATIENCE", "5", "patience_s", 5.0),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_CONNECTIONS", "10", "max_connections", 10),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_MEMORY", "33554432", "max_body_bytes", 2**25),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_READ_TIMEOUT", "3", "read_timeout_s", 3.0),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_DRAIN", "3", "drain_s", 3.0),
    (GatewaySettings, "WEIGHBRIDGE_LOG_LEVEL", "debug", "log_level", "debug"),
    (GatewaySettings, "WEIGHBRIDGE_LOG_FORMAT", "json", "log_format", "json"),
]
KINDS = (QueueSettings, WorkerSettings, GatewaySettings)
REFUSED = [
    (QueueSettings, "WEIGHBRIDGE_REDIS_URL", "http://h"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_URL", "redis+sentinel://h"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_URL", "redis+cluster://h/1"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_URL", "redis+cluster://h,,i"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_CA", "/not/there.pem"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_CERT", "/not/there.pem"),
    (QueueSettings, "WEIGHBRIDGE_REDIS_KEY", "/not/there.pem"),
    (QueueSettings, "WEIGHBRIDGE_WAIT_REPLICAS", "-1"),
    (QueueSettings, "WEIGHBRIDGE_ALLOW_PLAINTEXT", "yes"),
    (QueueSettings, "WEIGHBRIDGE_NAMESPACE", "a b"),
    (QueueSettings, "WEIGHBRIDGE_NAMESPACE", "{a}"),
    (QueueSettings, "WEIGHBRIDGE_PARTITION", "a/b"),
    (QueueSettings, "WEIGHBRIDGE_DIGEST_KEY", "short"),
    (QueueSettings, "WEIGHBRIDGE_PRODUCER", "é"),
    (QueueSettings, "WEIGHBRIDGE_MAX_QUEUE", "0"),
    (QueueSettings, "WEIGHBRIDGE_JOB_DEADLINE", "nan"),
    (WorkerSettings, "WEIGHBRIDGE_RPM", "many"),
    (WorkerSettings, "WEIGHBRIDGE_RPM", "0"),
    (WorkerSettings, "WEIGHBRIDGE_RPM", "AUTO"),
    (WorkerSettings, "WEIGHBRIDGE_RPM", "1000001"),
    (WorkerSettings, "WEIGHBRIDGE_SLOW_START", "0.01"),
    (WorkerSettings, "WEIGHBRIDGE_SLOW_START", "1"),
    (WorkerSettings, "WEIGHBRIDGE_SLOW_START", "nan"),
    (WorkerSettings, "WEIGHBRIDGE_CONCURRENCY", "1.5"),
    (WorkerSettings, "WEIGHBRIDGE_PROCESSES", "0"),
    (WorkerSettings, "WEIGHBRIDGE_CALL_DEADLINE", "0"),
    (WorkerSettings, "WEIGHBRIDGE_LEASE", "inf"),
    (WorkerSettings, "WEIGHBRIDGE_DRAIN", "-1"),
    (WorkerSettings, "WEIGHBRIDGE_GRACE", "0"),
    (WorkerSettings, "WEIGHBRIDGE_HEALTH_PORT", "65536"),
    (WorkerSettings, "WEIGHBRIDGE_HEALTH_HOST", "a b"),
    (WorkerSettings, "WEIGHBRIDGE_MAX_ATTEMPTS", ""),
    (WorkerSettings, "WEIGHBRIDGE_CACHE_TTL", "60"),
    (WorkerSettings, "WEIGHBRIDGE_DEAD_TTL", "1d"),
    (WorkerSettings, "WEIGHBRIDGE_LOG_LEVEL", "loud"),
    (WorkerSettings, "WEIGHBRIDGE_LOG_FORMAT", "xml"),
    (WorkerSettings, "ANTHROPIC_BASE_URL", "ftp://h"),
    (WorkerSettings, "ANTHROPIC_BASE_URL", "https://user:password@h"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_HOST", "a b"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_PORT", "65536"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_PATIENCE", "0"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_CONNECTIONS", "0"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_MEMORY", "1000"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_READ_TIMEOUT", "nan"),
    (GatewaySettings, "WEIGHBRIDGE_GATEWAY_DRAIN", "-1"),
]


@pytest.mark.parametrize(("settings", "variable", "text", "name", "value"), TAKEN)
def test_an_option_is_read_from_its_variable(
    settings: type[Any], variable: str, text: str, name: str, value: object
) -> None:
    assert getattr(load(settings, {variable: text}), name) == value


def test_every_option_is_covered_here() -> None:
    declared = {(kind, option.variable) for kind in KINDS for option in options(kind)}
    assert declared == {(kind, variable) for kind, variable, *_ in TAKEN}


@pytest.mark.parametrize(("settings", "variable", "text"), [case for case in REFUSED if case[2]])
def test_a_wrong_value_is_refused_by_name(settings: type[Any], variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load(settings, {variable: text})


@pytest.mark.parametrize("settings", KINDS)
def test_an_empty_environment_gives_the_defaults(settings: type[Any]) -> None:
    empty = {option.variable: "" for option in options(settings)}
    assert load(settings, {}) == load(settings, empty) == settings()


def test_what_the_caller_gives_goes_before_the_environment() -> None:
    given = load(WorkerSettings, {"WEIGHBRIDGE_RPM": "5"}, rpm=7, concurrency=None)
    assert (given.rpm, given.concurrency) == (7, WorkerSettings().concurrency)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gateway.example.org"])
def test_a_gateway_that_others_can_reach_takes_a_tokens_file(host: str) -> None:
    with pytest.raises(SettingsError, match="WEIGHBRIDGE_TOKENS_FILE"):
        GatewaySettings(host=host)
    assert GatewaySettings(host=host, tokens_file="/t.toml").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_gateway_on_a_loopback_address_needs_none(host: str) -> None:
    assert GatewaySettings(host=host).tokens_file == ""


def test_without_a_rate_the_lowest_published_limit_is_assumed() -> None:
    assert WorkerSettings().rate == SAFE_RPM
    assert WorkerSettings(rpm=5000).rate == 5000


def test_a_rate_still_to_be_found_out_is_the_safe_one() -> None:
    assert WorkerSettings(rpm="auto").rate == SAFE_RPM


def test_a_rate_says_what_it_takes() -> None:
    with pytest.raises(SettingsError, match="a whole number from 1 to 1,000,000, or auto"):
        load(WorkerSettings, {"WEIGHBRIDGE_RPM": "many"})


@pytest.mark.parametrize("name", ["api_key", "admin_key"])
def test_a_secret_may_come_from_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_text("sk-from-file\n")
    environ = {f"ANTHROPIC_{name.upper()}_FILE": str(tmp_path / "key")}
    assert getattr(load(WorkerSettings, environ), name) == "sk-from-file"


def test_a_secret_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY_FILE"):
        load(WorkerSettings, {"ANTHROPIC_API_KEY_FILE": str(tmp_path / "none")})


def test_secrets_are_in_no_repr_and_no_refusal() -> None:
    queue = QueueSettings(redis_url="rediss://:canary@h", digest_key=b"canary-canary-canary")
    worker = WorkerSettings(api_key="canary", auth_token="canary", admin_key="canary")
    assert "canary" not in repr(queue) + repr(worker)
    with pytest.raises(SettingsError) as caught:
        load(QueueSettings, {"WEIGHBRIDGE_REDIS_URL": "http://:canary@h"})
    assert "canary" not in str(caught.value)


def test_a_call_must_fit_into_its_lease_and_into_a_drain() -> None:
    with pytest.raises(SettingsError, match="WEIGHBRIDGE_LEASE"):
        WorkerSettings(call_deadline_s=10.0, lease_s=10.0)
    with pytest.raises(SettingsError, match="WEIGHBRIDGE_DRAIN"):
        WorkerSettings(call_deadline_s=10.0, drain_s=10.0)
    with pytest.raises(SettingsError, match="WEIGHBRIDGE_GRACE"):
        WorkerSettings(drain_s=30.0, grace_s=30.0)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://127.9.9.9",
        "redis://user:secret@localhost",
        "redis://[::1]:6379",
        "redis:///0",
        "rediss://redis.example.org",
        "unix:///run/redis.sock",
    ],
)
def test_what_nobody_else_can_read_needs_no_leave(url: str) -> None:
    assert QueueSettings(redis_url=url).redis_url == url


@pytest.mark.parametrize(
    "url",
    ["redis://:canary@redis:6379/0", "redis://10.0.0.7", "redis://[fd00::1]", "redis:///0?host=h"],
)
def test_another_machine_without_tls_needs_leave(url: str) -> None:
    with pytest.raises(SettingsError, match=r"rediss://.*WEIGHBRIDGE_ALLOW_PLAINTEXT=1") as caught:
        QueueSettings(redis_url=url)
    assert "canary" not in str(caught.value)
    assert QueueSettings(redis_url=url, allow_plaintext=True).redis_url == url


def test_the_files_of_tls_travel_in_the_url() -> None:
    environ = {
        "WEIGHBRIDGE_REDIS_URL": "rediss+sentinel://u:p@a:1,b:2/wb/3",
        "WEIGHBRIDGE_REDIS_CA": __file__,
    }
    url = load(QueueSettings, environ).redis_url
    assert parse_qs(urlsplit(url).query) == {"ssl_ca_certs": [__file__]}
    assert url.startswith("rediss+sentinel://u:p@a:1,b:2/wb/3?")
    assert load(QueueSettings, environ, redis_url="redis://localhost").redis_url.endswith("host")
    assert load(QueueSettings, environ | {"WEIGHBRIDGE_REDIS_URL": url}).redis_url == url
