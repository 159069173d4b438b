"""Push: from the topic ``push`` to the devices of people who are away (design section 8, docs/push.md).

::

    messaging.services.push_intents   who was not reached        router, pods
            |  topic push, dispatcher
    tasks.push_messages               a batch of intents
            |
    planning.py                       who of them really gets one, decided when it is sent
    outbox.py                         one row for a message and device: what was promised, and what became of it
    following.py                      what was shown follows edits and deletions
    sending.py                        rates, circuit breaker, retries
            |
    providers/                        APNs, FCM, Web Push
    summary.py                        what is too late for a push becomes one mail
"""
