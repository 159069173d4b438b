"""The database backend for PostgreSQL (``ENGINE`` of ``settings.DATABASES``)."""
