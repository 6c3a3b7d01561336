#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_guide.py - does what doc/guide/rollouts.md tells its reader to do, and compares what is printed
# with what the guide shows.
#
# A fenced block counts only with a comment before it, which readers do not see:
#   <!-- run -->                  its commands are run in one shell, one after the other
#   <!-- run, repeat -->          the same, but each is repeated until it prints what is shown
#   <!-- run, other terminal -->  one command in a shell of its own; what it printed is compared when the
#                                 guide is over
#   <!-- file: NAME -->           it is that file of doc/guide/rollouts, word for word
#   <!-- table: HEADER -->        no block: the table that follows has the rows of a list in a C header
# A line "..." stands for any lines. A command ends with 0, unless "echo $?" comes next. Ports 7420 and 8081 to
# 8083 are replaced by free ones on the way in, and put back on the way out.
import os
import pathlib
import re
import shutil
import socket
import subprocess

import kit

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "doc/guide/rollouts.md"
FILES = ROOT / "doc/guide/rollouts"
INSTALLED = "/usr/local/share/doc/dides/guide/rollouts"
END = "=-=-= end"
PATIENCE_S = 20

# What is another for each reader.
VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b\d\d:\d\dZ"), "TIME"),
    (re.compile(r"^TIME +\d+ +(?=[a-z]+\.[a-z]+ )"), "TIME INDEX "),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"\b(\d+(ms|d|h|m|s))+\b"), "WHILE"),
    (re.compile(r"\bgeneration \d+"), "generation N"),
    (re.compile(r"^((?:commits|keys|bytes)\s+)\d+$"), r"\1N"),
    (re.compile(r"\s+"), " "),
)


class Block:
    def __init__(self, line, marks, language, lines):
        self.line, self.marks, self.language, self.lines = line, marks, language, lines

    def commands(self):
        """(command, lines shown), in order."""
        found = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                assert found, f"line {self.line}: output before the first command"
                found[-1][1].append(line)
        return found


def blocks():
    """Every fenced block of the guide."""
    found, marks, inside = [], "", None
    for number, line in enumerate(GUIDE.read_text().splitlines(), 1):
        if inside is not None:
            if line == "```":
                found.append(inside)
                inside, marks = None, ""
            else:
                inside.lines.append(line)
        elif line.startswith("```"):
            inside = Block(number, marks, line[3:], [])
        elif comment := re.fullmatch(r"<!-- (.*) -->", line):
            marks = comment.group(1)
        elif line:
            marks = ""
    assert inside is None, "the last block does not end"
    return found


def table_after(mark):
    """The cells of the rows of the table that follows <!-- table: mark -->."""
    text = GUIDE.read_text().split(f"<!-- table: {mark} -->\n\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()[2:]]


def steady(line):
    for pattern, instead in VOLATILE:
        line = pattern.sub(instead, line)
    return line.strip()


def agrees(shown, printed):
    """Whether what was printed is what is shown, where "..." stands for any lines."""
    pattern = "".join("(?:.*\n)*?" if line == "..." else re.escape(steady(line)) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(steady(line) + "\n" for line in printed)) is not None


class Shell:
    """A shell that gets its commands one by one, as from a person. When we are gone it ends, and ends all that
    it has started: agents and shops do not die with us by themselves."""

    def __init__(self, folder, variables):
        self.child = subprocess.Popen(["bash", "--norc"], cwd=folder, env=variables, text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      start_new_session=True, preexec_fn=kit.end_with_us)
        self.child.stdin.write("trap 'kill -KILL 0' EXIT\n")

    def run(self, command):
        """Its exit code and the lines that it printed."""
        self.child.stdin.write(f"{command}\n(s=$?; echo; echo '{END}' $s; exit $s)\n")
        return self.rest(END)

    def rest(self, end):
        lines = []
        for line in self.child.stdout:
            if line.startswith(end):
                if lines and lines[-1] == "":
                    lines.pop()
                return int(line.split()[-1]), lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the shell is gone after {lines}")

    def close(self):
        kit.kill_group(self.child)
        self.child.stdin.close()
        self.child.stdout.close()


def free_tens():
    """The digits before the last one of four free ports in a row, below those that connections take."""
    start = os.getpid() % 1000
    for tens in (2000 + (start + turn) % 1000 for turn in range(1000)):
        if all(is_free(tens * 10 + last) for last in range(4)):
            return str(tens)
    raise AssertionError("no ports are free")


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Reader:
    """Somebody who follows the guide in an empty folder."""

    def __init__(self, case):
        self.case, self.folder = case, pathlib.Path(case.folder)
        self.tens = free_tens()
        (self.folder / "bin").mkdir()
        (self.folder / "bin/dides").symlink_to(kit.program())
        shutil.copytree(FILES, self.folder / "files", ignore=shutil.ignore_patterns("__pycache__"))
        for path in (self.folder / "files").glob("*.yaml"):
            path.write_text(self.here(path.read_text()))
        (self.folder / "work").mkdir()
        self.variables = kit.environment(
            PATH=f"{self.folder}/bin:{os.environ['PATH']}", DIDES_LISTEN=f"127.0.0.1:{self.tens}0",
            DIDES_SERVER=f"http://127.0.0.1:{self.tens}0", DIDES_HEARTBEAT_MIN="1s")  # lest we wait for long
        self.shell = self.open("work")
        self.others = []

    def open(self, folder):
        shell = Shell(self.folder / folder, self.variables)
        self.case.addCleanup(shell.close)
        return shell

    def here(self, text):
        text = text.replace(":7420", f":{self.tens}0").replace(INSTALLED, str(self.folder / "files"))
        return re.sub(r"\b808(?=[123$])", self.tens, text)

    def there(self, lines):
        return [re.sub(rf"\b{self.tens}(?=[123])", "808", line.replace(f":{self.tens}0", ":7420")) for line in lines]

    def follow(self, block):
        if "other terminal" in block.marks:
            (command, shown), = block.commands()
            shell = self.open("work/shop")
            shell.child.stdin.write(f"{self.here(command)}\n(s=$?; echo; echo '{END}' $s)\n")
            self.others.append((block, command, shown, shell))
            return
        commands = block.commands()
        for number, (command, shown) in enumerate(commands):
            code_is_shown = commands[number + 1:number + 2] and commands[number + 1][0] == "echo $?"
            wanted = None if code_is_shown else 0
            if "repeat" in block.marks:
                self.repeat(block, command, shown)
            else:
                code, printed = self.shell.run(self.here(command))
                self.judge(block, command, shown, printed, code, wanted)

    def repeat(self, block, command, shown):
        said = []

        def is_so():
            code, printed = self.shell.run(self.here(command))
            said[:] = printed
            return code == 0 and agrees(shown, self.there(printed))
        try:
            kit.eventually(command, is_so, PATIENCE_S)
        except AssertionError:
            self.judge(block, command, shown, said, None, None)
            raise

    def judge(self, block, command, shown, printed, code, wanted):
        where = f"rollouts.md:{block.line}: $ {command}\n"
        printed = self.there(printed)
        if not agrees(shown, printed):
            self.case.fail(where + "shows\n" + "\n".join(shown) + "\nbut this is printed\n" + "\n".join(printed) +
                           self.logs())
        if wanted is not None:
            self.case.assertEqual(wanted, code, where + "\n".join(printed) + self.logs())

    def logs(self):
        """The last lines of each."""
        return "".join(f"\n---- {log.name}\n" + "\n".join(log.read_text().splitlines()[-8:])
                       for log in sorted((self.folder / "work/shop").glob("*.log")))

    def finish(self):
        """What the other terminals show, and whether anybody found undefined behaviour."""
        for log in (self.folder / "work/shop").glob("*.log"):
            for line in log.read_text().splitlines():
                self.case.assertFalse(kit.is_sanitizer_report(line), line)
        for block, command, shown, shell in self.others:
            code, printed = shell.rest(END)
            self.judge(block, command, shown, printed, code, 0)


class TheGuide(kit.Case):
    def test_everything_it_shows_is_what_happens(self):
        reader = Reader(self)
        for block in blocks():
            if block.marks.startswith("run"):
                reader.follow(block)
        reader.finish()

        for last in range(4):
            with socket.socket() as probe:
                self.assertNotEqual(0, probe.connect_ex(("127.0.0.1", int(reader.tens) * 10 + last)),
                                    "something still runs")

    def test_every_block_is_run_or_is_a_file(self):
        seen = 0
        for block in blocks():
            with self.subTest(line=block.line):
                self.assertRegex(block.marks, r"run(, repeat|, other terminal)?\Z|file: \S+\Z")
                if block.marks.startswith("file: "):
                    text = (FILES / block.marks[6:]).read_text()
                    self.assertEqual(text.splitlines(), block.lines)
                seen += 1
        self.assertGreater(seen, 20)

    def test_every_reason_to_wait_is_explained(self):
        header = (ROOT / "src/core/waiting.h").read_text()
        reasons = re.findall(r'X\(WAITING_\w+,\s*"(\w+)",\s*"([^"]+)"\)', header)

        self.assertGreater(len(reasons), 5)
        self.assertEqual([[f"`{word}`", meaning] for word, meaning in reasons],
                         [row[:2] for row in table_after("src/core/waiting.h")])
        self.assertTrue(all(row[2] for row in table_after("src/core/waiting.h")))

    def test_every_exit_code_is_there(self):
        header = (ROOT / "src/cmd/exit_code.h").read_text()
        codes = re.findall(r'X\(EXIT_\w+,\s*(\d+),\s*"([^"]+)"\)', header)

        self.assertGreater(len(codes), 5)
        self.assertEqual([list(row) for row in codes], table_after("src/cmd/exit_code.h"))


if __name__ == "__main__":
    kit.main()
