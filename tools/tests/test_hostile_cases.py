"""The table of hostile cases names tests that exist, and has every case."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "hostile-cases.md"
CASES = 90


def rows():
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and not line.startswith(("| case |", "| hole |")):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def exists(file, name):
    source = (ROOT / file).read_text()
    if file.endswith(".rs"):
        return re.search(rf"\bfn {re.escape(name)}\(", source) is not None
    # The name of a test, of a group of tests, or of a row of a table.
    return any(f"{quote}{name}{quote}" in source for quote in "'`")


class HostileCases(unittest.TestCase):
    def test_each_named_test_exists(self):
        named = re.findall(r"`((?:tests|crates|fuzz)/\S+?\.(?:rs|js)): (.+?)`", PAGE.read_text())
        self.assertGreater(len(named), 80)
        for file, name in named:
            with self.subTest(file=file, name=name):
                self.assertTrue(exists(file, name))

    def test_each_row_has_a_test_or_says_why_not(self):
        for row in rows():
            with self.subTest(row[0]):
                self.assertEqual(len(row), 3)
                self.assertRegex(row[2], r"^(`\S+\.(rs|js): |none: )")

    def test_no_case_is_missing(self):
        found = set()
        for row in rows():
            numbers = re.match(r"[\d, to]+", row[0])
            for part in re.split(r", ", numbers.group().strip() if numbers else ""):
                bounds = [int(number) for number in re.findall(r"\d+", part)]
                if bounds:
                    found.update(range(bounds[0], bounds[-1] + 1))
        self.assertEqual(found, set(range(1, CASES + 1)))


if __name__ == "__main__":
    unittest.main()
