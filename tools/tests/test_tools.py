"""Tests of the checks in tools/ on small sources.

python3 -m unittest discover tools/tests
"""

import sys
import tempfile
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True


def tool(name):
    spec = spec_from_loader(name, SourceFileLoader(name, str(TOOLS / name)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


names = ("imports", "limits", "programs", "prose", "style", "public-names")
imports, limits, programs, prose, style, public_names = map(tool, names)
rust = sys.modules["rust"]


class Imports(unittest.TestCase):
    def graph(self, files, level=()):
        """The arrows of a crate with these files: {(from, to): names}."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                file = Path(folder, name)
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
            return imports.Graph(rust.load(Path(folder)), level)

    def test_a_nested_use_and_a_path_in_code_are_arrows(self):
        graph = self.graph(
            {
                "lib.rs": "mod a; mod b; mod c; mod d;",
                "a.rs": "use crate::{b::{self, B}, c::C as D};\nfn f() { crate::d::g(); }",
                "b.rs": "",
                "c.rs": "",
                "d.rs": "",
            }
        )
        self.assertEqual(
            dict(graph.arrows), {("a", "b"): {"b", "B"}, ("a", "c"): {"C"}, ("a", "d"): {"g"}}
        )

    def test_a_name_of_the_root_counts_for_the_module_that_it_is_from(self):
        graph = self.graph(
            {
                "lib.rs": "mod a; mod b;\npub use b::{B, inner::C as Renamed};\npub mod face { pub use crate::b::D; }",
                "a.rs": "use crate::{B, Renamed, face::D};",
                "b.rs": "mod inner; pub struct B; pub struct D;",
                "b/inner.rs": "pub struct C;",
            }
        )
        self.assertEqual(dict(graph.arrows), {("a", "b"): {"B", "D", "inner"}})
        self.assertEqual(graph.modules, {"a", "b"})

    def test_super_leads_to_the_module_above(self):
        graph = self.graph(
            {
                "lib.rs": "mod a; mod b;",
                "a/mod.rs": "mod deep;",
                "a/deep.rs": "use super::X; use super::super::b::Y; mod more { use super::super::super::b::Z; }",
                "b.rs": "",
            }
        )
        self.assertEqual(dict(graph.arrows), {("a", "b"): {"Y", "Z"}})

    def test_tests_comments_strings_and_other_crates_are_left_out(self):
        graph = self.graph(
            {
                "lib.rs": "mod a; mod b;",
                "a.rs": """
                //! See [`crate::b::B`]. /* use crate::b::B; */
                use std::fmt; use b::Foreign;
                const TEXT: &str = "crate::b::B"; const QUOTE: char = '"'; fn f<'a>(_: &'a str) {}
                #[cfg(test)] use crate::b::B;
                #[cfg(test)]
                mod tests { use crate::b::B; }
            """,
                "b.rs": "",
            }
        )
        self.assertEqual(dict(graph.arrows), {})

    def test_modules_that_reach_each_other_are_a_loop(self):
        graph = self.graph(
            {
                "lib.rs": "mod a; mod b; mod c; mod d;",
                "a.rs": "use crate::b::B;",
                "b.rs": "use crate::c::C;",
                "c.rs": "use crate::a::A; use crate::d::D;",
                "d.rs": "",
            }
        )
        self.assertEqual(graph.loops(), [("a", "b", "c")])
        self.assertEqual(graph.loops(without=("b", "c")), [])

    def test_a_module_that_needs_the_root_itself_is_in_a_loop_with_it(self):
        graph = self.graph(
            {
                "lib.rs": "mod a; use self::a::A; pub fn start() {}",
                "a.rs": "use crate::start;",
            }
        )
        self.assertEqual(graph.loops(), [("a", "lib")])

    def test_the_modules_of_a_folder_have_a_graph_of_their_own(self):
        files = {
            "lib.rs": "mod a; mod b; pub use a::{A, One};",
            "a/mod.rs": "mod one; mod two; pub use one::One; pub struct A;",
            "a/one.rs": "use super::two::Two; use crate::A;",
            "a/two.rs": "use crate::One;",
            "b.rs": "use crate::a::A;",
        }
        graph = self.graph(files, ("a",))
        self.assertEqual(
            dict(graph.arrows),
            {("one", "two"): {"Two"}, ("one", "mod"): {"A"}, ("two", "one"): {"One"}},
        )


class Prose(unittest.TestCase):
    def refused(self, suffix, source):
        return list(prose.check(suffix, source))

    def test_the_first_word_of_a_comment_counts(self):
        source = "/// The topic.\n/// What it remembers.\nstruct A;\n\n/// What a topic remembers.\nstruct B;"
        self.assertEqual(self.refused(".rs", source), [(5, "What a topic remembers.")])

    def test_a_module_and_a_word_in_bold_are_refused_too(self):
        source = "//!\n//! Whether it runs.\n\n/// **One** of them.\nstruct A;"
        self.assertEqual([line for line, _ in self.refused(".rs", source)], [2, 4])

    def test_words_that_only_begin_alike_and_plain_comments_pass(self):
        source = "/// Whole messages.\n/// [`What`] it is.\nstruct A; // What is this?\n/// `one` of two.\nstruct B;"
        self.assertEqual(self.refused(".rs", source), [])

    def test_jsdoc_is_read_on_one_line_and_on_several(self):
        source = (
            "/** How long. */\n/**\n *\n * Since when.\n * @type {x}\n */\n/** @type {What} */\n"
        )
        self.assertEqual(self.refused(".js", source), [(1, "How long."), (4, "Since when.")])


class Style(unittest.TestCase):
    def rules(self, source, name="crates/x/src/a.rs"):
        return [(line, rule) for line, rule, _ in style.check(Path(name), source)]

    def test_a_source_begins_with_what_it_is(self):
        self.assertEqual(self.rules("use std::fmt;\n"), [(1, "module")])
        self.assertEqual(self.rules("use std::fmt;\n", "crates/x/src/a/tests.rs"), [])
        self.assertEqual(self.rules("use std::fmt;\n", "crates/x/tests/a.rs"), [])

    def test_derives_are_in_order(self):
        source = "//! A.\n\n#[derive(Debug, Clone, thiserror::Error, PartialEq)]\nstruct A;\n"
        self.assertEqual(self.rules(source), [(3, "derive")])
        fixed = "//! A.\n\n#[derive(Clone, Debug, PartialEq, thiserror::Error)]\nstruct A;\n"
        self.assertEqual(style.fix(source), fixed)
        self.assertEqual(self.rules(fixed), [])

    def test_a_use_names_one_module(self):
        source = "//! A.\n\nuse std::{fmt, sync::{Arc, atomic::{AtomicU8, Ordering}}};\nuse crate::{B, c::{self, C}};\n"
        self.assertEqual([rule for _, rule in self.rules(source)], ["import", "order", "import"])
        fixed = (
            "//! A.\n\nuse std::fmt;\nuse std::sync::Arc;\nuse std::sync::atomic::{AtomicU8, Ordering};\n"
            "\nuse crate::B;\nuse crate::c::{self, C};\n"
        )
        self.assertEqual(style.fix(source), fixed)
        self.assertEqual(self.rules(fixed), [])

    def test_imports_are_in_three_groups(self):
        source = "//! A.\n\nmod child;\n\nuse bytes::Bytes;\n#[cfg(unix)]\nuse std::fmt;\nuse child::C;\n"
        self.assertEqual(self.rules(source), [(5, "order")])
        fixed = "//! A.\n\nmod child;\n\n#[cfg(unix)]\nuse std::fmt;\n\nuse bytes::Bytes;\n\nuse child::C;\n"
        self.assertEqual(style.fix(source), fixed)
        self.assertEqual(self.rules(fixed), [])

    def binding(self, *lines):
        body = "".join(f"    {line}\n" for line in lines)
        return [rule for _, rule in self.rules("//! A.\n\nfn f() {\n" + body + "}\n")]

    def test_a_name_that_is_used_once_is_noise(self):
        self.assertEqual(
            self.binding("let all = rooms.iter();", "all.map(g).collect()"), ["binding"]
        )
        self.assertEqual(self.binding("let a = b.c(d)?;", "return a.e();"), ["binding"])

    def test_a_name_with_a_reason_passes(self):
        for lines in (
            ("let all = rooms.lock();", "all.iter().collect()"),
            ("let all = rooms.len() + 1;", "all.min(2)"),
            ("let all = rooms.iter();", "all.map(g)", "    .chain(all)"),
            ("let all = rooms.iter();", "all.map(g);", 'format!("{all}")'),
            ("let all = rooms.iter();", "// Without the first.", "all.skip(1)"),
            ("let mut all = rooms.iter();", "all.next()"),
            ("let all = rooms.iter();", "go(all.map(g))"),
        ):
            self.assertEqual(self.binding(*lines), [], lines)


class Limits(unittest.TestCase):
    CODE = {
        "crates/nextrush-server/src/settings/mod.rs": """
    /// The most connections.
    connections: NonZeroUsize, "NUMBER", Value("1000"), Start;
    wait: Duration, "DURATION", Value("2m"), Start;
""",
        "crates/nextrush/src/rooms.rs": """
/// The longest name.
const NAME: usize = 2 * Self::UNIT;
const UNIT: usize = 1 << 10;
const WAIT: Duration = Duration::from_secs(2 * 60);
impl Default for Rooms {
    fn default() -> Self {
        Self { open: 1_000, }
    }
}
impl Default for Rate {
    fn default() -> Self {
        Self::new(3, 4)
    }
}
#[test]
fn a_long_name_is_refused() {}
""",
        "docs/public/nextrush.txt": "nextrush::Rooms::open: field usize\n",
    }
    ENTRIES = (
        {"name": "name", "of": ["bytes nextrush/src/rooms.rs#NAME"]},
        {"name": "rooms", "of": ["nextrush/src/rooms.rs#Rate(1)"], "value": "{} of all"},
        {"name": "wait", "of": ["nextrush/src/rooms.rs#WAIT"], "setting": "wait"},
        {"name": "all", "setting": "connections", "library": "Rooms::open"},
    )
    TEST = "nextrush/src/rooms.rs#a_long_name_is_refused"

    def table(self, entries, code=None):
        """The rows of these entries, and what is wrong."""
        entries = [{"told": "no", "seen": "", "tests": [self.TEST], **entry} for entry in entries]
        table = {"inner": [], "section": [{"title": "Rooms", "limit": entries}]}
        options, limits.OPTIONS = limits.OPTIONS, ()
        try:
            with tempfile.TemporaryDirectory() as folder:
                for name, text in (code or self.CODE).items():
                    file = Path(folder, name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text)
                found = limits.Limits(Path(folder), table)
                rows = found.written().splitlines()[4:]
                return [row for row in rows if row], found.wrong
        finally:
            limits.OPTIONS = options

    def test_values_are_those_of_the_code(self):
        rows, wrong = self.table(self.ENTRIES)
        self.assertEqual(wrong, [])
        self.assertEqual(
            rows,
            [
                "| name | 2 KiB |  | no |  |",
                "| rooms | 4 of all |  | no |  |",
                "| wait | 2 minutes | [`--wait`](settings.md#wait) | no |  |",
                "| all | 1,000 | [`--connections`](settings.md#connections), `Rooms::open` | no |  |",
            ],
        )

    def test_a_limit_without_an_entry_or_a_test_is_found(self):
        for change, expected in (
            ({"tests": []}, "no test goes beyond this limit"),
            ({"tests": ["nextrush/src/rooms.rs#another"]}, "there is no test nextrush"),
            ({"of": ["nextrush/src/rooms.rs#OTHER"]}, "there is no nextrush/src/rooms.rs#OTHER"),
            ({"library": "Rooms::closed"}, "there is no Rooms::closed"),
            ({"setting": "other"}, "there is no setting other"),
            ({"setting": "wait"}, "the default of --wait is 2m, that of the library 2 KiB"),
        ):
            first, *others = self.ENTRIES
            _, wrong = self.table([{**first, **change}, *others])
            self.assertTrue(any(expected in each for each in wrong), (change, wrong))
        for missing, expected in ((0, "rooms.rs#NAME is a limit"), (3, "--connections has a number")):
            entries = [entry for at, entry in enumerate(self.ENTRIES) if at != missing]
            _, wrong = self.table(entries)
            self.assertEqual(len(wrong), 1, wrong)
            self.assertIn(expected, wrong[0])


class Programs(unittest.TestCase):
    PAGE = "Before.\n\n<!-- program: a.rs -->\n\n```rust,ignore\nold();\n```\n\nAfter.\n"

    def test_a_page_shows_the_program_of_its_file(self):
        shown = programs.filled(self.PAGE, {"a.rs": "new();\n"}.get)
        self.assertEqual(shown, self.PAGE.replace("old", "new"))
        self.assertEqual(programs.filled(shown, {"a.rs": "new();\n"}.get), shown)

    def test_what_would_not_be_shown_is_refused(self):
        for page in (
            "```rust\n{{#include ../a.rs}}\n```\n",
            "<!-- program: a.rs -->\n\nNo code.\n",
        ):
            with self.assertRaises(ValueError, msg=page):
                programs.filled(page, {"a.rs": "new();"}.get)
        with self.assertRaises(ValueError):
            programs.filled(self.PAGE, {"a.rs": "//! ```\n"}.get)


class PublicNames(unittest.TestCase):
    PAGE = """<main><section id="main-content"><pre class="rust item-decl"><code>#[non_exhaustive]
pub struct Room&lt;T&gt; {
    pub name: <a>String</a>,
    <span class="comment">/* private fields */</span>
}</code></pre>
<span id="structfield.name" class="structfield section-header"><a class="anchor">§</a><code>name: <a>String</a></code></span>
<div id="implementations-list"><section id="impl-Room" class="impl"><h3 class="code-header">impl&lt;T&gt; Room&lt;T&gt;</h3></section>
<section id="method.send" class="method"><a class="src">Source</a><h4 class="code-header">pub async fn <a class="fn">send</a>(
    &amp;self,
    to: T,
) -&gt; <a>Result</a>&lt;T&gt;<div class="where">where
    T: <a>Send</a>,</div></h4></section></div>
<div id="trait-implementations-list"><section class="impl"><h3 class="code-header">impl&lt;T&gt; Clone for Room&lt;T&gt;</h3></section>
<section id="method.clone" class="method"><h4 class="code-header">fn <a class="fn">clone</a>(&amp;self) -&gt; Self</h4></section></div>
<div id="blanket-implementations-list"><section class="impl"><h3 class="code-header">impl&lt;T&gt; Any for T</h3></section></div>
</section></main>"""

    def test_a_page_becomes_lines(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "struct.Room.html")
            file.write_text(self.PAGE)
            lines = list(public_names.item_lines(public_names.read(file), "x::Room"))
        self.assertEqual(
            lines,
            [
                "x::Room: #[non_exhaustive] struct<T> { .. }",
                "x::Room::name: field String",
                "x::Room::send: async fn(&self, to: T) -> Result<T> where T: Send in impl<T> Room<T>",
                "x::Room: impl<T> Clone for Room<T>",
            ],
        )


if __name__ == "__main__":
    unittest.main()
