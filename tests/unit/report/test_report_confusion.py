from __future__ import annotations

from edgetl.report.confusion import MAX_TABLE_CLASSES, lowest, shape_confusion
from edgetl.report.model import Recall


def test_counts_are_shaded_by_their_share_of_the_true_class() -> None:
    found = shape_confusion([[3, 1], [0, 5]], ["a", "b"], not_finite=0)
    assert [[(cell.count, cell.shade, cell.right) for cell in row] for row in found.rows] == [
        [(3, 75, True), (1, 25, False)],
        [(0, 0, False), (5, 100, True)],
    ]
    assert found.wrong == 1


def test_the_commonest_mix_up_comes_first() -> None:
    found = shape_confusion([[0, 1, 4], [2, 8, 0], [0, 0, 0]], ["a", "b", "c"], not_finite=0)
    assert [(m.truth, m.answer, m.count, m.of) for m in found.mix_ups] == [
        ("a", "c", 4, 5),
        ("b", "a", 2, 10),
        ("a", "b", 1, 5),
    ]


def test_many_classes_get_a_list_instead_of_a_table() -> None:
    size = MAX_TABLE_CLASSES + 1
    counts = [[1] * size for _ in range(size)]
    found = shape_confusion(counts, [str(index) for index in range(size)], not_finite=0)
    assert found.rows == ()
    assert 0 < len(found.mix_ups) < size
    assert found.wrong == size * (size - 1)


def test_images_with_logits_that_are_not_finite_are_wrong_although_they_are_in_no_column() -> None:
    found = shape_confusion([[3, 1], [0, 4]], ["a", "b"], not_finite=2)
    assert (found.wrong, found.not_finite) == (3, 2)
    assert sum(cell.count for row in found.rows for cell in row) == 8


def test_recalls_of_many_classes_are_cut_to_the_lowest() -> None:
    def recall(index: int, value: float | None) -> Recall:
        return Recall(label=f"c{index:02}", images=4, recall=value)

    few = [recall(1, 0.9), recall(0, 0.1)]
    assert lowest(few) == tuple(few)
    many = [recall(index, 1 - index / 100) for index in range(40)]
    shown = lowest([recall(99, None), *many])
    assert [each.label for each in shown[:2]] == ["c39", "c38"]
    assert len(shown) == 15
