"""A look at a user's table: which column is what, by names and values.

Only a guess, for the user to correct: `affectlab init` prints it with comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectlab.datasets.lines import check_utf8
from affectlab.datasets.look_columns import MOST_CLASSES, Column, ColumnCounter
from affectlab.datasets.own_tables import OwnFile, own_files, split_called
from affectlab.datasets.tables import is_text_table, read_table
from affectlab.errors import DataError, UserError

LABELS = (
    *("label", "labels", "class", "emotion", "emo", "mood", "category", "target", "sentiment"),
    *("emotions", "moods", "tags"),
)
GROUPS = (
    *("group", "author", "writer", "user", "username", "speaker", "subject", "participant"),
    *("respondent", "person", "patient", "actor", "client", "student", "account", "family"),
    *("session", "conversation", "dialogue", "thread", "source"),
    *("autor", "autorin", "verfasser", "sprecher", "sprecherin", "nutzer", "benutzer", "gruppe"),
    *("teilnehmer", "proband", "probandin", "klient", "patientin", "schüler", "versuchsperson"),
    *("autora", "hablante", "locutor", "usuario", "participante", "sujeto", "paciente", "grupo"),
    *("persona", "auteur", "locuteur", "utilisateur", "sujet", "groupe", "作者", "用户", "说话人"),
)
"""Columns that keep items together. An annotator does not: each one rates items of all authors."""

GROUPS_IF_REPEATED = ("who", "name")
"""The same where values occur again; else each of them is the name of an item."""

TEXTS = (
    *("text", "texts", "tweet", "sentence", "utterance", "post", "comment", "message", "review"),
    *("content", "body", "document", "transcript", "satz", "nachricht", "kommentar", "texto"),
    *("mensaje", "comentario", "texte", "testo", "文本", "内容", "句子"),
)
"""Columns that hold the texts, however short these are."""

PREDICTIONS = (
    *("predicted", "prediction", "predictions", "pred", "preds", "y_pred", "output"),
    *("predicted_label", "predicted_class", "pred_label", "model_label"),
)
"""Columns that hold the output of a model: neither labels nor the votes of an annotator."""

SUFFIXES = ("_id", "id", "_name", "_code", "_number", "_nr", "_no")
"""What may follow such names, as in ``user_id``."""

SPLITS = ("split", "set", "partition", "subset", "part")
IDS = ("id", "nr", "no", "index", "key", "uid")
DIMENSIONS = ("valence", "arousal", "dominance")
NUMBERS = (*DIMENSIONS, "intensity", "pleasure", "activation")


@dataclass(slots=True)
class Look:
    """What was seen in a table.

    Attributes:
        rows: how many.
        columns: name -> what it holds, in the order of the table.
        splits: that the files are called by.
        texts: the first values of each column, for a guess of the language.
    """

    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    splits: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def named(self, names: Sequence[str], *, least: int = 0, most: int | None = None) -> str | None:
        """The first column that is called so, or whose name ends so, such as ``user_id``.

        Args:
            names: in lower case, the preferred one first.
            least: different values that it must have.
            most: different values that it may have; None: any number.
        """
        lowered = {name.lower().strip(): name for name in self.columns}
        for wanted in names:
            # The plain name first: there may be a label and a label_name.
            for low in sorted(lowered, key=lambda low: low != wanted):
                name = lowered[low]
                different = self.columns[name].different
                if wanted in _stems(low) and least <= different <= (most or different):
                    return name
        return None

    def group(self, least: int = 0) -> str | None:
        """The column whose items stay together, such as their author; None without one.

        Args:
            least: different values that it must have, such as the number of folds.
        """
        found = self.named(GROUPS, least=least)
        if found is not None:
            return found
        perhaps = (self.named([name], least=least) for name in GROUPS_IF_REPEATED)
        return next((name for name in perhaps if name and self.columns[name].repeats), None)

    @property
    def text(self) -> str | None:
        """The column with the texts, see `text_column`."""
        return self.text_column(())

    def text_column(self, taken: Iterable[str]) -> str | None:
        """The column with the texts, other than those *taken*.

        Returns:
            The one that is called as texts are, else the one with the longest texts; None where no
            column has several words.
        """
        free = [column for name, column in self.columns.items() if name not in set(taken)]
        lowered = {column.name.lower().strip(): column for column in free}
        named = [lowered[name] for name in TEXTS if name in lowered and _may_be_text(lowered[name])]
        if named:
            return named[0].name
        best = max(free, key=lambda column: column.words, default=None)
        return best.name if best is not None and best.words >= 2 else None

    def label(self, taken: Iterable[str]) -> str | None:
        """The column with the classes, other than those *taken*."""
        found = self.named(LABELS, most=MOST_CLASSES)
        if found is not None:
            return found
        others = [
            column
            for name, column in self.columns.items()
            if name not in set(taken) and column.counts and self._may_be_classes(column)
        ]
        return min(others, key=lambda column: column.different).name if others else None

    def no_classes(self, taken: Iterable[str]) -> str:
        """Report that no column holds classes; columns of few different numbers are listed.

        Args:
            taken: columns that are in use.
        """
        known = set(taken)
        numbers = [
            name
            for name, column in self.columns.items()
            if name not in known and column.numeric and 2 <= column.different <= self.rows // 5
        ]
        if numbers:
            return (
                f"no column is called label; few different numbers are in {', '.join(numbers)}. If "
                "one of these holds the classes, rename it to label"
            )
        return f"no column holds classes (2 to 64 values); it has {', '.join(self.columns)}"

    def _may_be_classes(self, column: Column) -> bool:
        if column.numeric or column.decimal_commas or column.name.lower().strip() in PREDICTIONS:
            return False
        return 2 <= column.different <= max(2, self.rows // 5)

    def annotators(self, taken: Iterable[str]) -> list[str]:
        """Columns with the same classes, one for each annotator; none where there are not two."""
        by_values: dict[frozenset[str], list[str]] = {}
        sets = {
            name: frozenset(value for value in column.counts if value.strip())
            for name, column in self.columns.items()
            if name not in set(taken) and column.counts and self._may_be_classes(column)
        }
        for name, values in sets.items():
            for known, members in by_values.items():
                # A rare class may be missing with one of them.
                if len(values & known) >= 0.6 * len(values | known) and len(values & known) > 1:
                    members.append(name)
                    break
            else:
                by_values[values] = [name]
        several = [members for members in by_values.values() if len(members) > 1]
        return max(several, key=len, default=[])

    def numbers(self) -> list[str]:
        """Columns of numbers that are targets by their names, such as valence."""
        lowered = {name.lower().strip(): name for name in self.columns}
        found = [lowered[name] for name in NUMBERS if name in lowered]
        return [name for name in found if self.columns[name].numeric]

    def check_decimal_commas(self, path: Path) -> None:
        """Reject columns of numbers, such as valence, with decimal commas.

        Raises:
            UserError: there is one.
        """
        for name, column in self.columns.items():
            if name.lower().strip() in NUMBERS and column.decimal_commas:
                first = next(text for text in self.texts[name] if "," in text)
                raise UserError(
                    f"{path}: the column {name} has decimal commas, such as {first!r}; expected "
                    f"decimal points, such as {first.replace(',', '.')}"
                )

    def label_sets(self, taken: Iterable[str]) -> str | None:
        """The column whose cells list the classes of a text; none where there is none.

        A column that is called as labels are comes before others.
        """
        known = set(taken)
        found = [
            name
            for name, column in self.columns.items()
            if name not in known and column.parts and 2 <= len(column.parts) <= self.rows // 5
        ]
        named = [name for name in found if name.lower().strip() in LABELS]
        return next(iter([*named, *found]), None)

    def indicators(self, taken: Iterable[str]) -> list[str]:
        """Columns of 0 and 1, one for each class; none where there are not two."""
        known = set(taken)
        found = [
            name for name, column in self.columns.items() if column.indicator and name not in known
        ]
        complete = [name for name in found if self.columns[name].filled == self.rows]
        return complete if len(complete) > 1 else []

    def several_classes(self, taken: Iterable[str], label: str | None) -> str | list[str] | None:
        """The column, or the columns, of several classes for each item; None where there are none.

        Columns of 0 and 1 may be anything. They count where no column is called as labels are.

        Args:
            taken: other columns that are in use.
            label: the column that may hold one class, if there is one.
        """
        known = set(taken)
        listing = self.label_sets(known)
        if listing is not None and label in (None, listing):
            return listing
        indicators = self.indicators(known)
        return indicators if indicators and self.named(LABELS) is None else None

    def split(self) -> str | None:
        """The column whose values name splits."""
        name = self.named(SPLITS, most=5)
        if name is None:
            return None
        values = self.columns[name].counts or {}
        return name if all(split_called(value) for value in values) else None


def look_at(path: Path) -> Look:
    """Read a table, or a folder of tables, once.

    Raises:
        UserError: there is nothing to read.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    look = Look()
    counters: dict[str, ColumnCounter] = {}
    files = [OwnFile(path, None)] if path.is_file() else own_files(path, {})
    for file in files:
        if file.split is not None:
            look.splits.append(file.split)
        if is_text_table(file.path):
            check_utf8(file.path)
        for row in read_table(file.path, []):
            if row.problem is not None:
                continue
            if len(row.values) == 1 and "|" in next(iter(row.values)):
                raise DataError(
                    file.path,
                    "line 1",
                    "its fields are separated by vertical bars, expected commas; save the table "
                    "with commas",
                )
            look.rows += 1
            for name, value in row.values.items():
                counters.setdefault(name, ColumnCounter()).add(value)
    if look.rows == 0:
        raise UserError(f"{path}: the table has no rows")
    look.columns = {name: counter.column(name) for name, counter in counters.items()}
    look.texts = {name: counter.first for name, counter in counters.items()}
    return look


def _may_be_text(column: Column) -> bool:
    return column.filled > 0 and not column.numeric


def _stems(name: str) -> set[str]:
    """A name in lower case, as it is and without one of `SUFFIXES`."""
    return {name, *(name.removesuffix(suffix) for suffix in SUFFIXES)}
