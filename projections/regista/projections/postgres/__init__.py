"""Views in PostgreSQL: for several processes on several machines. Only this package imports psycopg."""

from regista.projections.postgres.database import PostgresViewsDatabase as PostgresViewsDatabase
from regista.projections.postgres.reader import PostgresReader as PostgresReader
