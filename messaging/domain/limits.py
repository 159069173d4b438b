"""Every limit of the protocol, once, with its unit. ``ready`` states them; settings may change them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for. Sizes in bytes, times in seconds."""

    max_body_bytes: int = 64 * 1024
    max_media_refs: int = 10
    max_media_ref_chars: int = 256
    #: Bytes of one file, and of all that a user uploads in 24 hours; uploads of a user that are not finished.
    max_media_bytes: int = 100 * 1024 * 1024
    max_media_day_bytes: int = 1024 * 1024 * 1024
    max_uploads: int = 30
    #: A picture is decoded in memory: bytes as it comes, pixels (of all frames together, for one that moves).
    max_picture_bytes: int = 32 * 1024 * 1024
    max_picture_pixels: int = 50_000_000
    #: Uploads that were never finished, and files that no message came to refer to, are deleted after this.
    media_unused_s: int = 7 * 24 * 3600
    #: A frame over this gets an ``error`` frame; the socket stays open.
    max_frame_bytes: int = 128 * 1024
    #: A frame over this violates the protocol: the socket is closed with 1009 before it is buffered.
    max_socket_frame_bytes: int = 1024 * 1024
    #: Users that one message may mention.
    max_mentions: int = 50
    max_sync_marks: int = 500
    max_backfill: int = 200
    #: Bytes of text in one backfill, which must fit an outbox whole; its newest message goes in any case.
    max_backfill_bytes: int = 128 * 1024
    max_presence_users: int = 200
    max_page: int = 200
    max_group_small: int = 100
    max_members: int = 5_000
    max_name_chars: int = 120
    #: Links into one group that are in force, and people who ask to be let in.
    max_invites: int = 20
    max_join_requests: int = 200
    #: After which time members may have messages expire.
    min_timer_s: int = 86_400
    max_timer_s: int = 10 * 365 * 86_400
    #: Different emoji of one user on one message, and of everybody on one message.
    max_reactions_per_user: int = 10
    max_reactions: int = 20
    #: Messages that are pinned in one conversation.
    max_pins: int = 50
    #: Texts that a user has begun, each in its conversation, and that are kept for their other devices.
    max_drafts: int = 200
    #: Messages of a user that are to be sent later, and how far ahead that may be.
    max_scheduled: int = 100
    max_schedule_ahead_s: int = 120 * 86_400
    #: Conversations that a user keeps on top of the list.
    max_pinned_conversations: int = 20
    #: Changes (edits, deletions, reactions, pins) in one backfill.
    max_backfill_changes: int = 200
    #: For how long one's own text may be edited; 0: for ever.
    edit_window_s: int = 0
    heartbeat_s: int = 30
    idle_timeout_s: int = 90
    auth_timeout_s: int = 5
    #: Open sockets are asked so often whether their device is still signed in.
    recheck_s: float = 60.0
    presence_grace_s: int = 15
    #: A device that has not said ``delivered`` so long after it was written a message is offline for that message.
    delivery_deadline_s: int = 10
    #: Over so long the devices of a large group spread their ``delivered``; well within the deadline.
    receipt_spread_ms: int = 2_000
    #: One typing hint per user and conversation in this many seconds; more are dropped.
    typing_interval_s: float = 1.0
    #: Token bucket of ``send`` per user and pod.
    send_rate_per_s: float = 20.0
    send_burst: int = 60
    #: The same of a bot.
    bot_send_rate_per_s: float = 5.0
    bot_send_burst: int = 30
    #: Token buckets of ``sync`` and ``presence`` per connection: each reads the stores, and nothing else bounds them.
    #: Bursts are what a client needs that has come back, finds gaps in all its conversations, or leafs through them.
    sync_rate_per_s: float = 2.0
    sync_burst: int = 60
    presence_rate_per_s: float = 1.0
    presence_burst: int = 20
    #: Sends of one connection that may wait for the log at once; beyond it the socket is not read.
    max_inflight_sends: int = 128
    #: Bytes that may wait for one connection before it is closed as too slow (1013).
    max_outbox_bytes: int = 1024 * 1024
    max_outbox_frames: int = 4_000
