"""The tokens file: what it takes, and the sentence with which the rest is refused."""

import hashlib
from pathlib import Path

import pytest
from support.gateway_under_test import tokens_file

from weighbridge import Lane, SettingsError
from weighbridge_worker.gateway.tenants import Tenant, Tenants, read_tenants

TOKEN = "canary-canary-canary"
HASHED = f"sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"


def read(folder: Path, text: str, mode: int = 0o600) -> Tenants:
    """Read a file with this text."""
    path = Path(tokens_file(folder, text))
    path.chmod(mode)
    return read_tenants(path)


def test_a_tenant_is_found_by_its_token_and_by_nothing_else(tmp_path: Path) -> None:
    tenants = read(tmp_path, f'[tenants.a]\ntokens = ["{TOKEN}"]')
    assert tenants.find(TOKEN.encode()) == Tenant(name="a", partition="a")
    for other in (b"", TOKEN.encode()[:-1], TOKEN.encode() + b"x", HASHED.encode(), b"\xff"):
        assert tenants.find(other) is None


def test_a_token_may_stand_as_its_hash(tmp_path: Path) -> None:
    tenants = read(tmp_path, f'[tenants.a]\ntokens = ["{HASHED}"]', mode=0o644)
    assert tenants.find(TOKEN.encode()) is not None
    assert tenants.find(HASHED.encode()) is None


def test_a_tenant_says_all_of_itself(tmp_path: Path) -> None:
    text = f"""
[tenants.a]
tokens = ["{TOKEN}", "another-token-of-a"]
lane = "batch"
rate = 600
partition = "shared"
operator = true
"""
    tenants = read(tmp_path, text)
    wanted = Tenant("a", lane=Lane.BATCH, rate=600, partition="shared", operator=True)
    assert tenants.find(TOKEN.encode()) == tenants.find(b"another-token-of-a") == wanted


def test_an_empty_partition_is_the_pools_common_one(tmp_path: Path) -> None:
    tenants = read(tmp_path, f'[tenants.a]\ntokens = ["{TOKEN}"]\npartition = ""')
    assert tenants.find(TOKEN.encode()) == Tenant("a", partition="")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "tables"),
        ("tenants = 1", "tables"),
        (f'token = "{TOKEN}"', "tables"),
        (f'[tenants.a]\ntokens = ["{TOKEN}"]\n[other]', "tables"),
        (f'[tenants.a]\ntokens = ["{TOKEN}', "no TOML"),
        ("[tenants.a]\ntokens = []", "no tokens"),
        ("[tenants.a]", "tokens"),
        ('[tenants.a]\ntokens = "one"', "tokens"),
        ('[tenants.a]\ntokens = ["short"]', "16 to 512"),
        ('[tenants.a]\ntokens = ["sha256:canary"]', "64 hexadecimal"),
        ('[tenants.a]\ntokens = ["canary canary canary"]', "visible ASCII"),
        (f'[tenants.a]\ntokens = ["{TOKEN}"]\nlane = "fast"', "lane"),
        (f'[tenants.a]\ntokens = ["{TOKEN}"]\nrate = 0', "rate"),
        (f'[tenants.a]\ntokens = ["{TOKEN}"]\npartition = "a b"', "partition"),
        (f'[tenants.a]\ntokens = ["{TOKEN}"]\nadmin = true', "unknown field"),
        (f'[tenants."a b"]\ntokens = ["{TOKEN}"]', "name"),
        (f'[tenants.a]\ntokens = ["{TOKEN}"]\n[tenants.b]\ntokens = ["{HASHED}"]', "already"),
    ],
)
def test_nonsense_is_refused_without_repeating_a_token(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=f"WEIGHBRIDGE_TOKENS_FILE.*{said}") as caught:
        read(tmp_path, text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "said"), [(0o620, "go-w"), (0o602, "go-w"), (0o604, "o-r"), (0o666, "go-w")]
)
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, f'[tenants.a]\ntokens = ["{TOKEN}"]', mode)


def test_a_group_may_read_it_as_a_mounted_secret_has_it(tmp_path: Path) -> None:
    assert read(tmp_path, f'[tenants.a]\ntokens = ["{TOKEN}"]', 0o640).find(TOKEN.encode())


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="WEIGHBRIDGE_TOKENS_FILE cannot be read"):
        read_tenants(tmp_path / "none.toml")
