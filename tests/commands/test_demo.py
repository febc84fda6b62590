from pathlib import Path

import pytest

from commands.demo import sample_texts
from domain.problems import ValidationProblem

DEFINITIONS = Path(__file__).parents[2] / "definitions"


def test_the_samples_are_those_of_the_folder_named_from_there() -> None:
    names = [sample.file for sample in sample_texts(DEFINITIONS)]
    assert "apparel/return-refund.yaml" in names
    assert len(names) == len(list(DEFINITIONS.rglob("*.yaml")))


def test_a_sample_saved_in_another_encoding_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "edited.yaml").write_bytes("document: {title: 退款}".encode("gbk"))
    with pytest.raises(ValidationProblem, match=r"edited\.yaml.*UTF-8"):
        sample_texts(tmp_path)
