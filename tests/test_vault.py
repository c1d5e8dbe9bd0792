"""A sealed secret opens only for its target, and only with the key."""

import base64
import os
import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, strategies as st

from processor.config import load
from processor.errors import ConfigError
from processor.vault import MasterKey, Vault, is_sealed, key_of, master_keys

OLD, NEW = (MasterKey(name, bytes([n]) * 32) for n, name in enumerate(("k1", "k2"), 1))
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
BOTH = Vault([NEW, OLD])


def text(*keys: MasterKey) -> str:
    return ",".join(f"{one.id}:{base64.b64encode(one.key).decode()}" for one in keys)


# --- sealing and opening --------------------------------------------------------------------


@given(st.text(), st.text(min_size=1))
def test_a_sealed_secret_opens(secret: str, target: str):
    if not is_sealed(secret):
        sealed = BOTH.seal(target, secret)
        assert (is_sealed(sealed), key_of(sealed)) == (True, "k2")
        assert BOTH.open(target, sealed) == secret


def test_a_sealed_secret_has_the_documented_format():
    raw = base64.b64decode(BOTH.seal("sub_1", SECRET).removeprefix("sealed:k2:"), validate=True)
    assert AESGCM(NEW.key).decrypt(raw[:12], raw[12:], b"sub_1").decode() == SECRET


def test_no_two_seals_are_alike():
    assert len({BOTH.seal("sub_1", SECRET) for _ in range(100)}) == 100


def test_the_first_key_seals_and_all_open():
    for vault in (Vault([OLD]), Vault([NEW]), Vault([NEW, OLD]), Vault([OLD, NEW])):
        sealed = vault.seal("sub_1", SECRET)
        assert key_of(sealed) == vault.newest
        assert BOTH.open("sub_1", sealed) == SECRET


def test_a_sealed_secret_is_not_sealed_twice():
    sealed = Vault([OLD]).seal("sub_1", SECRET)
    assert BOTH.seal("sub_1", sealed) == sealed


def test_without_keys_secrets_stay_unencrypted():
    assert Vault().seal("sub_1", SECRET) == SECRET == Vault().open("sub_1", SECRET)
    assert Vault().current(SECRET)


def test_an_unencrypted_secret_is_read():
    assert BOTH.open("sub_1", SECRET) == SECRET


def test_renewing_seals_with_the_first_key():
    for kept in (SECRET, Vault([OLD]).seal("sub_1", SECRET)):
        assert not BOTH.current(kept)
        renewed = BOTH.renew("sub_1", kept)
        assert Vault([NEW]).open("sub_1", renewed) == SECRET
        assert BOTH.renew("sub_1", renewed) == renewed


def test_a_decrypted_secret_is_cached_for_its_target_only():
    sealed = BOTH.seal("sub_1", SECRET)
    assert BOTH.open("sub_1", sealed) is BOTH.open("sub_1", sealed)
    with pytest.raises(ConfigError, match="sub_2"):
        BOTH.open("sub_2", sealed)


# --- what does not open ---------------------------------------------------------------------


def test_a_missing_key_is_named_with_a_remedy():
    sealed = Vault([OLD]).seal("sub_1", SECRET)
    for vault in (Vault(), Vault([NEW])):
        with pytest.raises(ConfigError, match=r"sub_1.*'k1'.*RINGBACK_MASTER_KEYS.*add that key"):
            vault.open("sub_1", sealed)


def test_a_wrong_key_of_the_id_is_named_with_a_remedy():
    sealed = Vault([OLD]).seal("sub_1", SECRET)
    with pytest.raises(ConfigError, match=r"sub_1.*'k1'.*correct the key"):
        Vault([MasterKey("k1", NEW.key)]).open("sub_1", sealed)


def test_a_sealed_secret_of_another_target_does_not_open():
    with pytest.raises(ConfigError, match="does not open"):
        BOTH.open("sub_2", BOTH.seal("sub_1", SECRET))


def test_no_changed_byte_goes_unnoticed():
    raw = base64.b64decode(BOTH.seal("sub_1", SECRET).removeprefix("sealed:k2:"))
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises(ConfigError, match="does not open"):
            BOTH.open("sub_1", "sealed:k2:" + base64.b64encode(changed).decode())


@given(st.binary(min_size=1, max_size=40))
def test_garbage_under_a_known_key_is_a_clear_error(raw: bytes):
    for tail in (base64.b64encode(raw).decode(), raw.hex(), "A", "A==="):
        with pytest.raises(ConfigError, match="'k2'"):
            BOTH.open("sub_1", f"sealed:k2:{tail}")


@given(st.text())
def test_a_secret_that_only_looks_sealed_is_sealed(text: str):
    if not is_sealed(secret := f"sealed:{text}"):
        assert BOTH.open("sub_1", BOTH.seal("sub_1", secret)) == secret


def test_no_error_quotes_a_secret():
    sealed = Vault([OLD]).seal("sub_1", SECRET)
    for vault in (Vault([NEW]), Vault([MasterKey("k1", NEW.key)])):
        with pytest.raises(ConfigError) as error:
            vault.open("sub_1", sealed)
        assert sealed[-20:] not in str(error.value)


# --- the setting ----------------------------------------------------------------------------


def test_master_keys_are_read_in_order():
    assert master_keys(text(NEW, OLD)) == (NEW, OLD)
    assert master_keys(text(NEW, OLD).replace(",", "\n")) == (NEW, OLD)


BAD = {
    "k1": "entry 1",
    base64.b64encode(os.urandom(32)).decode(): "entry 1",
    "K1:" + "A" * 43 + "=": "entry 1",
    "k" * 33 + ":" + "A" * 43 + "=": "entry 1",
    f"{text(OLD)},": "is not set",
    f"{text(OLD)},nothing": "entry 2",
    "k1:": "'k1'",
    "k1:" + "A" * 43: "'k1'",
    "k1:" + base64.b64encode(b"x" * 16).decode(): "'k1'",
    "k1:" + "-_" * 21 + "A=": "'k1'",
    "env:UNSET": "env:UNSET is not set",
    f"{text(OLD)},env:UNSET": "env:UNSET is not set",
}


@pytest.mark.parametrize(("given", "named"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_setting_is_one_line_with_the_command_to_create_a_good_one(given: str, named: str):
    with pytest.raises(ConfigError) as error:
        load(None, {"RINGBACK_MASTER_KEYS": given})
    line = str(error.value)
    assert line.startswith("RINGBACK_MASTER_KEYS: ")
    assert named in line
    assert "openssl rand -base64 32" in line
    assert "\n" not in line
    assert not [word for word in re.split(r"[,:]", given) if len(word) > 32 and word in line]


def test_two_keys_of_one_id_are_refused():
    with pytest.raises(ConfigError, match="two keys 'k1'"):
        load(None, {"RINGBACK_MASTER_KEYS": text(OLD, MasterKey("k1", NEW.key))})


def test_keys_may_be_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "new").write_text(text(NEW) + "\n")
    monkeypatch.chdir(tmp_path)
    environ = {"RINGBACK_MASTER_KEYS": "file:new,env:OLD_KEY", "OLD_KEY": text(OLD)}
    assert load(None, environ).master_keys == (NEW, OLD)
    (tmp_path / "both").write_text(f"{text(NEW)}\n{text(OLD)}\n")
    assert load(None, {"RINGBACK_MASTER_KEYS": "file:both"}).master_keys == (NEW, OLD)


def test_the_command_of_the_remedy_creates_a_good_key():
    """What openssl prints is the base64 of 32 bytes."""
    made = base64.b64encode(os.urandom(32)).decode()
    assert load(None, {"RINGBACK_MASTER_KEYS": f"k1:{made}"}).master_keys[0].id == "k1"


def test_keys_are_never_shown():
    settings = load(None, {"RINGBACK_MASTER_KEYS": text(NEW, OLD)})
    shown = f"{settings.masked()} {settings!r}"
    for key in (NEW, OLD):
        assert base64.b64encode(key.key).decode() not in shown
        assert repr(key.key) not in shown
    assert list(settings.masked()["master_keys"]) == ["k2", "k1"]


def test_unset_and_empty_mean_no_keys():
    assert load(None, {}).master_keys == load(None, {"RINGBACK_MASTER_KEYS": ""}).master_keys == ()


def test_the_overlap_is_a_day_unless_said():
    assert load(None, {}).secret_overlap == 86_400
    assert load(None, {"RINGBACK_SECRET_OVERLAP": "90m"}).secret_overlap == 5_400
    with pytest.raises(ConfigError, match=r"RINGBACK_SECRET_OVERLAP.*24h"):
        load(None, {"RINGBACK_SECRET_OVERLAP": "a day"})
