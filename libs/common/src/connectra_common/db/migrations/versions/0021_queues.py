"""One index for the claims of the outbox, and none that can be taken for it.

The planner knows the outbox as it was at another moment, mostly empty: all indexes that fit a condition a little were as good to it.
"""

from connectra_common.db.migrations.steps import build_index, drop_index

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """The previous release claims by the primary key until it is gone."""
    build_index("outbox_queues_idx", "outbox ((lane * 2 + (entity = 'company')::int), first_seq)")
    drop_index("outbox_lanes_idx")
    drop_index("outbox_first_seq_idx")
