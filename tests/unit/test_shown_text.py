"""What messages, manifests, configuration and cards show: no secrets, no foreign markup."""

import json
from pathlib import Path

import pytest
from local_server import nobody_listens, send, serve
from markupsafe import Markup

from affectlab.assets.downloads import download
from affectlab.assets.fetch import fetch_dataset
from affectlab.assets.status import asset_status
from affectlab.config.load import dump_yaml, without_secrets
from affectlab.config.schemas import schema_mistakes
from affectlab.errors import DataError, FetchError, UserError, reading
from affectlab.report import model_cards

SECRETS = ("hunter2", "s3cret")


def with_password(url: str, path: str = "/data.csv") -> str:
    """*url* with a password and a token."""
    return url.replace("://", "://ada:hunter2@") + f"{path}?token=s3cret"


def shown(text: object) -> str:
    """*text*, which must not hold a secret."""
    assert not any(secret in str(text) for secret in SECRETS), text
    return str(text)


@pytest.mark.parametrize("status", [404, 503])
def test_messages_of_a_download_hide_secrets(tmp_path, caplog, status):
    caplog.set_level("INFO")
    with serve() as server:
        url = with_password(server.url)
        server.replies["/data.csv?token=s3cret"] = lambda handler: send(handler, status, {})
        with pytest.raises(FetchError) as caught:
            download(url, tmp_path / "data.csv", retries=1, backoff=0.01)
    assert "***@127.0.0.1" in shown(caught.value)
    shown(caplog.text)


def test_messages_of_requests_and_of_the_proxy_hide_secrets(tmp_path, monkeypatch, caplog):
    with nobody_listens() as dead:
        with pytest.raises(FetchError) as caught:
            download(with_password(dead), tmp_path / "x", retries=0)
        shown(caught.value)
        monkeypatch.setenv("http_proxy", with_password(dead, ""))
        with pytest.raises(FetchError) as caught:
            download("http://nowhere.invalid/x", tmp_path / "x", retries=1, backoff=0.01)
        shown(caught.value)
    shown(caplog.text)


def test_what_is_kept_of_a_half_download_holds_no_secret(tmp_path):
    with serve() as server:
        url = with_password(server.url)

        def cut(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "400000")
            handler.send_header("ETag", '"a"')
            handler.end_headers()
            handler.wfile.write(b"x" * 200_000)

        server.replies["/data.csv?token=s3cret"] = cut
        with pytest.raises(FetchError):
            download(url, tmp_path / "data.csv", retries=0)
    kept = [path for path in tmp_path.iterdir() if path.suffix == ".json"]
    assert kept
    shown(kept[0].read_text())


def test_manifest_and_check_hide_secrets(tmp_path):
    with serve() as server:
        url = with_password(server.url)
        server.replies["/data.csv?token=s3cret"] = lambda handler: send(handler, 200, {}, b"a,b\n")
        entry = {"sources": [{"kind": "url", "urls": [url], "files": {"data.csv": None}}]}
        fetch_dataset("d", entry, tmp_path / "d" / "manifest.json")
    manifest = (tmp_path / "d" / "manifest.json").read_text()
    assert "***@127.0.0.1" in shown(manifest)
    shown(asset_status("dataset", "d", entry, None, tmp_path / "elsewhere").detail)


def test_the_stored_configuration_and_its_mistakes_hide_secrets():
    config = {"datasets": {"own": {"sources": [{"urls": [with_password("https://host")]}]}}}
    text = shown(dump_yaml(without_secrets(config)))
    assert "https://***@host/data.csv" in text
    (mistake,) = schema_mistakes(with_password("htps://host"), {"pattern": "^https://"})
    shown(mistake)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("[click](http://evil.example)", r"\[click\](http://evil.example)"),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("a | b", r"a \| b"),
        ("title\n\n# Heading\n- item", "title # Heading - item"),
        ("# Heading", r"\# Heading"),
        ("- item", r"\- item"),
        ("~~~", r"\~~~"),
        ("**bold** _x_ `c`", r"\*\*bold\*\* \_x\_ \`c\`"),
        ("&lt;b&gt; & more", r"\&lt;b\&gt; & more"),
        ("compact_demo, R&D, -0.5", "compact_demo, R&D, -0.5"),
    ],
)
def test_a_value_of_a_card_is_shown_as_it_is(text, markdown):
    assert model_cards.escaped(text) == markdown


def test_a_template_of_a_card_escapes_values_and_keeps_its_own_markdown(tmp_path):
    template = tmp_path / "model_card.md.j2"
    template.write_text(
        "{% macro row(label) -%}\n| {{ label }} | **own** |\n{%- endmacro %}\n"
        "# {{ title }}\n{{ row('a|b') }}\n`{{ code }}` {{ note }} {{ '%+.2f' % -0.5 }}\n"
    )
    text = model_cards.render(template, title="[x](y)", code="a`|b\nc", note=Markup("**note**"))
    assert text == "# \\[x\\](y)\n| a\\|b | **own** |\n`a'\\|b c` **note** -0.50\n"
    (tmp_path / "example.py.j2").write_text("NAME = '{{ title }}'\n")
    assert model_cards.render(tmp_path / "example.py.j2", title="a_b*") == "NAME = 'a_b*'\n"


def test_the_note_on_differing_data_is_markdown_with_plain_names():
    note = model_cards.difference_note(["texts <b>", "*"])
    assert note.startswith("**This copy")
    assert r"texts \<b\>, \*" in note


def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("x"), "a.bin: expected a table; found KeyError: 'x'"),
        (RecursionError("deep"), "a.bin: expected a table; found RecursionError: deep"),
        (ValueError(""), "a.bin: expected a table; found ValueError: ValueError"),
        (OSError("bad magic"), "a.bin: expected a table: bad magic"),
        (PermissionError(13, "Permission denied"), "a.bin: cannot be read: Permission denied"),
    ],
)
def test_a_reader_raises_one_error_type(error, message):
    with pytest.raises(DataError, match=r"a\.bin") as caught, reading("a.bin", "a table"):
        raising(error)
    assert str(caught.value).startswith(message)


def test_an_error_of_a_user_passes_a_reader_unchanged():
    with pytest.raises(UserError, match=r"^mine$"), reading("a.bin", "a table"):
        raise UserError("mine")


def test_a_name_that_is_not_utf8_is_printed():
    message = str(DataError(Path("a\udce4.wav"), None, "is empty"))
    assert json.loads(json.dumps(message).encode()) == "a\\udce4.wav: is empty"


def test_a_clip_whose_name_is_not_utf8_is_set_aside(tmp_path):
    from affectlab.audio.convert import Outputs, convert
    from affectlab.files.quarantine import read_quarantine

    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "03a01Fa.wav").write_bytes(b"")
    (raw / "03a\udce4.wav").write_bytes(b"")
    out = Outputs(*(tmp_path / name for name in ("records.jsonl", "bad.jsonl", "data.json")))
    convert(raw, out, {"layout": "emodb"}, "skip")
    (bad,) = read_quarantine(out.quarantine)
    assert bad.file == "03a\\udce4.wav"
    with pytest.raises(DataError, match=r"03a\\udce4\.wav"):
        convert(raw, out, {"layout": "emodb"}, "fail")
