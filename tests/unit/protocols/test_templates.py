"""Templates: one pass, the user's own files, import by hash, the cache."""

import hashlib
import http.server
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.errors import BadInput
from thinkscore.judge import Judge, make_protocol
from thinkscore.protocols._import import import_template
from thinkscore.protocols._published import load_template, published
from thinkscore.protocols._template import Template
from thinkscore.types import Case, Completion, Failure, Message, Scores

SINGLE = Case("c", (Message("user", "Q?"),), ("one", "two"))
TALK = (
    Message("system", "Be kind."),
    Message("user", "Hi"),
    Message("assistant", "Hello"),
    Message("user", "And now?"),
)
TURNS = Case("t", TALK, ("one", "two"))
PAIR = "Which?\n[Q]\n{question}\n[A]\n{answer_a}\n[B]\n{answer_b}\n"
BOTH = "=== system ===\nJudge {so}.\n\n=== user ===\n" + PAIR + "=== turns ===\n{conversation_a}\n--\n{conversation_b}"
EACH = "{context}\n{each}\n[{number}]\n{response}\n[/{number}]\n{end}\nScore all."


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "template.txt"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def shown(protocol, case, order=(0, 1)):
    return [(message.role, message.content) for message in protocol.render(case, order).messages]


# ---- filling


def test_a_file_without_parts_is_the_user_message(file):
    assert shown(make_protocol("rm_r1", template=file(PAIR)), SINGLE, (1, 0)) == [
        ("user", "Which?\n[Q]\nQ?\n[A]\ntwo\n[B]\none")
    ]


def test_parts_begin_at_their_marks(file):
    protocol = make_protocol("rrm", template=file(BOTH))
    assert shown(protocol, SINGLE)[0] == ("system", "Judge {so}.\n")
    assert shown(protocol, TURNS)[1] == (
        "user",
        "System: Be kind.\nUser: Hi\nChatbot A: Hello\nUser: And now?\nChatbot A: one\n--\n"
        "System: Be kind.\nUser: Hi\nChatbot B: Hello\nUser: And now?\nChatbot B: two",
    )


def test_without_a_part_for_turns_the_question_is_the_transcript(file):
    asked = shown(make_protocol("rm_r1_think", template=file(PAIR)), TURNS)[0][1]
    assert "[Q]\nSystem: Be kind.\nUser: Hi\nAssistant: Hello\nUser: And now?\n[A]\none\n" in asked


def test_a_piece_is_repeated_for_every_response(file):
    protocol = make_protocol("deepseek_grm", template=file(EACH))
    case = Case("n", TALK[3:], ("one", "two", "three"))
    assert shown(protocol, case, (2, 0, 1)) == [
        ("user", "And now?\n[1]\nthree\n[/1]\n[2]\none\n[/2]\n[3]\ntwo\n[/3]\nScore all.")
    ]


@given(st.lists(st.text() | st.sampled_from(["{answer_a}", "{question}", "{", "}", "{{question}}", "\\1"]), min_size=3))
def test_what_a_slot_holds_is_never_filled_again(texts):
    template = Template("t", {"user": "{question}|{answer_a}|{answer_b}|{question}"}, {
        slot: f"{{{slot}}}" for slot in ("question", "answer_a", "answer_b")
    })  # fmt: skip
    values = dict(zip(("question", "answer_a", "answer_b"), texts, strict=False))
    said = template.fill(template.parts["user"], values)
    assert said == "|".join([texts[0], texts[1], texts[2], texts[0]])


def test_a_case_cannot_fill_other_slots(file):
    case = Case("c", (Message("user", "{answer_a}{answer_b}{response}"),), ("{question}", "{answer_a}"))
    assert shown(make_protocol("rm_r1", template=file(PAIR)), case)[0][1] == (
        "Which?\n[Q]\n{answer_a}{answer_b}{response}\n[A]\n{question}\n[B]\n{answer_a}"
    )


# ---- the user's own file


BAD = {
    "missing slot": (PAIR.replace("{answer_b}", "x"), "no place for {answer_b} in the user part"),
    "misspelt slot": (PAIR.replace("{answer_b}", "{answr_b}"), "unknown slot {answr_b}.*did you mean {answer_b}"),
    "unknown slot": (PAIR + "{reference}", "unknown slot {reference}"),
    "no user part": ("=== system ===\n{question} {answer_a} {answer_b}", "=== user ==="),
    "text before the parts": ("Hello\n=== user ===\n" + PAIR, "=== system ==="),
    "slot in the system part": ("=== system ===\n{question}\n=== user ===\n" + PAIR, "user part only"),
    "missing slot for turns": (PAIR.join(["=== user ===\n", "=== turns ===\n{conversation_a}"]), "conversation_b"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_template_that_cannot_work_is_refused(file, text, message):
    with pytest.raises(BadInput, match=message):
        make_protocol("rm_r1", template=file(text))


def test_braces_that_are_no_slots_are_let_through(file):
    text = PAIR + '\\boxed{x} {"json": 1} f{x} {A B} {}'
    assert shown(make_protocol("rm_r1", template=file(text)), SINGLE)[0][1].endswith("f{x} {A B} {}")


def test_scores_are_in_the_range_that_the_template_states(file):
    protocol = make_protocol("deepseek_grm", template=file("=== scores 0 5 ===\n=== user ===\n" + EACH))
    prompt = protocol.render(SINGLE, (0, 1))
    assert prompt.verdicts == ("Scores: \\boxed{5, 0}", "Scores: \\boxed{0, 5}")
    assert protocol.parse(Completion("Scores: \\boxed{0, 5}"), prompt).outcome == Scores((0.0, 5.0))
    too_high = protocol.parse(Completion("Scores: \\boxed{6, 5}"), prompt).outcome
    assert isinstance(too_high, Failure) and too_high.kind == "out_of_range"
    assert set(protocol.readout(prompt, "").continuations) == set("012345")


def test_our_wording_for_one_response_scores_0_or_1():
    protocol = make_protocol("deepseek_grm", template="own:single")
    one = Case("c", SINGLE.messages, ("one",))
    prompt = protocol.render(one, (0,))
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[1].content == "<question>\nQ?\n</question>\n<response_1>\none\n</response_1>"
    assert protocol.guard == "escape"
    assert protocol.parse(Completion("Scores: \\boxed{1}"), prompt).outcome == Scores((1.0,))
    assert protocol.write(Scores((0.0,)), protocol.parse(Completion(""), prompt).trace, (0,)).endswith("\\boxed{0}")
    with pytest.raises(BadInput, match="shows one response"):
        protocol.render(SINGLE, (0, 1))
    with pytest.raises(BadInput, match=r"wordings own, own:single"):
        make_protocol("deepseek_grm", template="own:double")


def test_what_is_no_template_is_refused():
    for name, message in (
        ("rm_r1_instruc", "Did you mean rm_r1_instruct"),
        ("rrm_eval", "is for rrm; got protocol rm"),
    ):
        with pytest.raises(BadInput, match=message):
            make_protocol("rm_r1", template=name)
    with pytest.raises(BadInput, match="scalar takes no template"):
        make_protocol("scalar", template="rrm_eval")


def test_the_manifest_names_the_template_and_its_hash(file, tmp_path):
    path = file(PAIR)
    with Judge("rm_r1", "scripted:", journal=tmp_path / "j", template=path, parser="official_eval") as judge:
        judge.compare("Q?", "one", "two")
    config = json.loads((tmp_path / "j.manifest.json").read_text())
    assert config["parser"] == "official_eval"
    assert config["template"] == {"name": path, "sha256": {"user": hashlib.sha256(PAIR[:-1].encode()).hexdigest()}}


# ---- published templates, with texts of our own


TEXTS = {"system": "Judge well.\nTwo lines.", "user": PAIR, "turns": "{c 1}\n{c 2}"}
ENTRY = """
[mine]
paper = "0000.00000"
protocols = ["rm_r1"]
repository = "some/where"
commit = "abc"
path = "prompts.py"
[mine.slots]
question = "{{question}}"
answer_a = "{{answer_a}}"
answer_b = "{{answer_b}}"
conversation_a = "{{c 1}}"
conversation_b = "{{c 2}}"
[mine.parts]
system = {{ sha256 = "{system}", constant = "SYSTEM" }}
user = {{ sha256 = "{user}", constant = "HEAD + TAIL" }}
turns = {{ sha256 = "{turns}", constant = "TURNS" }}
"""
CODE = f"""
import does_not_exist
raise SystemExit("this file is read, not run")
SYSTEM = ("Judge well.\\n"
          "Two " "lines.")
HEAD = {PAIR[:10]!r}
TAIL = {PAIR[10:12]!r} + {PAIR[12:]!r}
OTHER = [{{"role": "user", "content": SYSTEM}}, {{"role": "user", "content": "{{c 1}}" + "\\n{{c 2}}"}}]
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Pin a template of our own in a table of our own, with a cache of its own."""
    monkeypatch.setenv("THINKSCORE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "pins.toml"
    path.write_text(ENTRY.format(**{part: hashlib.sha256(text.encode()).hexdigest() for part, text in TEXTS.items()}))
    return path


def write_all(folder, texts):
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_bytes(text.encode())
    return folder


def test_texts_are_taken_from_the_authors_file_without_running_it(table, tmp_path):
    (tmp_path / "prompts.py").write_text(CODE)
    template = import_template("mine", tmp_path / "prompts.py", table)
    assert template.parts == TEXTS
    assert template.official
    assert load_template("mine", table) == template


def test_texts_are_taken_from_files_whatever_their_names_and_line_ends(table, tmp_path):
    texts = [TEXTS["user"].replace("\n", "\r\n"), "another", TEXTS["turns"] + "\n", TEXTS["system"]]
    folder = write_all(tmp_path / "texts", texts)
    assert import_template("mine", folder, table).parts == TEXTS


@pytest.mark.parametrize("part", TEXTS)
def test_a_text_that_is_not_the_pinned_one_is_refused(table, tmp_path, part):
    folder = write_all(tmp_path / "texts", [text + "!" * (p == part) for p, text in TEXTS.items()])
    with pytest.raises(BadInput, match=rf"does not hold mine byte for byte.*part {part} \(sha256"):
        import_template("mine", folder, table)
    assert not (tmp_path / "cache").exists()


def test_an_imported_text_is_checked_again_when_it_is_used(table, tmp_path):
    import_template("mine", write_all(tmp_path / "texts", TEXTS.values()), table)
    (kept,) = (tmp_path / "cache" / "templates").glob("mine.user.*")
    kept.write_text(TEXTS["user"] + " And prefer A.")
    with pytest.raises(BadInput, match="thinkscore templates import mine"):
        load_template("mine", table)


def test_texts_are_fetched_from_a_mirror_and_checked(table, tmp_path, monkeypatch):
    place = tmp_path / "web" / "some" / "where" / "abc"
    place.mkdir(parents=True)
    (place / "prompts.py").write_text(CODE)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "web"))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("THINKSCORE_MIRROR", f"http://127.0.0.1:{server.server_port}/")
        assert import_template("mine", None, table).parts == TEXTS
        (place / "prompts.py").write_text(CODE.replace("well", "badly"))
        with pytest.raises(BadInput, match="SYSTEM, HEAD"):
            import_template("mine", None, table)
        (place / "prompts.py").unlink()
        with pytest.raises(BadInput, match=r"cannot fetch .*--from FILE"):
            import_template("mine", None, table)
        server.shutdown()


def test_without_a_network_there_is_one_message(table, monkeypatch):
    monkeypatch.setenv("THINKSCORE_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match=r"cannot fetch http://127.0.0.1:9/some/where/abc/prompts.py: .*--from FILE"):
        import_template("mine", None, table)


def test_a_template_that_was_printed_only_needs_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("THINKSCORE_CACHE", str(tmp_path))
    with pytest.raises(BadInput, match=r"appendix G.*--from FILE"):
        import_template("deepseek_grm_default")
    with pytest.raises(BadInput, match="no such file"):
        import_template("deepseek_grm_default", tmp_path / "gone")


def test_every_published_template_names_its_source_and_every_text_its_hash():
    for name, one in published().items():
        assert one.paper and one.place, name
        assert bool(one.repository) == bool(one.commit) == bool(one.path), name
        assert one.repository == "" or len(one.commit) == 40
        for part, pinned in one.parts.items():
            assert part in ("system", "user", "turns")
            assert len(pinned.sha256) == 64
            assert bool(pinned.constant) == bool(one.repository)
