import base64
import io
import json
import logging
import re
from time import perf_counter
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import BadReply, Denied
from connectors.redact import _PATTERNS, MASK, MIN_LENGTH, RedactingFilter, Redactor, redactor

# A value that holds a piece of the mask cannot be told from masked text (see Redactor).
canaries = st.text(st.characters(codec="utf-8", exclude_characters="[*]"), min_size=MIN_LENGTH, max_size=40).filter(
    lambda value: len(value.strip()) >= MIN_LENGTH
)
texts = st.text(st.characters(codec="utf-8"), max_size=30)


def nested(canary: str) -> st.SearchStrategy[object]:
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(), texts, texts.map(lambda t: t + canary), st.just(canary.encode())
    )
    keys = st.one_of(texts, st.just(canary))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3), st.tuples(inner, inner)
        ),
        max_leaves=8,
    )


def walk(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in walk(part)]
    if isinstance(value, list):
        return [text for item in value for text in walk(item)]
    return [str(value)]


@settings(max_examples=100, deadline=None)
@given(data=st.data(), canary=canaries)
def test_no_registered_value_survives_any_nesting(data: st.DataObject, canary: str) -> None:
    ours = Redactor()
    ours.add(canary)
    secret = canary.strip()
    cleaned = ours.data({"seen": [data.draw(nested(canary)), (canary, {canary: canary})]})
    assert not [text for text in walk(cleaned) if secret in text]
    json.dumps(cleaned)


@settings(max_examples=100, deadline=None)
@given(before=texts, canary=canaries, after=texts)
def test_no_registered_value_survives_in_its_encodings(before: str, canary: str, after: str) -> None:
    ours = Redactor()
    ours.add(canary)
    secret = canary.strip()
    around = before + canary + after
    assert secret not in ours.text(around)
    for spelled in (
        lambda text: quote(text, safe=""),
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: text.encode().hex(),
    ):
        assert spelled(secret) not in ours.text(spelled(around))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert MASK in ours.text(encode(around.encode()).decode())


def test_basic_header_of_a_registered_password_is_masked_at_every_alignment() -> None:
    ours = Redactor()
    ours.add("pa55-w0rd-canary")
    for user in ("a", "ab", "abc", "abcd"):
        token = base64.b64encode(f"{user}:pa55-w0rd-canary".encode()).decode()
        cleaned = ours.text(f"GET / with {token} sent")
        kept = cleaned.removeprefix("GET / with ").removesuffix(" sent").replace(MASK, "")
        assert MASK in cleaned
        assert len(kept) <= len(user) + 8  # what encodes the user name and the padding, no more


PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLWhlcmU"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("authorization: AWS4-HMAC-SHA256 Credential=x/y, Signature=abcdef0123", "abcdef0123"),
        ("{'Authorization': 'Bearer abc.def-ghi_jkl'}", "abc.def-ghi_jkl"),
        ("curl -H 'X-Vault-Token: whatever-shape'", "whatever-shape"),
        ('{"x-vault-token": "whatever-shape"}', "whatever-shape"),
        ("token is s.4mebdcOvpA7vSnR9QxugdVAK now", "4mebdcOvpA7vSnR9QxugdVAK"),
        ("token is hvs.CAESIJ0abcdefghijklmnop now", "CAESIJ0abcdefghijklmnop"),
        ("batch b.AAAAAQJabcdefghijklmnopqrstu", "AAAAAQJabcdefghijklmnopqrstu"),
        ("batch hvb.AAAAAQJabcdefghijklmnopqrstu", "AAAAAQJabcdefghijklmnopqrstu"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("key ASIAIOSFODNN7EXAMPLE used", "ASIAIOSFODNN7EXAMPLE"),
        (f"id {JWT}", "c2lnbmF0dXJlLWhlcmU"),
        (f"key:\n{PEM}\ndone", "b3BlbnNzaC1rZXk"),
        ("-----BEGIN RSA PRIVATE KEY-----\ncut0ff", "cut0ff"),
        ('{"password": "a b\\"c"}', 'a b\\"c'),
        ('{"user": "x", "sharedKey":"k1", "n": 1}', "k1"),
        ("authKey: k2", "k2"),
        ("service_key=k3&x=1", "k3"),
        ("pairingKey = 'k4'", "k4"),
        ("<PreSharedKey>k5</PreSharedKey>", "k5"),
        ('<pre_shared_key type="x">k6</pre_shared_key>', "k6"),
        ('body "{\\"client_secret\\": \\"k7\\"}"', "k7"),
        ("client_secret=k8", "k8"),
        ("neighbor 192.0.2.1 password 7 082F4D", "082F4D"),
    ],
)
def test_known_shapes_are_masked_without_registration(line: str, secret: str) -> None:
    cleaned = Redactor().text(line)
    assert secret not in cleaned
    assert MASK in cleaned


@pytest.mark.parametrize(
    "line",
    [
        "er-primary Established for 3 d, 412 prefixes, local-pref 200",
        "the secret store is sealed: ask its keepers",
        "password is wrong",
        "10.200.0.0/16 via 192.0.2.1, vxc-azure-a, AS 12076",
        "https://management.example/subscriptions/x?api-version=2024-05-01",
        '{"lease_id": "azure/creds/reader/0123", "renewable": true}',
    ],
)
def test_ordinary_lines_stay_as_they_are(line: str) -> None:
    assert Redactor().text(line) == line


def test_secret_named_fields_are_masked_whole_and_structure_stays_json() -> None:
    given_ = {
        "auth": {"client_token": 12345, "policies": ["default"]},
        "secret": {"a": 1},
        "password": None,
        "ok": True,
    }
    assert Redactor().data(given_) == {
        "auth": {"client_token": MASK, "policies": ["default"]},
        "secret": MASK,
        "password": None,
        "ok": True,
    }
    assert json.loads(Redactor().text(json.dumps({"secret": "x", "n": [1]}))) == {"secret": MASK, "n": [1]}


def test_short_values_are_not_registered() -> None:
    ours = Redactor()
    ours.add("edge")
    assert ours.text("edge-1 is up") == "edge-1 is up"


def test_a_registered_number_is_masked_in_data() -> None:
    ours = Redactor()
    ours.add("987654321")
    assert ours.data({"pin": 987654321, "n": 5}) == {"pin": MASK, "n": 5}


def test_log_lines_and_tracebacks_are_redacted() -> None:
    ours = Redactor()
    ours.add("canary-value")
    stream = io.StringIO()
    sink = logging.StreamHandler(stream)
    sink.addFilter(RedactingFilter(ours))
    log = logging.Logger("redaction")  # noqa: LOG001 -- its own, so that no other test's handler sees it
    log.addHandler(sink)
    try:
        int("canary-value")
    except ValueError:
        log.exception("failed with %s and %r", "canary-value", {"k": "canary-value"})
    printed = stream.getvalue()
    assert "canary-value" not in printed
    assert "ValueError: invalid literal for int() with base 10: '[***]'" in printed
    assert "failed with [***]" in printed


def test_errors_redact_what_they_say() -> None:
    redactor.add("error-canary-1")
    denied = Denied("refused error-canary-1", where="Vault x?key=error-canary-1", do_next="try error-canary-1")
    reply = BadReply("not JSON", where="x", do_next="y", evidence="<html>error-canary-1 " + "z" * 1000)
    assert "error-canary-1" not in str(denied) + repr(denied) + str(reply) + repr(reply) + reply.evidence
    assert len(reply.evidence) <= 200
    assert re.search(r"Vault x.*: refused .*\. try", str(denied))


@pytest.mark.alone
def test_a_log_line_costs_well_under_a_millisecond_with_a_hundred_secrets() -> None:
    ours = Redactor()
    for number in range(100):
        ours.add(f"secret-number-{number}-of-many")
    line = "edge-1 er-primary Established received 412 prefixes rtt 4.2 ms state=up role=primary " * 3
    began = perf_counter()
    for _ in range(200):
        ours.text(line)
    each = (perf_counter() - began) / 200
    print(f"redaction: {each * 1e6:.0f} us a line")
    assert each < 0.001


@pytest.mark.alone
def test_a_long_line_without_secrets_does_not_blow_up() -> None:
    began = perf_counter()
    Redactor().text("a-b_c" * 40_000 + "=" + "\\" * 1000 + '"' * 1000)
    assert perf_counter() - began < 2.0


NAMES = [
    *("password", "passwd", "passphrase", "secret", "secret_id", "auth-key", "shared_key", "pre-shared-key", "api_key"),
    *("unseal_key", "security-token", "vault_token", "token", "authorization", "Proxy-Authorization", "x-vault-token"),
    *(
        "bearer",
        "neighbor",
        "10.0.0.1",
        "hvs.",
        "s.",
        "b.",
        "r.",
        "AKIA",
        "ASIA",
        "eyJhbGciOi",
        "-----BEGIN",
        "-----END",
    ),
    *("RSA", "PRIVATE KEY-----", "<", ">", ":", "=", '"', "'", '\\"', ".", "-", "_", "ABCDEFGHIJKLMNOPQRSTUVWX"),
    *("0123456789abcdefABCDEF01", "\u017f", "\u212a", "\u0130", "\u0131"),  # the odd relatives of s, k and i
]
words = st.sampled_from(NAMES)
odd_case = st.tuples(words, st.sampled_from((str, str.upper, str.lower, str.title, str.swapcase))).map(
    lambda pair: pair[1](pair[0])
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(odd_case, st.sampled_from(" \n"), texts), max_size=14).map("".join))
def test_looking_for_parts_of_words_first_masks_all_that_the_patterns_alone_would(text: str) -> None:
    wanted = text
    for _, pattern, mask in _PATTERNS:
        wanted = pattern.sub(mask, wanted)
    assert Redactor().text(text) == wanted
