"""The page for operators speaks of lines that the log has."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Operations(unittest.TestCase):
    def test_the_lines_of_the_log_are_those_of_the_sources(self):
        sources = "".join(file.read_text() for file in sorted(ROOT.glob("crates/*/src/**/*.rs")))
        # A text that goes on in the next line.
        sources = re.sub(r"\\\n\s*", "", sources)
        page = (ROOT / "docs" / "operations.md").read_text()
        section = page.split("\nOf the log,", 1)[1].split("\nWhat clients see:", 1)[0]
        lines = re.findall(r"^\| (?:error|warn) `(.+?)` \|", section, re.MULTILINE)
        self.assertGreater(len(lines), 8)
        for line in lines:
            for part in line.split("…"):
                with self.subTest(line):
                    self.assertIn(part.strip(": "), sources)


if __name__ == "__main__":
    unittest.main()
