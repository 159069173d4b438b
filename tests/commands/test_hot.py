"""``manage.py hot``."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatproject import container
from messaging.compliance.models import AuditEntry
from messaging.domain.ids import conversation_ref

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("hot", *arguments, stdout=out)
    return out.getvalue()


def test_it_spreads_a_conversation_and_gathers_it_again(make_user: Any, make_group: Any) -> None:
    id_ = make_group(make_user(), make_user()).id
    ref = conversation_ref(id_)
    for arguments, k in (([], 8), (["--k", "31"], 31), (["--k", "1"], 1)):
        assert f"{ref} is spread over {k};" in run(ref, *arguments)
        assert container.conversation_store().get([id_])[id_].hot_k == k
    entries = AuditEntry.objects.order_by("seq").values_list("actor", "action", "object", "details")
    assert list(entries) == [
        ("system", "conversation.spread", ref, {"from": before, "to": k}) for before, k in ((1, 8), (8, 31), (31, 1))
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["7"], "name a conversation as c_…"),
        ([conversation_ref(7)], "no such conversation"),
        ([conversation_ref(7), "--k", "0"], "1 to 31"),
        ([conversation_ref(7), "--k", "32"], "1 to 31"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        run(*arguments)
    assert not AuditEntry.objects.exists()
