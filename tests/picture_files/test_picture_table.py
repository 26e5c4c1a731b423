"""The table of docs/pictures-table.md is what is found."""

from pathlib import Path

from picture_files.table import TABLE, table


def test_the_table_is_what_is_found(tmp_path: Path) -> None:
    found = table(tmp_path)
    assert found.count("\n| ") > 90
    assert found == TABLE.read_text("utf-8")
