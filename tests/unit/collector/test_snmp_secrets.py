"""Credentials at rest: encrypted, rotated, private, never shown."""

import pytest
from cryptography.fernet import Fernet

from collector.secrets import EncryptedCredentials, key_from_file
from collector.snmp.engine import Community, UsmUser
from crm_core.domain.errors import InvalidConfiguration, InvalidValue, NotFound

USER = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")


def test_what_is_put_is_got_in_order(tmp_path):
    store = EncryptedCredentials(tmp_path / "credentials", [Fernet.generate_key()])
    store.put("site-a", Community("s3cret"))
    store.put("v3", USER)
    store.put("old", Community("legacy", "1"))
    assert list(store.all().items()) == [
        ("site-a", Community("s3cret")),
        ("v3", USER),
        ("old", Community("legacy", "1")),
    ]
    store.remove("old")
    store.remove("never there")
    with pytest.raises(NotFound):
        store.get("old")


def test_the_file_shows_no_secret_and_is_private(tmp_path):
    path = tmp_path / "credentials"
    EncryptedCredentials(path, [Fernet.generate_key()]).put("v3", USER)
    body = path.read_bytes()
    assert b"auth-password" not in body
    assert b"reader" not in body
    assert path.stat().st_mode & 0o077 == 0


def test_keys_rotate(tmp_path):
    path, old, new = tmp_path / "credentials", Fernet.generate_key(), Fernet.generate_key()
    EncryptedCredentials(path, [old]).put("v3", USER)
    EncryptedCredentials(path, [new, old]).rotate()
    assert EncryptedCredentials(path, [new]).get("v3") == USER
    with pytest.raises(InvalidConfiguration):
        EncryptedCredentials(path, [old]).all()


def test_wrong_keys_and_damaged_files_are_said_plainly(tmp_path):
    path = tmp_path / "credentials"
    with pytest.raises(InvalidConfiguration):
        EncryptedCredentials(path, [])
    with pytest.raises(InvalidConfiguration):
        EncryptedCredentials(path, [b"short"])
    path.write_bytes(b"garbage")
    with pytest.raises(InvalidConfiguration):
        EncryptedCredentials(path, [Fernet.generate_key()]).all()


def test_a_key_file_is_made_once_and_must_be_private(tmp_path):
    path = tmp_path / "key"
    key = key_from_file(path)
    assert key_from_file(path) == key
    path.chmod(0o644)
    with pytest.raises(InvalidConfiguration):
        key_from_file(path)


def test_secrets_do_not_show():
    assert "s3cret" not in repr(Community("s3cret"))
    assert "password" not in repr(USER).replace("auth_password", "").replace("priv_password", "")


@pytest.mark.parametrize(
    "arguments",
    [
        {"auth": "none", "priv": "aes128", "priv_password": "long-enough"},
        {"auth": "sha256", "auth_password": "short"},
        {"auth": "sha256", "auth_password": "long-enough", "priv": "aes128", "priv_password": "short"},
    ],
)
def test_impossible_v3_users_are_refused(arguments):
    with pytest.raises(InvalidValue):
        UsmUser("u", **arguments)
