"""Adapters of the telemetry store: SQLite, InfluxDB, memory."""
