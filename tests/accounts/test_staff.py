"""What the staff does to accounts, devices and groups: only with a reason, and each act is in the audit log."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.models import Block, Device, User
from accounts.services.bots import make_bot
from messaging.compliance import roles
from messaging.compliance.models import AuditEntry
from messaging.domain.ids import DeviceId, UserId, device_ref, user_ref

pytestmark = pytest.mark.django_db
MakeUser = Callable[..., User]


@pytest.fixture
def root(make_user: MakeUser) -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def zoe(make_user: MakeUser) -> User:
    return make_user("zoe", email="zoe@example.org")


def entries() -> list[tuple[str, str, str, Any]]:
    return [(it.action, it.object, it.reason, it.details) for it in AuditEntry.objects.order_by("seq")]


def ref(user: User) -> str:
    return user_ref(UserId(user.pk))


def saved(client: Client, user: User, **fields: Any) -> int:
    form = {"username": user.username, "display_name": user.display_name, "email": user.email}
    form |= {"is_active": "on", "share_presence": "on", "show_previews": "on"}
    answer = client.post(f"/admin/accounts/user/{user.pk}/change/", {**form, **fields})
    return int(answer.status_code)


def test_who_becomes_one_of_the_staff_is_in_the_audit_log(root: Client, zoe: User) -> None:
    officer = Group.objects.get(name=roles.OFFICER)
    assert saved(root, zoe, is_staff="on", groups=[officer.pk]) == 200, "no reason"
    assert saved(root, zoe, is_staff="on", groups=[officer.pk], reason=" ") == 200
    zoe.refresh_from_db()
    assert (zoe.is_staff, zoe.groups.count(), entries()) == (False, 0, [])
    assert saved(root, zoe, is_staff="on", groups=[officer.pk], reason="joins the team") == 302
    before: dict[str, Any] = {"groups": [], "permissions": []}
    after = {"groups": [roles.OFFICER], "permissions": [], "is_staff": True}
    assert entries() == [("role.changed", ref(zoe), "joins the team", {"before": before, "after": after})]


def test_what_is_changed_of_an_account_is_named_and_not_told(root: Client, zoe: User) -> None:
    assert saved(root, zoe, email="other@example.org", reason="a typing error") == 302
    assert entries() == [("user.changed", ref(zoe), "a typing error", {"fields": ["email"]})]


def test_an_account_is_made_and_gets_a_password_for_a_reason(root: Client, zoe: User) -> None:
    new = {"username": "max", "usable_password": "true", "password1": "correct-horse-7", "password2": "correct-horse-7"}
    assert root.post("/admin/accounts/user/add/", new).status_code == 200
    assert not User.objects.filter(username="max").exists()
    assert root.post("/admin/accounts/user/add/", {**new, "reason": "a guest"}).status_code == 302
    made = User.objects.get(username="max")
    page = f"/admin/accounts/user/{zoe.pk}/password/"
    word = {key: new[key] for key in ("usable_password", "password1", "password2")}
    assert b'name="reason"' in root.get(page).content
    assert root.post(page, word).status_code == 200
    assert root.post(page, {**word, "reason": "lost it, and has no address"}).status_code == 302
    assert User.objects.get(pk=zoe.pk).check_password("correct-horse-7")
    assert entries() == [
        ("user.created", ref(made), "a guest", {}),
        ("user.password_changed", ref(zoe), "lost it, and has no address", {}),
    ]


def test_a_group_of_the_staff_is_changed_for_a_reason(root: Client) -> None:
    group = Group.objects.get(name=roles.AUDITOR)
    see = Permission.objects.get(content_type__app_label="moderation", codename="view_case")
    page = f"/admin/auth/group/{group.pk}/change/"
    form = {"name": group.name, "permissions": [see.pk]}
    before = sorted(group.permissions.values_list("codename", flat=True))
    assert root.post(page, form).status_code == 200
    assert root.post(page, {**form, "reason": "for an audit of cases"}).status_code == 302
    details = {"name": group.name, "before": before, "permissions": ["view_case"]}
    assert entries() == [("role.changed", f"group/{group.pk}", "for an audit of cases", details)]
    assert root.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 302
    assert Group.objects.filter(pk=group.pk).exists()
    assert root.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes", "reason": "no use"}).status_code == 302
    assert not Group.objects.filter(pk=group.pk).exists()
    assert entries()[-1][:3] == ("role.changed", f"group/{group.pk}", "no use")


def test_devices_are_signed_out_for_a_reason(make_user: MakeUser, zoe: User) -> None:
    operator = make_user(is_staff=True)
    operator.groups.add(Group.objects.get(name=roles.OPERATOR))
    client = Client()
    client.force_login(operator)
    device = Device.objects.create(user=zoe, kind="token", name="Zoe's phone", token_digest="x")
    chosen = {"action": "sign_out", "_selected_action": device.pk, "index": "0"}
    page = client.post("/admin/accounts/device/", chosen).content.decode()
    assert "Sign these devices out" in page
    assert f'value="{device.pk}"' in page
    device.refresh_from_db()
    assert (device.revoked_at, entries()) == (None, [])
    del chosen["index"]
    assert client.post("/admin/accounts/device/", {**chosen, "reason": "it was stolen"}).status_code == 302
    device.refresh_from_db()
    assert device.revoked_at is not None
    details = {"device": device_ref(DeviceId(device.pk))}
    assert entries() == [("device.signed_out", ref(zoe), "it was stolen", details)]


def test_all_devices_of_a_list_are_signed_out_at_once(root: Client, zoe: User) -> None:
    for number in range(3):
        Device.objects.create(user=zoe, kind="token", name=f"phone {number}", token_digest=str(number))
    one = Device.objects.filter(user=zoe).first()
    assert one is not None
    chosen = {"action": "sign_out", "_selected_action": one.pk, "select_across": "1"}
    page = root.post("/admin/accounts/device/?q=zoe", chosen).content.decode()
    assert "all 3 of the list" in page
    assert root.post("/admin/accounts/device/?q=zoe", {**chosen, "reason": "stolen"}).status_code == 302
    assert not Device.objects.filter(user=zoe, revoked_at=None).exists()
    assert len(entries()) == 3


def test_a_bot_is_ended_for_a_reason(root: Client, make_user: MakeUser) -> None:
    bot = make_bot(maker=make_user("boss", is_superuser=True, is_staff=True), username="robo")
    chosen = {"action": "end_bots", "_selected_action": bot.pk, "index": "0"}
    assert "End these bots for good" in root.post("/admin/accounts/bot/", chosen).content.decode()
    assert (User.objects.get(pk=bot.pk).closed_at, entries()) == (None, [])
    del chosen["index"]
    assert root.post("/admin/accounts/bot/", {**chosen, "reason": "it spams"}).status_code == 302
    user = User.objects.get(pk=bot.pk)
    assert user.closed_at is not None
    assert [entry[:3] for entry in entries()] == [("bot.ended", ref(user), "it spams")]


def test_a_second_factor_is_taken_away_for_a_reason(root: Client, zoe: User) -> None:
    factor = Authenticator.objects.create(user=zoe, type="totp", data={"secret": "x"})
    page = f"/admin/mfa/authenticator/{factor.pk}/delete/"
    assert root.post(page, {"post": "yes"}).status_code == 302
    assert Authenticator.objects.exists()
    assert root.post(page, {"post": "yes", "reason": "lost the phone"}).status_code == 302
    assert not Authenticator.objects.exists()
    assert entries() == [("second_factor.removed", ref(zoe), "lost the phone", {"kind": "totp"})]
    many = {"action": "delete_selected", "_selected_action": factor.pk, "post": "yes"}
    root.post("/admin/mfa/authenticator/", many)
    assert len(entries()) == 1


def test_whom_somebody_blocked_is_shown_for_a_reason(make_user: MakeUser, zoe: User) -> None:
    moderator = make_user(is_staff=True)
    moderator.groups.add(Group.objects.get(name=roles.MODERATOR))
    client = Client()
    client.force_login(moderator)
    block = Block.objects.create(owner=zoe, target=make_user("ben"))
    for page in ("/admin/accounts/block/", f"/admin/accounts/block/{block.pk}/change/"):
        assert b"ben" not in client.get(page).content
    assert b"ben" not in client.post("/admin/accounts/block/", {"reason": " "}).content
    assert entries() == []
    assert client.post("/admin/accounts/block/", {"reason": "case 12"}).status_code == 302
    for page in ("/admin/accounts/block/", f"/admin/accounts/block/{block.pk}/change/"):
        assert b"ben" in client.get(page).content
    assert entries() == [("content.viewed", "blocks", "case 12", {})]
    session = client.session
    session["blocks_until"] = 0
    session.save()
    assert b"ben" not in client.get("/admin/accounts/block/").content
