"""Billing: from meter readings to invoices, payments and credits, in tables and in memory."""
