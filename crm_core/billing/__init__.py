"""Money: counters to pages, pages and rents to invoices, payments, credits and repair charges."""
