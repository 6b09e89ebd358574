"""Where clauses: comparison, three-valued logic, patterns, and what is told of wrong ones (OPC 10000-4 7.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from asyncua import ua
from hypothesis import given, settings
from hypothesis import strategies as st

from server.opcua.errors import PatternError
from server.opcua.like import Like
from server.opcua.where import Selection, check

_O = ua.FilterOperator
_S = ua.StatusCodes
_T = ua.VariantType
BASE, ALARM, OFF_NORMAL = ua.NodeId(2041), ua.NodeId(2915), ua.NodeId(10637)
LINEAGE = {BASE, ALARM, OFF_NORMAL}


class OneEvent:
    """An off-normal alarm of severity 700."""

    FIELDS: ClassVar = {
        "Severity": ua.Variant(700, _T.UInt16),
        "Message": ua.Variant(ua.LocalizedText("Meter m07 is silent", "en"), _T.LocalizedText),
        "Time": ua.Variant(datetime(2026, 5, 1, tzinfo=UTC), _T.DateTime),
        "AckedState/Id": ua.Variant(Value=False, VariantType=_T.Boolean),
        "Comment": ua.Variant(),
    }

    def value(self, selection: Selection) -> ua.Variant:
        return self.FIELDS.get(selection.path, ua.Variant())

    def is_a(self, event_type: ua.NodeId) -> bool:
        return event_type in LINEAGE


class Known:
    """Every field is known, and three event types are."""

    def select(self, operand: Any) -> tuple[Selection | None, int]:
        if operand.TypeDefinitionId not in LINEAGE:
            return None, _S.BadTypeDefinitionInvalid
        path = "/".join(name.Name for name in operand.BrowsePath)
        return Selection(path, operand.AttributeId, BASE), _S.Good

    def is_event_type(self, type_id: ua.NodeId) -> bool:
        return type_id in LINEAGE


def field(path: str) -> ua.SimpleAttributeOperand:
    names = [ua.QualifiedName(name) for name in path.split("/")]
    return ua.SimpleAttributeOperand(BASE, names, ua.AttributeIds.Value)


def literal(value: Any, kind: ua.VariantType | None = None) -> ua.LiteralOperand:
    return ua.LiteralOperand(ua.Variant(value, kind) if kind else ua.Variant(value))


def element(index: int) -> ua.ElementOperand:
    return ua.ElementOperand(index)


def clause(*elements: tuple[int, list[Any]]) -> ua.ContentFilter:
    return ua.ContentFilter([ua.ContentFilterElement(kind, operands) for kind, operands in elements])


def accepts(*elements: tuple[int, list[Any]]) -> bool:
    where, told = check(clause(*elements), Known())
    assert where is not None, told
    return where.accepts(OneEvent())


NULL = field("Comment")
TRUE, FALSE = literal(value=True), literal(value=False)


def test_without_elements_everything_is_accepted() -> None:
    assert accepts()


@pytest.mark.parametrize(
    ("kind", "operands", "expected"),
    [
        (_O.Equals, [field("Severity"), literal(700, _T.Int64)], True),
        (_O.Equals, [field("Severity"), literal("700")], True),
        (_O.Equals, [field("Severity"), literal("seven")], False),
        (_O.Equals, [field("Message"), literal("Meter m07 is silent")], True),
        (_O.Equals, [field("AckedState/Id"), FALSE], True),
        (_O.Equals, [NULL, literal("")], False),
        (_O.GreaterThan, [field("Severity"), literal(699.5)], True),
        (_O.LessThan, [field("Severity"), literal(700, _T.Int16)], False),
        (_O.GreaterThanOrEqual, [field("Severity"), literal(700, _T.UInt32)], True),
        (_O.LessThanOrEqual, [field("Time"), literal(datetime(2026, 5, 1, tzinfo=UTC))], True),
        (_O.GreaterThan, [field("Severity"), literal(float("nan"))], False),
        (_O.GreaterThan, [field("Message"), field("Time")], False),
        (_O.IsNull, [NULL], True),
        (_O.IsNull, [field("Severity")], False),
        (_O.Between, [field("Severity"), literal(500), literal(700)], True),
        (_O.Between, [field("Severity"), literal(701), literal(900)], False),
        (_O.InList, [field("Severity"), literal(1), literal(700), NULL], True),
        (_O.InList, [field("Severity"), literal(1), literal(2)], False),
        (_O.Like, [field("Message"), literal("Meter m0_ %silent")], True),
        (_O.Like, [field("Message"), literal("meter%")], False),
        (_O.Like, [field("Severity"), literal("7%")], False),
        (_O.OfType, [literal(BASE)], True),
        (_O.OfType, [literal(ALARM)], True),
        (_O.Not, [FALSE], True),
        (_O.Not, [NULL], False),
    ],
)
def test_operators_compare_as_the_standard_says(kind: int, operands: list[Any], expected: bool) -> None:
    assert accepts((kind, operands)) is expected


@pytest.mark.parametrize("value", [TRUE, FALSE, NULL])
def test_logic_with_null_is_three_valued(value: Any) -> None:
    for one, other in ((TRUE, value), (value, TRUE)):
        assert accepts((_O.Or, [one, other]))
    for one, other in ((FALSE, value), (value, FALSE)):
        assert not accepts((_O.And, [one, other]))
    # NOT(NULL AND TRUE) is NULL, so is NOT(NULL OR FALSE): neither lets the event pass
    for kind, other in ((_O.And, TRUE), (_O.Or, FALSE)):
        negated = accepts((_O.Not, [element(1)]), (kind, [value, other]))
        assert negated is (value is FALSE)


def test_elements_refer_to_later_ones_and_bits_can_be_combined_and_cast() -> None:
    assert accepts(
        (_O.And, [element(1), element(2)]),
        (_O.Equals, [element(3), literal(0b0100)]),
        (_O.Equals, [element(4), literal("700")]),
        (_O.BitwiseAnd, [field("Severity"), literal(0b0110)]),
        (_O.Cast, [field("Severity"), literal(ua.NodeId(ua.ObjectIds.String))]),
    )
    assert accepts((_O.Equals, [element(1), literal(0b1011111111)]), (_O.BitwiseOr, [field("Severity"), literal(67)]))


def test_a_cast_that_fails_is_null() -> None:
    to_guid = literal(ua.NodeId(ua.ObjectIds.Guid))
    assert accepts((_O.IsNull, [element(1)]), (_O.Cast, [field("Message"), to_guid]))


def test_a_tower_of_elements_is_evaluated_once_each() -> None:
    tower = [(_O.And, [element(index + 1), element(index + 1)]) for index in range(99)]
    assert accepts(*tower, (_O.OfType, [literal(BASE)]))


@pytest.mark.parametrize(
    ("wrong", "code", "operand"),
    [
        ((_O.Equals, [literal(1)]), _S.BadFilterOperandCountMismatch, None),
        ((_O.InView, [literal(BASE)]), _S.BadFilterOperatorUnsupported, None),
        ((_O.RelatedTo, [literal(BASE)] * 4), _S.BadFilterOperatorUnsupported, None),
        ((_O.Not, [element(0)]), _S.BadFilterOperandInvalid, _S.BadFilterElementInvalid),
        ((_O.Not, [element(7)]), _S.BadFilterOperandInvalid, _S.BadFilterElementInvalid),
        ((_O.OfType, [literal(ua.NodeId(58))]), _S.BadFilterOperandInvalid, _S.BadTypeDefinitionInvalid),
        ((_O.OfType, [literal("alarm")]), _S.BadFilterOperandInvalid, _S.BadFilterOperandInvalid),
        ((_O.IsNull, [ua.AttributeOperand()]), _S.BadFilterOperandInvalid, _S.BadFilterOperandInvalid),
        (
            (_O.IsNull, [ua.SimpleAttributeOperand(ua.NodeId(58), [], 13)]),
            _S.BadFilterOperandInvalid,
            _S.BadTypeDefinitionInvalid,
        ),
    ],
)
def test_what_is_wrong_is_told_element_by_element(wrong: Any, code: int, operand: int | None) -> None:
    where, told = check(clause((_O.IsNull, [NULL]), wrong), Known())
    assert where is None
    # an element may not refer to itself nor to an earlier one, so that index 0 is wrong from element 1
    assert [one.StatusCode.value for one in told.ElementResults] == [_S.Good, code]
    operands = [one.value for one in told.ElementResults[1].OperandStatusCodes]
    assert operands[:1] == [operand if operand is not None else _S.Good]


@pytest.mark.parametrize("pattern", ["[", "[]", "[abc", "x[^"])
def test_lists_without_end_are_no_patterns(pattern: str) -> None:
    with pytest.raises(PatternError):
        Like(pattern)
    where, told = check(clause((_O.Like, [field("Message"), literal(pattern)])), Known())
    assert where is None
    assert told.ElementResults[0].OperandStatusCodes[1].value == _S.BadFilterLiteralInvalid


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("main%", "mains", True),
        ("%en%", "entail", True),
        ("%en", "green", True),
        ("%en", "sent", False),
        ("a_c", "abc", True),
        ("a_c", "ac", False),
        ("ab[13-68]", "ab4", True),
        ("ab[13-68]", "ab2", False),
        ("[^13-5]", "2", True),
        ("[^13-5]", "4", False),
        (r"100\%", "100%", True),
        (r"100\%", "1000", False),
        (r"[\]x]", "]", True),
        ("[a-]", "-", True),
        ("", "", True),
        ("%", "", True),
        ("a\nb%", "a\nbc", True),
    ],
)
def test_patterns_mean_what_the_standard_says(pattern: str, text: str, fits: bool) -> None:
    assert Like(pattern).matches(text) is fits


_pieces = st.lists(
    st.one_of(
        st.sampled_from(["%", "_", "[ab]", "[^ab]", "[a-c]", r"\%", r"\_"]).map(lambda piece: (piece, piece)),
        st.sampled_from("abc%_").map(lambda char: (char, char)),
    ),
    max_size=8,
)
_AS_REGEX = {"%": ".*", "_": ".", r"\%": "%", r"\_": "_"}


@settings(max_examples=300, deadline=None)
@given(_pieces, st.text("abc%_d", max_size=10))
def test_matching_agrees_with_regular_expressions(pieces: list[tuple[str, str]], text: str) -> None:
    pattern = "".join(piece for piece, _ in pieces)
    expression = "".join(_AS_REGEX.get(piece, piece) for piece, _ in pieces)
    assert Like(pattern).matches(text) is bool(re.fullmatch(expression, text, re.DOTALL))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_pattern_and_no_text_crash(pattern: str, text: str) -> None:
    try:
        compiled = Like(pattern)
    except PatternError:
        return
    assert compiled.matches(text) in (True, False)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_a_text_with_its_wildcards_escaped_matches_itself(text: str) -> None:
    escaped = re.sub(r"([\\%_\[\]])", r"\\\1", text)
    assert Like(escaped).matches(text)
    assert not Like(escaped).matches(f"{text}x")


def test_many_wildcards_are_matched_in_little_time() -> None:
    # a backtracking matcher needs longer than the world is old
    assert not Like("%a" * 30 + "b").matches("a" * 2_000)
