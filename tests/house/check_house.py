#!/usr/bin/env python3
"""The rules of the house (ARCHITECTURE.md), read from the sources: directions of includes, sizes, words, folders."""

import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ("core", "viz", "app", "tests")
SOURCE_ENDINGS = {".h", ".cpp", ".cu", ".cuh"}
TEXT_ENDINGS = SOURCE_ENDINGS | {".md", ".toml", ".cmake", ".txt", ".py", ".sh", ".vert", ".frag", ".comp", ".glsl"}
MOST_LINES = 500
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Each library may include its own headers and those below it.
BELOW = {"core": {"core"}, "viz": {"viz", "core"}, "app": {"app", "viz", "core"}}

QT = re.compile(r"^(Q[A-Z]\w*|Qt\w+/.*|qcustomplot\.h)$")
IMGUI = re.compile(r"^imgui")
VULKAN = re.compile(r"^vulkan/")
HDF5 = re.compile(r"^(hdf5|H5\w*)\.h(pp)?$")

# Written in pieces, so that this file does not hold them.
BANNED = [re.compile(pattern, re.IGNORECASE if fold else 0) for pattern, fold in [
    (r"\bTO" + r"DO\b", False), (r"\bFIX" + r"ME\b", False), (r"\bX" + r"XX\b", False), (r"\bHA" + r"CK\b", False),
    (r"/wo" + r"rk/(main|shared|\.)", False), (r"/tmp/" + r"build", False), (r"\bsub-?age" + r"nt", True),
    (r"\bcla" + r"ude\b", True), (r"\banthro" + r"pic\b", True), (r"\bchat" + r"gpt\b", True)]]


def project_files():
    """Tracked files and those not yet tracked but not ignored either; all files where git has no say."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                                capture_output=True, check=True).stdout.decode().split("\0")
        names = [name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if "build" not in path.parts[:1]]
    return [Path(name) for name in names if (ROOT / name).is_file()]


FILES = project_files()
SOURCES = [path for path in FILES if path.suffix in SOURCE_ENDINGS and path.parts[0] in SOURCE_FOLDERS]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def includes(path):
    """(spelling, line number, in quotes) of every include."""
    text = text_of(path)
    for match in INCLUDE.finditer(text):
        yield match.group(2), text.count("\n", 0, match.start(1)) + 1, match.group(1) == '"'


class House(unittest.TestCase):
    def setUp(self):
        self.problems = []

    def tearDown(self):
        self.assertFalse(self.problems, "\n" + "\n".join(self.problems))

    def blame(self, path, line, text):
        self.problems.append(f"{path}:{line}: {text}")

    def forbid(self, pattern, what, allowed):
        """No source matches `pattern` in an include, but those for which `allowed` holds."""
        for path in SOURCES:
            if path.parts[0] == "tests" or allowed(path):
                continue
            for name, line, _ in includes(path):
                if pattern.search(name):
                    self.blame(path, line, f"{what} must not be included here, but <{name}> is")

    def test_the_sources_are_found(self):
        self.assertGreater(len(SOURCES), 50)
        self.assertTrue(any(True for path in SOURCES for _ in includes(path)))

    def test_libraries_include_only_what_is_below_them(self):
        for path in SOURCES:
            allowed = BELOW.get(path.parts[0])
            for name, line, _ in includes(path):
                top = name.split("/")[0]
                if allowed and top in BELOW and top not in allowed:
                    self.blame(path, line, f"{path.parts[0]} must not include {top}, but {name} is")

    def test_includes_are_rooted_at_the_repository(self):
        for path in SOURCES:
            for name, line, quoted in includes(path):
                # What a tool writes into the build folder is no .h (shaders), or has no folder in its name (moc).
                if quoted and "/" in name and name.endswith(".h") and not (ROOT / name).exists():
                    self.blame(path, line, f'"{name}" is no file of the repository')
                if quoted and name.startswith("."):
                    self.blame(path, line, f'"{name}" is relative')

    def test_core_knows_no_qt_imgui_vulkan(self):
        for pattern, what in ((QT, "Qt"), (IMGUI, "ImGui"), (VULKAN, "Vulkan")):
            self.forbid(pattern, what, lambda path: path.parts[0] != "core")

    def test_viz_knows_no_qt(self):
        self.forbid(QT, "Qt", lambda path: path.parts[0] != "viz")

    def test_the_command_line_knows_no_qt(self):
        self.forbid(QT, "Qt", lambda path: path.parts[:2] not in (("app", "cli"), ("app", "runs")))

    def test_hdf5_is_included_in_core_io_only(self):
        self.forbid(HDF5, "HDF5", lambda path: path.parts[:2] == ("core", "io"))

    def test_viz_takes_plain_data_not_the_trainer(self):
        trainer = re.compile(r"^core/(train/(trainer|lane|runner)|optim/|autograd/|nn/encoder)")
        self.forbid(trainer, "the trainer", lambda path: path.parts[0] != "viz")

    def test_files_are_short(self):
        for path in SOURCES:
            lines = text_of(path).count("\n")
            if lines > MOST_LINES:
                self.blame(path, lines, f"at most {MOST_LINES} lines, but there are {lines}; split it by concern")

    def test_headers_are_guarded(self):
        for path in SOURCES:
            if path.suffix == ".h" and "#pragma once" not in text_of(path):
                self.blame(path, 1, "#pragma once is missing")

    def test_names_are_snake_case(self):
        for path in SOURCES:
            if not re.fullmatch(r"[a-z0-9_]+", path.stem):
                self.blame(path, 1, "file names are snake_case")

    def test_no_banned_words(self):
        for path in FILES:
            if path.suffix not in TEXT_ENDINGS and path.name != "dev":
                continue
            for number, line in enumerate(text_of(path).splitlines(), 1):
                for pattern in BANNED:
                    if match := pattern.search(line):
                        self.blame(path, number, f'"{match.group()}" has no place in the project')

    def test_kernels_wait_for_those_before_them(self):
        # launch() lets a kernel begin before the one ahead of it has ended: without this line it would race with it.
        kernel = re.compile(r"__global__[^;{]*\{(?P<first>[^;]*;)")
        for path in SOURCES:
            if path.suffix not in (".cu", ".cuh") or path.parts[0] == "tests":
                continue
            text = text_of(path)
            for match in kernel.finditer(text):
                if match["first"].split() != ["waitForEarlier();"]:
                    line = text.count("\n", 0, match.start()) + 1
                    self.blame(path, line, "a kernel's first statement is waitForEarlier()")
            if "<<<" in text:
                self.blame(path, text.count("\n", 0, text.index("<<<")) + 1, "kernels are started by launch()")

    def test_every_registered_folder_has_a_readme(self):
        for parent, readme in (("core/attention", True), ("core/data", True), ("viz/views", False)):
            listing = ROOT / parent / "CMakeLists.txt"
            names = re.findall(r"linscope_add_(?:mechanism|task|view)\((\w+)\)", listing.read_text()) if listing.exists() else []
            self.assertTrue(names, f"{parent}/CMakeLists.txt registers nothing")
            for name in names:
                if not (ROOT / parent / name).is_dir():
                    self.blame(parent, 1, f"{name} is registered, but there is no such folder")
                elif readme and not (ROOT / parent / name / "README.md").exists():
                    self.blame(f"{parent}/{name}", 1, "README.md is missing")

    def test_every_experiment_has_a_readme(self):
        for path in FILES:
            if path.name == "experiment.toml" and not (ROOT / path).with_name("README.md").exists():
                self.blame(path.parent, 1, "README.md is missing")


if __name__ == "__main__":
    unittest.main()
