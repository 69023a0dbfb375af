"""SNMP: engines behind one port, and what to ask a printer."""
