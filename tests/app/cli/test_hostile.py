"""Files that nobody would write by mistake alone: one clear line each, and no crash, no hang, no memory without end."""

import json
import os
import random
import resource
import shutil
import struct
import subprocess
import unittest

from support import CliTest, EXPERIMENT, PROGRAM

try:
    import h5py
    import numpy
except ImportError:
    h5py = None

MOST_MEMORY = 4 << 30  # bytes of address space, of which threads take some without using it
MOST_SECONDS = 30


def limit_memory(most):
    if os.environ.get("LINSCOPE_SANITIZE") != "ON":  # whose shadow takes all addresses there are
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


class Hostile(CliTest):
    def ends_well(self, *arguments, status=(0, 1), memory=MOST_MEMORY):
        """Runs within bounds of memory and time; a failure is one line `[where] …`. The status and that line."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, env=self.environment(),
                              capture_output=True, timeout=MOST_SECONDS, preexec_fn=lambda: limit_memory(memory),
                              check=False)
        error = done.stderr.decode(errors="replace")
        self.assertIn(done.returncode, status, error[-2000:])
        line = error.splitlines()[-1] if error else ""
        if done.returncode == 1:
            self.assertRegex(line, r"^\[[^\]]+\] \S")
            self.assertNotRegex(line, r"^\[(linscope|memory)\]")  # somebody has looked at it before
            self.assertLess(len(line), 2500)
        self.assertNotIn("Sanitizer", error)
        return done.returncode, line


class Experiments(Hostile):
    def refused(self, text, *words):
        path = self.path("hostile.toml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        _, line = self.ends_well("train", path, "--out", self.path("run.h5"), status=(1,))
        for word in words:
            self.assertIn(word, line)
        self.assertFalse(self.path("run.h5").exists())

    def test_texts(self):
        whole = EXPERIMENT.format(steps=12, length=64, checkpoint_every=5, corpus=self.corpus)
        lane = '[[lane]]\nname = "{}"\nattention = {{ mechanism = "full" }}\n'
        for text, word in (("", "lane"), (b"\x00\xff" * 99, "TOML"), (whole.encode("utf-16"), "TOML"),
                           ("a=" + "[" * 100000, "TOML"), ("a=" + "{a=" * 50000, "TOML"), ("a" * 500000 + "=1", "unknown"),
                           (whole + "#" * 2000000, "bytes"), (whole + lane.format("full"), "again"),
                           (whole + "".join(lane.format(i) for i in range(9000)), "lane"),
                           (whole + lane.format("x" * 1000), "200 bytes")):
            with self.subTest(text=text[:20], size=len(text)):
                self.refused(text, word)

    def test_a_name_of_two_lines_stands_in_one(self):
        text = EXPERIMENT.format(steps=12, length=64, checkpoint_every=5, corpus=self.corpus)
        run = self.path("run.h5")
        done = self.run_cli("train", self.write_experiment("names.toml", text.replace('name = "full"', r'name = "a\nb"')),
                            "--out", run)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("a b: loss", done.stderr)
        self.assertIn("\na b  (full", self.ok("info", run))
        self.assertIn("\na b  ", self.ok("eval", run))

    def test_values(self):
        for old, new, word in (("layers = 1", "layers = 99999999999999999999", "64 bits"),
                               ("layers = 1", "layers = -1", "model.layers"), ("layers = 1", "layers = 1.0", "model.layers"),
                               ("learning_rate = 1e-3", "learning_rate = nan", "optimizer.learning_rate"),
                               ("k = 8", "k = []", "attention.k"), ("k = 8", "k = [8, 8]", "layers"),
                               ("k = 8", "k = -8", "attention.k"), ("k = 8", "k = 9223372036854775807", "64"),
                               ('"full" }', '"hybrid", plan = "' + "hybrid(plan=" * 20000 + '" }', "plan"),
                               ('"full" }', '"performer", m = 1000000000 }', "attention.m")):
            with self.subTest(new=new[:60]):
                text = EXPERIMENT.format(steps=12, length=64, checkpoint_every=5, corpus=self.corpus)
                self.assertIn(old, text)
                self.refused(text.replace(old, new), word)

    def test_what_no_memory_can_hold(self):
        line = self.fails("train", self.experiment, "--set", "model.width=8192", "--set", "model.layers=64")
        self.assertRegex(line, r"^\[memory\] at most .* GB and more are needed for model\.width 8192, model\.layers 64, ")
        line = self.fails("train", self.experiment, "--set", "task.name=copy", "--set", "task.batch=65536", "--set",
                          "task.length=65536", "--set", "model.kind=decoder", "--set",
                          "lane.1.attention.mechanism=linear")
        self.assertIn("task.batch 65536", line)


class Corpora(Hostile):
    def trains(self, content, status):
        self.corpus.write_bytes(content)
        shutil.rmtree(self.path("run.checkpoints"), ignore_errors=True)
        self.path("run.h5").unlink(missing_ok=True)
        return self.ends_well("train", self.experiment, "--out", self.path("run.h5"), status=(status,))[1]

    def test_contents(self):
        for content, word in ((b"", "empty"), (b"x", "task.length"), (os.urandom(99999), "binary"), (b"\0" * 99999, "NUL"),
                              (b"\0" + b"text" * 9999, "byte 0"), ("é\n".encode("latin1") * 5000, "ISO-8859-1"),
                              ("a\n".encode("utf-16") * 5000, "UTF-16"), (b"text\n" * 9999 + b"\xe2\x82", "end of the file")):
            with self.subTest(content=content[:10], word=word):
                self.assertIn(word, self.trains(content, 1))
        for content in (b"\n" * 9999, b"hello there\r\n" * 5000, b"hello there\r" * 5000, b"abcdefghi " * 10000000):
            with self.subTest(content=content[:15]):
                self.trains(content, 0)

    def test_a_large_file_that_is_binary_is_not_read_whole(self):
        with open(self.corpus, "wb") as file:
            file.truncate(2 << 30)
        line = self.ends_well("train", self.experiment, "--out", self.path("run.h5"), status=(1,), memory=3 << 29)[1]
        self.assertIn("NUL", line)

    def test_a_large_binary_file_among_texts_is_not_read_whole(self):
        texts = self.path("texts")
        for name in ("a/1.txt", "a/2.txt", "b/1.txt", "b/2.txt"):
            (texts / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.corpus, texts / name)
        with open(texts / "a" / "film.mp4", "wb") as file:
            file.truncate(2 << 30)
        for task in ("masked_bytes", "folder_classes"):
            with self.subTest(task=task):
                shutil.rmtree(self.path("run.checkpoints"), ignore_errors=True)
                self.path("run.h5").unlink(missing_ok=True)
                self.ends_well("train", self.experiment, "--set", f"task.name={task}", "--set", f"task.corpus={texts}",
                               "--out", self.path("run.h5"), status=(0,), memory=3 << 29)

    def test_places(self):
        os.symlink("loop", self.path("loop"))
        os.mkfifo(self.path("pipe"))
        self.path("empty").mkdir()
        for name in ("loop", "pipe", "empty", "/dev/zero", "/dev/null", "/proc/self/mem", "/" + "x" * 5000, "a\nb", "book.txt/"):
            with self.subTest(name=name[:20]):
                self.ends_well("train", self.experiment, "--set", f"task.corpus={name}", status=(1,))


class Places(Hostile):
    def test_of_run_files(self):
        os.symlink("loop", self.path("loop"))
        os.mkfifo(self.path("pipe"))
        self.path("folder").mkdir()
        self.path("empty").touch()
        for name in ("loop", "pipe", "folder", "empty", "x" * 300 + ".h5", "book.txt/run.h5", "", "/dev/null", "/dev/zero",
                     "/proc/self/mem"):
            for command in (["info"], ["info", "--json"], ["eval"], ["generate", "--prompt", "x"], ["train", "--resume"]):
                with self.subTest(name=name[:20], command=command):
                    self.ends_well(*command, name, status=(1,) if name else (1, 2))
            if name not in ("", "empty"):
                with self.subTest(name=name[:20], command="--out"):
                    self.ends_well("train", self.experiment, "--out", name, status=(1,))

    def test_where_the_working_folder_is_gone(self):
        script = 'mkdir gone; cd gone; rmdir ../gone; exec "$0" "$@"'
        for out in ([], ["--out", "run.h5"]):
            done = subprocess.run(["sh", "-c", script, PROGRAM, "train", str(self.experiment), *out], cwd=self.folder,
                                  env=self.environment(), capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.splitlines()[-1], r"^\[(train|storage)\] ")


class Names(Hostile):
    """Names of files may have any byte but NUL and the slash; a line of text and a run file may not."""

    ODD = (b"\xff\xfe", b"a\nb", b"\x1b[31mred", "\u009b31mred".encode(), "ночь 🙂".encode())

    def said(self, *arguments):
        done = subprocess.run([os.fsencode(PROGRAM), *map(os.fsencode, arguments)], cwd=self.folder,
                              env=self.environment(), capture_output=True, timeout=MOST_SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return (done.stdout + done.stderr).decode(errors="surrogateescape")

    def told(self, *arguments):
        text = self.said(*arguments)
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertNotRegex(text, r"\nb\W")  # of a name of two lines

    def texts_of(self, run):
        texts = []

        def add(item):
            texts.extend(value for value in item.attrs.values() if isinstance(value, bytes))
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "S":
                texts.extend(item[:].tolist())

        with h5py.File(os.fsencode(run), "r") as file:
            add(file)
            file.visititems(lambda _, item: add(item))
        return [text.decode() for text in texts]  # UTF-8, as docs/run-file.md says

    def test_of_classes_and_of_files_that_are_passed_over(self):
        texts = os.fsencode(self.path("texts"))
        for name in self.ODD:
            os.makedirs(os.path.join(texts, name))
            for index in range(4):
                with open(os.path.join(texts, name, b"%d.txt" % index), "wb") as file:
                    file.write(b"a text of its class\n" * (index + 1))
            with open(os.path.join(texts, name, name + b".bin"), "wb") as file:
                file.write(b"\0")
        run, sets = self.path("run.h5"), ("--set", "task.name=folder_classes", "--set", "task.corpus=texts")
        self.told("train", self.experiment, *sets, "--out", run)
        self.told("eval", run)
        self.told("info", run)
        if h5py is not None:
            told = "\n".join(self.texts_of(run))
            for name in ("\\xff\\xfe", "a\nb", "\x1b[31mred", "ночь 🙂"):
                self.assertIn(name, told)

    def test_of_the_run_and_of_its_title(self):
        text = EXPERIMENT.format(steps=12, length=64, checkpoint_every=5, corpus=self.corpus)
        experiment = self.write_experiment("title.toml", text.replace('"Tiny"', r'"a\nb\u001b[31m\u009b31m"'))
        for name in self.ODD:
            run = os.path.join(os.fsencode(self.folder), name + b".h5")
            self.said("train", experiment, "--out", run)  # the path as it is, for scripts
            self.told("info", run)
            self.told("eval", run)
            if h5py is not None:
                self.texts_of(run)


class Checkpoints(Hostile):
    def setUp(self):
        super().setUp()
        self.run_file = self.train()
        self.kept = self.run_file.read_bytes()
        *older, self.newest = self.checkpoints(self.run_file)
        for path in older:
            path.unlink()
        self.whole = self.newest.read_bytes()
        (size,) = struct.unpack_from("<Q", self.whole)
        self.header, self.data = json.loads(self.whole[8:8 + size]), self.whole[8 + size:]

    def refused(self, header, data=None):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        self.newest.write_bytes(struct.pack("<Q", len(text)) + text + (self.data if data is None else data))
        for command in (["eval"], ["train", "--resume"]):
            self.run_file.write_bytes(self.kept)
            self.ends_well(*command, self.run_file, status=(1,))

    def test_headers(self):
        for header in (b"", b"[]", b"{]", b"[" * 1000000, b'{"a":' * 1000000):
            with self.subTest(header=header[:5]):
                self.refused(header)
        for length in (0, 99_999_999, 2**64 - 1):
            self.newest.write_bytes(struct.pack("<Q", length) + self.whole[8:])
            self.ends_well("eval", self.run_file, status=(1,))

    def test_values(self):
        name = next(name for name in self.header if name != "__metadata__")
        for field, value in (("dtype", "BF16"), ("dtype", 3), ("dtype", "I32"), ("shape", [-1]), ("shape", [2**62, 4]),
                             ("shape", [0, 2**63]), ("shape", [1] * 9), ("data_offsets", [2**63, 2**63 + 4]),
                             ("data_offsets", [4, 0]), ("data_offsets", "x")):
            with self.subTest(field=field, value=value):
                self.refused(self.header | {name: self.header[name] | {field: value}})
        for key, value in (("step", "-1"), ("step", "9" * 30), ("step", "x"), ("wall_seconds", "nan"), ("cursor.0", "-1"),
                           ("lane0.learning_rate", "nan"), ("lane0.learning_rate", "-1"), ("lane0.learning_rate", "inf"),
                           ("lane0.state", "-1"), ("lane0.state", "3"), ("lane1.projections_frozen", "yes"), ("lanes", "1"),
                           ("format", "")):
            with self.subTest(key=key, value=value):
                self.refused(self.header | {"__metadata__": self.header["__metadata__"] | {key: value}})
        for data in (self.data[:-4], self.data + b"1234"):
            self.refused(self.header, data)

    def test_names_that_are_no_steps(self):
        folder = self.newest.parent
        for name in ("step--00001", "step-" + "9" * 30, "step-", "step-000012x"):
            shutil.copy(self.newest, folder / f"{name}.safetensors")
        self.newest.unlink()
        os.mkfifo(self.newest)
        for command in (["eval"], ["train", "--resume"]):
            self.ends_well(*command, self.run_file, status=(1,))


@unittest.skipIf(h5py is None, "python3-h5py is not installed")
class RunFiles(Hostile):
    MUTATIONS = 40  # of each kind; which ones follows from the seed

    def setUp(self):
        super().setUp()
        self.whole = self.train()
        self.run_file = self.path("hostile.h5")
        shutil.copytree(self.whole.with_suffix(".checkpoints"), self.run_file.with_suffix(".checkpoints"))

    def is_read(self):
        for command in (["info"], ["info", "--json"], ["eval"], ["train", "--resume"]):
            self.ends_well(*command, self.run_file)

    def test_cut_and_flipped(self):
        source = self.whole.read_bytes()
        draw = random.Random(1)
        for index in range(self.MUTATIONS):
            with self.subTest(index=index):
                data = bytearray(source)
                if index % 4 == 0:
                    data = data[:draw.randrange(len(data))]
                for _ in range(draw.choice((1, 3, 300)) if index % 4 else 0):
                    data[draw.randrange(len(data))] = draw.randrange(256)
                self.run_file.write_bytes(data)
                self.is_read()

    def test_another_tree(self):
        names = []
        with h5py.File(self.whole, "r") as file:
            file.visititems(lambda name, item: names.append((name, isinstance(item, h5py.Dataset))))

        def put(file, name, make):
            shape, kind = (file[name].shape, file[name].dtype) if isinstance(file[name], h5py.Dataset) else ((), "f8")
            del file[name]
            make(file, name, shape, kind)

        kinds = (lambda file, name, *_: None,
                 lambda file, name, *_: file.create_group(name),
                 lambda file, name, *_: file.create_dataset(name, data=3),
                 lambda file, name, *_: file.create_dataset(name, data=["a", "b"]),
                 lambda file, name, *_: file.create_dataset(name, data=numpy.array([b"abc"] * 5)),
                 lambda file, name, *_: file.create_dataset(name, data=numpy.full(5, numpy.nan)),
                 lambda file, name, *_: file.create_dataset(name, data=numpy.full(5, -2**62)),
                 lambda file, name, *_: file.__setitem__(name, h5py.SoftLink("/" + name)),
                 lambda file, name, *_: file.__setitem__(name, h5py.SoftLink("/")),
                 lambda file, name, shape, kind: file.create_dataset(
                     name, shape=(2**40, *shape[1:]), maxshape=(None,) * max(1, len(shape)), dtype=kind,
                     chunks=(1,) * max(1, len(shape))))
        draw = random.Random(2)
        for _ in range(self.MUTATIONS):
            name, _ = draw.choice(names)
            kind = draw.randrange(len(kinds))
            with self.subTest(name=name, kind=kind):
                shutil.copy(self.whole, self.run_file)
                with h5py.File(self.run_file, "r+") as file:
                    put(file, name, kinds[kind])
                self.is_read()

    def test_other_attributes(self):
        places = []
        with h5py.File(self.whole, "r") as file:
            places += [("/", name) for name in file.attrs]
            for group in ("lanes/0", "lanes/1", "lanes/1/projections/E.layer0"):
                if group in file:
                    places += [(group, name) for name in file[group].attrs]
        values = (-7, 2**62, "abc", ["a", "b"], 1.5, numpy.zeros(1000), h5py.Empty("i8"), numpy.bytes_(b"\xff\xfe\n\x1b[31m"))
        draw = random.Random(3)
        for _ in range(self.MUTATIONS):
            place, name = draw.choice(places)
            value = draw.randrange(len(values) + 1)
            with self.subTest(place=place, name=name, value=value):
                shutil.copy(self.whole, self.run_file)
                with h5py.File(self.run_file, "r+") as file:
                    del file[place].attrs[name]
                    if value < len(values):
                        file[place].attrs[name] = values[value]
                self.is_read()


if __name__ == "__main__":
    unittest.main()
