"""Tables handed in as files: what is understood is stored, what is not is told by line and column."""

import io
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel

from api.auth import requires
from api.bodies import uploaded_files
from api.deps import Deps
from api.routes.definitions import Sentence
from api.routing import router
from domain.access import Actor, Permission
from domain.imports import RowError
from domain.imports.mapping import parse_mapping
from services.imports import ImportBounds

imports = router("/api/v1/imports", "imports")

Platform = Annotated[str, Path(max_length=64, examples=["youzan"])]
Slug = Annotated[str, Path(max_length=64, examples=["demo-apparel"])]
Sender = Annotated[Actor, requires(Permission.EVENTS_PUBLISH)]
DryRun = Annotated[bool, Query(description="只检查，不保存 · check only, store nothing")]

MOST_ERRORS = 1_000
BOUNDS = ImportBounds(most_rows=100_000, patience_s=60.0)
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["mapping", "table"],
                    "properties": {
                        "mapping": {"type": "string", "format": "binary"},
                        "table": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


class RowErrorOut(BaseModel):
    """Why a row was refused. column: its title; empty when the row as a whole is meant."""

    line: int
    column: str
    reason: Sentence


class ImportOut(BaseModel):
    """What became of a table. rows: read; records: understood; new and known: stored now, or before; refused: records
    that were not understood; more_errors: how many errors are not listed."""

    rows: int
    records: int
    new: int
    known: int
    refused: int
    digest: str
    dry_run: bool
    errors: list[RowErrorOut]
    more_errors: int


@imports.post("/{platform}/{slug}", openapi_extra=_FORM, summary="导入表格 · Import a table")
async def import_table(
    platform: Platform, slug: Slug, request: Request, actor: Sender, deps: Deps, dry_run: DryRun = False
) -> ImportOut:
    """上传 CSV 或 XLSX（table）与列映射（mapping）；可重复上传，不会重复导入；最多 32 MB、10 万行，更大的用命令行。

    A CSV or XLSX file (`table`) and the mapping of its columns (`mapping`). Sent again it doubles nothing. At most
    32 MB and 100,000 rows; `tandem import` takes larger ones.
    """
    mapping, table = await uploaded_files(request, ("mapping", "table"))
    errors: list[RowError] = []
    more = 0

    def keep(error: RowError) -> None:
        nonlocal more
        if len(errors) < MOST_ERRORS:
            errors.append(error)
        else:
            more += 1

    outcome = await deps.imports.run(
        actor,
        f"{platform}/{slug}",
        parse_mapping(mapping.content, mapping.name),
        io.BytesIO(table.content),
        table.name,
        keep,
        dry_run=dry_run,
        bounds=BOUNDS,
    )
    told = [
        RowErrorOut(line=error.line, column=error.column, reason=Sentence(**error.reason.as_dict())) for error in errors
    ]
    return ImportOut(
        rows=outcome.rows,
        records=outcome.records,
        new=outcome.new,
        known=outcome.known,
        refused=outcome.refused,
        digest=outcome.digest,
        dry_run=outcome.dry_run,
        errors=told,
        more_errors=more,
    )
