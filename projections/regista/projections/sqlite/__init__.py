"""Views in a file of SQLite: for one machine, and no server needed."""
