"""What humans say by annotation, and what is said back when it cannot be acted on."""

import pytest

from modelway.plan.rollout.commands import Commands

KNOWN = ("0b77d1ce", "6f1c2a9b")


def said(**given):
    return Commands.of({f"modelway.dev/{name}": text for name, text in given.items()})


@pytest.mark.parametrize(
    ("text", "step", "approves"),
    [
        ("0b77d1ce/look", "look", True),
        ("0b77d1ce", "look", True),
        ("0b77d1ce/other", "look", False),
        ("6f1c2a9b/look", "look", False),
        (" 0b77d1ce/look ", "look", True),
        ("look", "look", False),
    ],
)
def test_an_approval_is_of_a_revision_and_a_step(text, step, approves):
    assert said(approve=text).approves("0b77d1ce", step) is approves


def test_a_retry_is_of_a_revision_and_a_number():
    assert said(retry="0b77d1ce#3").attempt("0b77d1ce") == 3
    assert said(retry="0b77d1ce#3").attempt("6f1c2a9b") == 0
    assert said().attempt("0b77d1ce") == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"promote": "0b77d1ce"}, None),
        ({"promote": "ffffffff"}, "there is no revision ffffffff"),
        ({"abort": "the last one"}, "does not read <revision>"),
        ({"retry": "0b77d1ce"}, "does not read <revision>#<number>"),
        ({"approve": "0b77d1ce/lok"}, "has no step lok; it has look, five"),
        ({"approve": "0b77d1ce/look"}, None),
        ({"something-else": "whatever"}, None),
    ],
    ids=str,
)
def test_what_cannot_be_acted_on_is_told(given, words):
    told = said(**given).complaint(KNOWN, ("look", "five"))
    assert (told is None) if words is None else (words in told)


def test_without_a_rollout_under_way_a_step_is_nobodys_mistake():
    assert said(approve="0b77d1ce/gone").complaint(KNOWN, ()) is None
