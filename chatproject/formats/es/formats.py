"""Times with their zone; the rest is Django's."""

DATETIME_FORMAT = "j \\d\\e F \\d\\e Y, H:i T"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
