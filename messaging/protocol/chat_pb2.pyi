from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientFrame(_message.Message):
    __slots__ = ("auth", "send", "delivered", "read", "typing", "sync", "ping", "presence", "edit", "delete", "react", "pin")
    AUTH_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    TYPING_FIELD_NUMBER: _ClassVar[int]
    SYNC_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    REACT_FIELD_NUMBER: _ClassVar[int]
    PIN_FIELD_NUMBER: _ClassVar[int]
    auth: Auth
    send: Send
    delivered: Delivered
    read: Read
    typing: Typing
    sync: Sync
    ping: Ping
    presence: Presence
    edit: Edit
    delete: Delete
    react: React
    pin: Pin
    def __init__(self, auth: _Optional[_Union[Auth, _Mapping]] = ..., send: _Optional[_Union[Send, _Mapping]] = ..., delivered: _Optional[_Union[Delivered, _Mapping]] = ..., read: _Optional[_Union[Read, _Mapping]] = ..., typing: _Optional[_Union[Typing, _Mapping]] = ..., sync: _Optional[_Union[Sync, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., presence: _Optional[_Union[Presence, _Mapping]] = ..., edit: _Optional[_Union[Edit, _Mapping]] = ..., delete: _Optional[_Union[Delete, _Mapping]] = ..., react: _Optional[_Union[React, _Mapping]] = ..., pin: _Optional[_Union[Pin, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("ready", "ack", "error", "msg", "delivered", "read", "typing", "presence", "backfill", "synced", "pong", "drain", "conv", "edit", "delete", "react", "link", "resync", "takedown", "restore", "pin")
    READY_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    TYPING_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    REACT_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    RESYNC_FIELD_NUMBER: _ClassVar[int]
    TAKEDOWN_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    PIN_FIELD_NUMBER: _ClassVar[int]
    ready: Ready
    ack: Ack
    error: Error
    msg: Msg
    delivered: DeliveredEvent
    read: ReadEvent
    typing: TypingEvent
    presence: PresenceState
    backfill: Backfill
    synced: Synced
    pong: Pong
    drain: Drain
    conv: Conv
    edit: EditEvent
    delete: DeleteEvent
    react: ReactEvent
    link: Link
    resync: Resync
    takedown: TakedownEvent
    restore: RestoreEvent
    pin: PinEvent
    def __init__(self, ready: _Optional[_Union[Ready, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., msg: _Optional[_Union[Msg, _Mapping]] = ..., delivered: _Optional[_Union[DeliveredEvent, _Mapping]] = ..., read: _Optional[_Union[ReadEvent, _Mapping]] = ..., typing: _Optional[_Union[TypingEvent, _Mapping]] = ..., presence: _Optional[_Union[PresenceState, _Mapping]] = ..., backfill: _Optional[_Union[Backfill, _Mapping]] = ..., synced: _Optional[_Union[Synced, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., conv: _Optional[_Union[Conv, _Mapping]] = ..., edit: _Optional[_Union[EditEvent, _Mapping]] = ..., delete: _Optional[_Union[DeleteEvent, _Mapping]] = ..., react: _Optional[_Union[ReactEvent, _Mapping]] = ..., link: _Optional[_Union[Link, _Mapping]] = ..., resync: _Optional[_Union[Resync, _Mapping]] = ..., takedown: _Optional[_Union[TakedownEvent, _Mapping]] = ..., restore: _Optional[_Union[RestoreEvent, _Mapping]] = ..., pin: _Optional[_Union[PinEvent, _Mapping]] = ...) -> None: ...

class Auth(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class Send(_message.Message):
    __slots__ = ("msg_id", "conv", "body", "media", "reply_to", "forwarded_from", "mentions")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FROM_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    conv: str
    body: str
    media: _containers.RepeatedScalarFieldContainer[str]
    reply_to: str
    forwarded_from: str
    mentions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, msg_id: _Optional[str] = ..., conv: _Optional[str] = ..., body: _Optional[str] = ..., media: _Optional[_Iterable[str]] = ..., reply_to: _Optional[str] = ..., forwarded_from: _Optional[str] = ..., mentions: _Optional[_Iterable[str]] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("msg_id", "server_id", "body", "mentions")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    server_id: str
    body: str
    mentions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, msg_id: _Optional[str] = ..., server_id: _Optional[str] = ..., body: _Optional[str] = ..., mentions: _Optional[_Iterable[str]] = ...) -> None: ...

class Delete(_message.Message):
    __slots__ = ("msg_id", "server_id")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    server_id: str
    def __init__(self, msg_id: _Optional[str] = ..., server_id: _Optional[str] = ...) -> None: ...

class React(_message.Message):
    __slots__ = ("msg_id", "server_id", "emoji", "on")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    EMOJI_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    server_id: str
    emoji: str
    on: bool
    def __init__(self, msg_id: _Optional[str] = ..., server_id: _Optional[str] = ..., emoji: _Optional[str] = ..., on: _Optional[bool] = ...) -> None: ...

class Pin(_message.Message):
    __slots__ = ("msg_id", "server_id", "on")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    server_id: str
    on: bool
    def __init__(self, msg_id: _Optional[str] = ..., server_id: _Optional[str] = ..., on: _Optional[bool] = ...) -> None: ...

class Delivered(_message.Message):
    __slots__ = ("server_id",)
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    def __init__(self, server_id: _Optional[str] = ...) -> None: ...

class Read(_message.Message):
    __slots__ = ("server_id",)
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    def __init__(self, server_id: _Optional[str] = ...) -> None: ...

class Typing(_message.Message):
    __slots__ = ("conv",)
    CONV_FIELD_NUMBER: _ClassVar[int]
    conv: str
    def __init__(self, conv: _Optional[str] = ...) -> None: ...

class Sync(_message.Message):
    __slots__ = ("marks", "keep", "resume")
    class MarksEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MARKS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    marks: _containers.ScalarMap[str, str]
    keep: bool
    resume: str
    def __init__(self, marks: _Optional[_Mapping[str, str]] = ..., keep: _Optional[bool] = ..., resume: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Presence(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, users: _Optional[_Iterable[str]] = ...) -> None: ...

class ServerLimits(_message.Message):
    __slots__ = ("max_body_bytes", "max_media_refs", "max_frame_bytes", "max_sync_marks", "max_presence_users", "max_members", "max_mentions", "edit_window_s", "max_media_bytes")
    MAX_BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_MEDIA_REFS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SYNC_MARKS_FIELD_NUMBER: _ClassVar[int]
    MAX_PRESENCE_USERS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MAX_MENTIONS_FIELD_NUMBER: _ClassVar[int]
    EDIT_WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    MAX_MEDIA_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_body_bytes: int
    max_media_refs: int
    max_frame_bytes: int
    max_sync_marks: int
    max_presence_users: int
    max_members: int
    max_mentions: int
    edit_window_s: int
    max_media_bytes: int
    def __init__(self, max_body_bytes: _Optional[int] = ..., max_media_refs: _Optional[int] = ..., max_frame_bytes: _Optional[int] = ..., max_sync_marks: _Optional[int] = ..., max_presence_users: _Optional[int] = ..., max_members: _Optional[int] = ..., max_mentions: _Optional[int] = ..., edit_window_s: _Optional[int] = ..., max_media_bytes: _Optional[int] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("conn", "user", "device", "heartbeat_s", "ts", "limits")
    CONN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    conn: str
    user: str
    device: str
    heartbeat_s: int
    ts: int
    limits: ServerLimits
    def __init__(self, conn: _Optional[str] = ..., user: _Optional[str] = ..., device: _Optional[str] = ..., heartbeat_s: _Optional[int] = ..., ts: _Optional[int] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("msg_id", "server_id", "ts")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    server_id: str
    ts: int
    def __init__(self, msg_id: _Optional[str] = ..., server_id: _Optional[str] = ..., ts: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "detail", "msg_id", "retry_after")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    code: str
    detail: str
    msg_id: str
    retry_after: float
    def __init__(self, code: _Optional[str] = ..., detail: _Optional[str] = ..., msg_id: _Optional[str] = ..., retry_after: _Optional[float] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("type", "users", "name", "role", "timer_s")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TIMER_S_FIELD_NUMBER: _ClassVar[int]
    type: str
    users: _containers.RepeatedScalarFieldContainer[str]
    name: str
    role: str
    timer_s: int
    def __init__(self, type: _Optional[str] = ..., users: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ..., role: _Optional[str] = ..., timer_s: _Optional[int] = ...) -> None: ...

class Msg(_message.Message):
    __slots__ = ("server_id", "conv", "ts", "body", "media", "prev", "reply_to", "msg_id", "kind", "event", "forwarded", "edited_at", "deleted", "reactions", "withheld", "mentions", "spread_ms")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    EDITED_AT_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    REACTIONS_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    SPREAD_MS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    conv: str
    ts: int
    body: str
    media: _containers.RepeatedScalarFieldContainer[str]
    prev: str
    reply_to: str
    msg_id: str
    kind: str
    event: Event
    forwarded: bool
    edited_at: int
    deleted: bool
    reactions: _containers.RepeatedCompositeFieldContainer[Reaction]
    withheld: bool
    mentions: _containers.RepeatedScalarFieldContainer[str]
    spread_ms: int
    def __init__(self, server_id: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., body: _Optional[str] = ..., media: _Optional[_Iterable[str]] = ..., prev: _Optional[str] = ..., reply_to: _Optional[str] = ..., msg_id: _Optional[str] = ..., kind: _Optional[str] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., forwarded: _Optional[bool] = ..., edited_at: _Optional[int] = ..., deleted: _Optional[bool] = ..., reactions: _Optional[_Iterable[_Union[Reaction, _Mapping]]] = ..., withheld: _Optional[bool] = ..., mentions: _Optional[_Iterable[str]] = ..., spread_ms: _Optional[int] = ..., **kwargs) -> None: ...

class Reaction(_message.Message):
    __slots__ = ("emoji", "count", "mine", "users")
    EMOJI_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MINE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    emoji: str
    count: int
    mine: bool
    users: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, emoji: _Optional[str] = ..., count: _Optional[int] = ..., mine: _Optional[bool] = ..., users: _Optional[_Iterable[str]] = ...) -> None: ...

class EditEvent(_message.Message):
    __slots__ = ("server_id", "target", "conv", "ts", "body", "prev", "msg_id", "mentions")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    target: str
    conv: str
    ts: int
    body: str
    prev: str
    msg_id: str
    mentions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, server_id: _Optional[str] = ..., target: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., body: _Optional[str] = ..., prev: _Optional[str] = ..., msg_id: _Optional[str] = ..., mentions: _Optional[_Iterable[str]] = ..., **kwargs) -> None: ...

class DeleteEvent(_message.Message):
    __slots__ = ("server_id", "target", "conv", "ts", "prev", "msg_id")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    target: str
    conv: str
    ts: int
    prev: str
    msg_id: str
    def __init__(self, server_id: _Optional[str] = ..., target: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., prev: _Optional[str] = ..., msg_id: _Optional[str] = ..., **kwargs) -> None: ...

class ReactEvent(_message.Message):
    __slots__ = ("server_id", "target", "conv", "ts", "emoji", "on", "count", "prev", "msg_id")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    EMOJI_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    target: str
    conv: str
    ts: int
    emoji: str
    on: bool
    count: int
    prev: str
    msg_id: str
    def __init__(self, server_id: _Optional[str] = ..., target: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., emoji: _Optional[str] = ..., on: _Optional[bool] = ..., count: _Optional[int] = ..., prev: _Optional[str] = ..., msg_id: _Optional[str] = ..., **kwargs) -> None: ...

class PinEvent(_message.Message):
    __slots__ = ("server_id", "target", "conv", "ts", "on", "prev", "msg_id")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    target: str
    conv: str
    ts: int
    on: bool
    prev: str
    msg_id: str
    def __init__(self, server_id: _Optional[str] = ..., target: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., on: _Optional[bool] = ..., prev: _Optional[str] = ..., msg_id: _Optional[str] = ..., **kwargs) -> None: ...

class TakedownEvent(_message.Message):
    __slots__ = ("server_id", "target", "conv", "ts", "prev")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    target: str
    conv: str
    ts: int
    prev: str
    def __init__(self, server_id: _Optional[str] = ..., target: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., prev: _Optional[str] = ...) -> None: ...

class RestoreEvent(_message.Message):
    __slots__ = ("server_id", "target", "conv", "ts", "body", "media", "reply_to", "forwarded", "edited_at", "prev", "mentions")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    EDITED_AT_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    target: str
    conv: str
    ts: int
    body: str
    media: _containers.RepeatedScalarFieldContainer[str]
    reply_to: str
    forwarded: bool
    edited_at: int
    prev: str
    mentions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, server_id: _Optional[str] = ..., target: _Optional[str] = ..., conv: _Optional[str] = ..., ts: _Optional[int] = ..., body: _Optional[str] = ..., media: _Optional[_Iterable[str]] = ..., reply_to: _Optional[str] = ..., forwarded: _Optional[bool] = ..., edited_at: _Optional[int] = ..., prev: _Optional[str] = ..., mentions: _Optional[_Iterable[str]] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("server_id", "conv", "prev")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    CONV_FIELD_NUMBER: _ClassVar[int]
    PREV_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    conv: str
    prev: str
    def __init__(self, server_id: _Optional[str] = ..., conv: _Optional[str] = ..., prev: _Optional[str] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("edit", "delete", "react", "link", "takedown", "restore", "pin")
    EDIT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    REACT_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    TAKEDOWN_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    PIN_FIELD_NUMBER: _ClassVar[int]
    edit: EditEvent
    delete: DeleteEvent
    react: ReactEvent
    link: Link
    takedown: TakedownEvent
    restore: RestoreEvent
    pin: PinEvent
    def __init__(self, edit: _Optional[_Union[EditEvent, _Mapping]] = ..., delete: _Optional[_Union[DeleteEvent, _Mapping]] = ..., react: _Optional[_Union[ReactEvent, _Mapping]] = ..., link: _Optional[_Union[Link, _Mapping]] = ..., takedown: _Optional[_Union[TakedownEvent, _Mapping]] = ..., restore: _Optional[_Union[RestoreEvent, _Mapping]] = ..., pin: _Optional[_Union[PinEvent, _Mapping]] = ...) -> None: ...

class DeliveredEvent(_message.Message):
    __slots__ = ("server_id", "user", "ts")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    user: str
    ts: int
    def __init__(self, server_id: _Optional[str] = ..., user: _Optional[str] = ..., ts: _Optional[int] = ...) -> None: ...

class ReadEvent(_message.Message):
    __slots__ = ("server_id", "user", "ts")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    user: str
    ts: int
    def __init__(self, server_id: _Optional[str] = ..., user: _Optional[str] = ..., ts: _Optional[int] = ...) -> None: ...

class TypingEvent(_message.Message):
    __slots__ = ("conv", "user")
    CONV_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    conv: str
    user: str
    def __init__(self, conv: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class PresenceState(_message.Message):
    __slots__ = ("user", "state", "last_seen")
    USER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    user: str
    state: str
    last_seen: int
    def __init__(self, user: _Optional[str] = ..., state: _Optional[str] = ..., last_seen: _Optional[int] = ...) -> None: ...

class Backfill(_message.Message):
    __slots__ = ("conv", "messages", "more", "changes", "mark", "stale", "expired_before")
    CONV_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    conv: str
    messages: _containers.RepeatedCompositeFieldContainer[Msg]
    more: bool
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    mark: str
    stale: bool
    expired_before: str
    def __init__(self, conv: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[Msg, _Mapping]]] = ..., more: _Optional[bool] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., mark: _Optional[str] = ..., stale: _Optional[bool] = ..., expired_before: _Optional[str] = ...) -> None: ...

class Synced(_message.Message):
    __slots__ = ("convs",)
    CONVS_FIELD_NUMBER: _ClassVar[int]
    convs: int
    def __init__(self, convs: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("ts",)
    TS_FIELD_NUMBER: _ClassVar[int]
    ts: int
    def __init__(self, ts: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("after_ms",)
    AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    after_ms: int
    def __init__(self, after_ms: _Optional[int] = ...) -> None: ...

class Resync(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Conv(_message.Message):
    __slots__ = ("conv", "change", "by")
    CONV_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    conv: str
    change: str
    by: str
    def __init__(self, conv: _Optional[str] = ..., change: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...
