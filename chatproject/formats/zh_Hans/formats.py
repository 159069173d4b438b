"""Times with their zone; the rest is Django's."""

DATETIME_FORMAT = "Y年n月j日 H:i T"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
