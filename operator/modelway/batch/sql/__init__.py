"""Tables of PostgreSQL as input and output of a batch run, through ADBC: rows come and go as Arrow columns.

A table is cut into ranges of a key (`ranges`, `source`). What is written goes through a table of its own, and becomes
rows of the user's table in one transaction, the last (`target`); what other outputs keep in files, the plan and the
records, is a table beside it (`ledger`). User and password come from the environment alone, by libpq's own names
(PGUSER, PGPASSWORD, PGSSLMODE, …), so nothing here ever holds them.
"""
