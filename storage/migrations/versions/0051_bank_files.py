"""Files that banks are handed: what they come to, and to whose account each payout in them went."""

from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE bank_files (
    number varchar(32) NOT NULL CONSTRAINT pk_bank_files PRIMARY KEY,
    batch uuid NOT NULL,
    day date NOT NULL,
    currency varchar(3) NOT NULL,
    payouts integer NOT NULL,
    total_minor bigint NOT NULL,
    digest varchar NOT NULL,
    made_at timestamptz NOT NULL,
    made_by varchar NOT NULL,
    CONSTRAINT fk_bank_files_batch_payout_batches FOREIGN KEY (batch) REFERENCES payout_batches (id)
);

CREATE INDEX ix_bank_files_batch ON bank_files (batch);

CREATE TABLE bank_file_lines (
    payout bigint NOT NULL CONSTRAINT pk_bank_file_lines PRIMARY KEY,
    file varchar(32) NOT NULL,
    receiver bytea NOT NULL,
    CONSTRAINT fk_bank_file_lines_payout_payouts FOREIGN KEY (payout) REFERENCES payouts (id),
    CONSTRAINT fk_bank_file_lines_file_bank_files FOREIGN KEY (file) REFERENCES bank_files (number)
);

CREATE INDEX ix_bank_file_lines_file ON bank_file_lines (file, payout)
"""


def upgrade() -> None:
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";\n\n"))):
        op.execute(statement)
