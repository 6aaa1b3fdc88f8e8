"""What follows events with effects outside: where it stands, and what it still has to do, in a database that is kept."""
