"""The view that policies have of a target whose kind has neither secrets nor drift of its own."""

from setpoint.domain.judged import MAX_SHOWN, PlainDocument
from setpoint.domain.policies import PolicyResult, Violation
from setpoint.domain.scrubbing import Scrubber


def test_what_is_known_to_be_secret_is_taken_out_before_a_text_is_cut() -> None:
    secret = "pa55word-of-all"
    said = "x" * (MAX_SHOWN - 5) + secret
    result = PolicyResult((Violation(said, said, said, remediation=said),), error=said)
    shown = PlainDocument({}).show(result, (), Scrubber([secret]).scrub)
    (violation,) = shown.violations
    texts = [violation.rule, violation.message, violation.resource, violation.remediation, shown.error]
    assert {len(text) for text in texts} == {MAX_SHOWN}
    assert not [text for text in texts if "pa55" in text]


def test_nothing_drifts() -> None:
    plain = PlainDocument({"text": "a"})
    assert not plain.drifted
    assert plain.of_drift() == plain.without_drift() == plain.of_nothing() == {"text": "a"}
