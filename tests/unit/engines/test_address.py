"""Addresses of servers: what is read, what is part of the model's identity, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.engines._address import read_address
from thinkscore.errors import BadInput


def test_an_address_is_read_with_its_options() -> None:
    address = read_address("http://a:1/v1/,https://b/api/v3?model=m/x&n=4&timeout=2.5&logprobs=1")
    assert address.urls == ("http://a:1/v1", "https://b/api/v3")
    options = address.options
    assert (options.model, options.n, options.timeout, options.logprobs) == ("m/x", 4, 2.5, True)


def test_a_bare_host_gets_the_usual_path() -> None:
    assert read_address("http://host:8000").urls == ("http://host:8000/v1",)


def test_what_changes_answers_is_in_the_identity_and_nothing_else_is() -> None:
    plain = read_address("http://a/v1?model=m").identity("m")
    assert plain == "http:m"
    for same in ("http://other:9/v1?model=m&n=2&rpm=9&concurrency=3", "http://a/v1,http://b/v1?timeout=3&key=HOME"):
        assert read_address(same).identity("m") == plain
    others = ["effort=high", "thinking=99", "revision=abc", "body.top_k=3", "template.enable_thinking=false"]
    others += ["body.temperature=0", "body.include_reasoning=false", "body.revision=abc"]
    identities = {read_address(f"http://a/v1?{other}").identity("m") for other in others}
    assert len(identities | {plain}) == len(others) + 1


def test_further_fields_are_json_where_they_can_be() -> None:
    address = read_address('http://a/v1?body.top_k=3&body.stop=["x"]&body.mode=fast&template.enable_thinking=false')
    assert address.body == {"top_k": 3, "stop": ["x"], "mode": "fast"}
    assert address.template == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("", "no http"),
        ("http://", "no http"),
        ("ftp://a/v1", "no http"),
        ("http://a:port/v1", "[Pp]ort"),
        ("http://user:secret@a/v1", "password"),
        ("http://a/v1,http://user:se/cret@b/v1", "password"),
        ("ftp://user:secret@a/v1", "password"),
        ("http://a/v1?key=sk-secret", "names an environment variable"),
        ("http://a/v1?api_key=sk-1", "environment"),
        ("http://a/v1?nn=4", "nn"),
        ("http://a/v1?n=0", "n"),
        ("http://a/v1?n=four", "n"),
        ("http://a/v1?n=4&n=5", "twice"),
        ("http://a/v1?boddy.x=4", "boddy"),
        ("http://a/v1?dialect=tgi", "dialect"),
    ],
)
def test_a_bad_address_says_what_is_accepted(uri: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        read_address(uri)
    assert "http://HOST:PORT/v1?model=NAME" in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THINKSCORE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert read_address("http://a/v1").api_key() is None
    monkeypatch.setenv("OPENAI_API_KEY", "for openai only")
    assert read_address("http://a/v1").api_key() is None
    assert read_address("https://api.openai.com/v1?model=m").api_key() == "for openai only"
    monkeypatch.setenv("THINKSCORE_API_KEY", "ours")
    monkeypatch.setenv("MY_KEY", "mine")
    assert read_address("http://a/v1").api_key() == "ours"
    assert read_address("http://a/v1?key=MY_KEY").api_key() == "mine"
    monkeypatch.setenv("MY_KEY", "from a file\n")
    assert read_address("http://a/v1?key=MY_KEY").api_key() == "from a file"
    with pytest.raises(BadInput, match="NO_SUCH"):
        read_address("http://a/v1?key=NO_SUCH").api_key()


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert all(url.startswith(("http://", "https://")) for url in read_address(text).urls)
    except BadInput as error:
        assert "options:" in str(error)
