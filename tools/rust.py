"""Reads Rust sources for the checks in this folder: enough of the language to tell code from
comments and strings, and to follow modules and paths. No parser of the whole language.
"""

import re
from pathlib import Path

COMMENT_OR_LITERAL = re.compile(
    r"""
      //[^\n]*
    | /\*
    | \b[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)
    | \b[bc]?"(?:\\.|[^"\\])*"
    | "(?:\\.|[^"\\])*"
    | \bb?'(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])'
    | '(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])'
    """,
    re.VERBOSE | re.DOTALL,
)
NOT_NEWLINE = re.compile(r"[^\n]")


def blank(text, strings=True):
    """The text with its comments and, if wanted, its literals as spaces. Places stay."""
    parts, at = [], 0
    while found := COMMENT_OR_LITERAL.search(text, at):
        end = end_of_comment(text, found.start()) if found[0] == "/*" else found.end()
        token = text[found.start() : end]
        parts.append(text[at : found.start()])
        is_comment = token.startswith("/")
        parts.append(NOT_NEWLINE.sub(" ", token) if is_comment or strings else token)
        at = end
    return "".join(parts) + text[at:]


def end_of_comment(text, start):
    """The end of a block comment; these nest."""
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def end_of_item(code, start):
    """The end of the item that begins at `start`: its `;` or its closing brace."""
    depth = 0
    for at in range(start, len(code)):
        char = code[at]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0 and char == "}":
                return at + 1
        elif char == ";" and depth == 0:
            return at + 1
    return len(code)


def end_of_attribute(code, start):
    """The end of the attribute whose `[` is the first after `start`."""
    depth = 0
    for at in range(code.index("[", start), len(code)):
        depth += {"[": 1, "]": -1}.get(code[at], 0)
        if depth == 0:
            return at + 1
    return len(code)


CFG_TEST = re.compile(r"#\s*\[\s*cfg\s*\(\s*(all\s*\(\s*)?test\b")


def without_tests(code):
    """Blanked code with what is only compiled for tests as spaces, too."""
    at = 0
    while found := CFG_TEST.search(code, at):
        end = end_of_attribute(code, found.start())
        while following := re.compile(r"\s*#\s*\[").match(code, end):
            end = end_of_attribute(code, following.start())
        end = end_of_item(code, end)
        code = code[: found.start()] + NOT_NEWLINE.sub(" ", code[found.start() : end]) + code[end:]
        at = end
    return code


TOKEN = re.compile(r"\w+|::|[{}();,*=]|\S")
DEFINED = re.compile(
    r"\b(?:struct|enum|trait|type|fn|const|static|union|macro_rules\s*!)\s+(?:mut\s+)?(\w+)"
)


class Module:
    """A module of a crate: its children, what it imports, and all paths that its code has."""

    def __init__(self, path, parent, file):
        self.path = path  # ("socket", "events"); the crate's root is ()
        self.parent = parent
        self.file = file
        self.is_inline = False
        self.children = {}
        self.names = {}  # what `use` brings in, public or not: name -> path
        self.globs = []
        self.mentions = []  # (path, is_reexport)
        self.defined = set()

    def __repr__(self):
        return f"Module({'::'.join(self.path)})"

    def all(self):
        """This module and those below it."""
        yield self
        for child in self.children.values():
            yield from child.all()


def load(src):
    """The module tree of the crate whose sources are in the folder `src`, without its tests."""
    file = next(src / name for name in ("lib.rs", "main.rs") if (src / name).exists())
    root = Module((), None, file)
    read_module(root, file, src)
    return root


def read_module(module, file, folder):
    code = without_tests(blank(file.read_text()))
    tokens = [found[0] for found in TOKEN.finditer(code)]
    module.defined |= set(DEFINED.findall(code))
    read_tokens(module, tokens, folder)


def read_tokens(module, tokens, folder):
    """Reads the body of a module, whose files of further modules are in `folder`."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1 : at + 3]
        if token == "use" and following[:1] != ["<"]:
            at = read_use(module, tokens, at)
        elif token == "mod" and len(following) == 2 and following[1] in "{;":
            at = read_mod(module, tokens, at, folder)
        elif token == "pub" and following == ["(", "in"]:
            at = tokens.index(")", at) + 1
        elif token.isidentifier() and following[:1] == ["::"] and tokens[at - 1 : at] != ["::"]:
            path = [token]
            at += 1
            while tokens[at : at + 1] == ["::"] and tokens[at + 1].isidentifier():
                path.append(tokens[at + 1])
                at += 2
            module.mentions.append((tuple(path), False))
        else:
            at += 1


def read_use(module, tokens, at):
    is_reexport = tokens[at - 1 : at] in (["pub"], [")"])
    end = tokens.index(";", at)
    for path, name in use_tree(tokens[at + 1 : end]):
        if path[-1] == "*":
            module.globs.append(path[:-1])
        elif name != "_":
            module.names[name] = path
        module.mentions.append((path, is_reexport))
    return end + 1


def use_tree(tokens):
    """All (path, name) of what stands between `use` and `;`."""
    leaves, stack, prefix, name = [], [], [], None

    def finish():
        path = prefix[:-1] if len(prefix) > 1 and prefix[-1] == "self" else prefix
        if len(prefix) > (len(stack[-1]) if stack else 0):
            leaves.append((tuple(path), name or path[-1]))

    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token == "{":
            stack.append(list(prefix))
        elif token in ",}":
            finish()
            name = None
            prefix = list(stack[-1])
            if token == "}":
                stack.pop()
        elif token == "as":
            name = tokens[at + 1]
            at += 1
        elif token != "::":
            prefix.append(token)
        at += 1
    if not tokens or tokens[-1] != "}":
        finish()
    return leaves


def read_mod(module, tokens, at, folder):
    name = tokens[at + 1]
    child = Module((*module.path, name), module, module.file)
    module.children[name] = child
    if tokens[at + 2] == "{":
        end, depth = at + 3, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(tokens[end], 0)
            end += 1
        child.is_inline = True
        body = tokens[at + 3 : end - 1]
        child.defined |= set(DEFINED.findall(" ".join(body)))
        read_tokens(child, body, folder / name)
        return end
    file = folder / f"{name}.rs"
    if not file.exists():
        file = folder / name / "mod.rs"
    if file.exists():
        child.file = file
        read_module(child, file, folder / name)
    return at + 3


def absolute(module, path, root):
    """The path from the crate's root on; None if it leads to another crate or to a local name."""
    head, *rest = path
    if head == "crate":
        return tuple(rest)
    if head == "self":
        return (*module.path, *rest)
    if head == "super":
        while path and path[0] == "super":
            module, path = module.parent or root, path[1:]
        return (*module.path, *path)
    if head in module.children:
        return (*module.path, *path)
    return None


def rust_files(root, *folders):
    """The Rust files below these folders, without what tools have made."""
    for folder in folders:
        for file in sorted(Path(root, folder).rglob("*.rs")):
            if not {"target", "node_modules"} & set(file.relative_to(root).parts):
                yield file
