"""Run by Alembic: migrates over the connection that `migrate` hands it, in that connection's transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
