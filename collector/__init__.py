"""Reads devices over SNMP and MQTT and lands their readings durably."""
