"""SQLAlchemy adapters of the CRM's repositories (SQLite, PostgreSQL) and an in-memory one."""
