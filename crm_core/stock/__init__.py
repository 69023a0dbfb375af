"""Stock: the ledger, cartridges in devices, what covers a need, stand-by machines and down time."""
