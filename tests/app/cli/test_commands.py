"""What the commands answer when all is well."""

import json
import math
import resource
import shutil
import signal
import struct
import subprocess
import unittest

from support import CliTest, EXPERIMENT, HAS_VIEWS, PROGRAM


class Usage(CliTest):
    def test_help_and_version_are_no_errors(self):
        self.assertIn("train", self.ok("--help"))
        self.assertRegex(self.ok("--version"), r"\d+\.\d+\.\d+")
        self.assertIn("--resume", self.ok("train", "--help"))

    def test_help_says_of_every_option_what_it_is(self):
        commands = [["bench", name] for name in ("train-step", "probes", "decode", "length", "linformer-table", "canvas",
                                                 "start")]
        commands += [[name] for name in ("gui", "train", "info", "render", "mechanisms", "check", "eval", "generate",
                                         "batches", "bench")]
        for command in commands:
            lines = self.ok(*command, "--help").splitlines()
            for line, after in zip(lines, lines[1:]):
                if line.startswith("  --"):
                    # A name and its type; what it is stands behind them from column 30 on, or in the next line.
                    said = line[30:] if line[28:30] == "  " else after if after.startswith(" " * 30) else ""
                    self.assertTrue(said.strip(), f"{command}: {line}")
        self.assertIn("COMMAND --help", self.ok("--help"))

    def test_wrong_usage_exits_with_2(self):
        for arguments in (["nonsense"], ["train"], ["info"], ["--nonsense"], ["bench"], ["bench", "nonsense"],
                          ["train", self.experiment, "--device", "tpu"], ["train", self.experiment, "--steps", "0"],
                          ["train", self.experiment, "--steps", "many"], ["check", "--mechanism", "nonsense"],
                          ["render", "run.h5", "--out", "a.png"], ["gui", "--after-steps", "3"]):
            with self.subTest(arguments=arguments):
                self.assertIn("[usage]", self.fails(*arguments, status=2))

    @unittest.skipIf(HAS_VIEWS, "this build has the views")
    def test_a_server_build_says_that_it_has_no_window(self):
        self.assertIn("[gui]", self.fails())
        self.assertIn("[gui]", self.fails("gui"))
        self.assertIn("[render]", self.fails("render", "run.h5", "--view", "exact", "--out", "a.png"))

    @unittest.skipIf(shutil.which("nvidia-smi"), "this machine has a device")
    def test_cuda_is_refused_with_a_sentence(self):
        for arguments in (["train", self.experiment, "--device", "cuda"], ["check", "--device", "cuda"]):
            self.assertIn("[cuda]", self.fails(*arguments))


class Mechanisms(CliTest):
    def test_json_names_both_with_their_options(self):
        document = json.loads(self.ok("mechanisms", "--json"))
        found = {mechanism["name"]: mechanism for mechanism in document["mechanisms"]}
        self.assertLessEqual({"full", "linformer"}, set(found))
        linformer = found["linformer"]
        self.assertTrue(linformer["traits"]["signed_map"])
        self.assertEqual(linformer["traits"]["map_axis"], "slots")
        options = {option["name"]: option for option in linformer["options"]}
        self.assertIn("layerwise", options["sharing"]["choices"])
        for option in options.values():
            self.assertTrue(option["help"] and option["type"] and option["default"] is not None)

    def test_table_names_them_too(self):
        self.assertIn("linformer", self.ok("mechanisms"))


class TrainAndInfo(CliTest):
    def test_a_run_is_trained_and_told(self):
        run = self.path("deep/er/run.h5")
        done = self.run_cli("train", self.experiment, "--out", run)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(str(run), done.stdout)
        self.assertIn("step 12/12", done.stderr)

        info = self.info(run)
        self.assertEqual(info["title"], "Tiny")
        self.assertEqual(info["state"], "finished")
        self.assertEqual(info["health"], "whole")
        self.assertEqual(info["step"], 12)
        self.assertEqual(info["bytes"], run.stat().st_size)
        self.assertEqual([lane["name"] for lane in info["lanes"]], ["full", "linformer"])
        self.assertTrue(info["baselines"])
        for lane in info["lanes"]:
            self.assertEqual(lane["state"], "finished")
            self.assertGreater(lane["parameters"], 1000)
            loss = lane["metrics"]["loss"]
            self.assertEqual(loss["step"], 12)
            self.assertLessEqual(loss["best"], loss["last"])
            self.assertGreater(lane["metrics"]["tokens_per_second"]["last"], 0)
            self.assertGreater(lane["metrics"]["validation_bits_per_byte"]["best"], 0)
        self.assertGreater(info["lanes"][1]["parameters"], info["lanes"][0]["parameters"])
        self.assertEqual(info["lanes"][1]["projections"][0]["slots"], 8)
        self.assertIn("validation_bits_per_byte", self.ok("info", run))

    def test_set_and_steps_change_the_experiment(self):
        run = self.train("set.h5", "--set", "lane.1.attention.k=4", "--set", "title=Other", "--steps", 6)
        info = self.info(run)
        self.assertEqual(info["steps"], 6)
        self.assertEqual(info["title"], "Other")
        self.assertEqual(info["lanes"][1]["projections"][0]["slots"], 4)

    def test_twins_of_one_seed_are_the_same_run(self):
        first, second = self.train("a.h5"), self.train("b.h5")
        for one, other in zip(self.info(first)["lanes"], self.info(second)["lanes"], strict=True):
            self.assertEqual(one["metrics"]["loss"], other["metrics"]["loss"])

    def test_a_default_name_is_dated(self):
        out = self.ok("train", self.experiment)
        self.assertRegex(out, r"runs/tiny-\d{8}-\d{6}\.h5")
        self.assertEqual(len(list(self.path("runs").glob("tiny-*.h5"))), 1)


class Evaluate(CliTest):
    def document(self, *arguments):
        return json.loads(self.ok("eval", *arguments, "--json"))

    def test_the_last_validation_is_found_again(self):
        run = self.train("run.h5", "--set", "checkpoint.every=6")
        found = self.document(run)
        self.assertEqual((found["step"], found["batches"]), (12, 1))
        for lane, known in zip(found["lanes"], self.info(run)["lanes"], strict=True):
            self.assertEqual(lane["lane"], known["name"])
            logged = known["metrics"]["validation_loss"]
            self.assertEqual(logged["step"], 12)
            self.assertAlmostEqual(lane["loss"], logged["last"], places=6)
        alone = self.document(run, "--lane", 1)["lanes"]
        self.assertEqual(alone, found["lanes"][1:])
        # Full attention has any length; the Linformer beside it was built for one.
        longer = self.document(run, "--lane", 0, "--set", "task.length=100", "--set", "model.position=none")["lanes"]
        self.assertEqual([lane["lane"] for lane in longer], ["full"])
        earlier = self.document(run, "--step", 6)
        self.assertEqual(earlier["step"], 6)
        self.assertNotEqual(earlier["lanes"], found["lanes"])
        self.assertIn("full", self.ok("eval", run))

    def write_classes(self, folder, names):
        for name in names:
            self.path(f"{folder}/{name}").mkdir(parents=True)
            for i in range(8):
                self.path(f"{folder}/{name}/{i}.txt").write_text(f"{name} {i} " * 9)

    def test_other_classes_are_refused(self):
        self.write_classes("trained", ("apple", "pear"))
        self.write_classes("same", ("pear", "apple"))
        self.write_classes("other", ("pear", "quince"))
        self.write_classes("more", ("apple", "pear", "quince"))
        text = self.experiment.read_text().replace('"masked_bytes"', '"folder_classes"')
        text = text.replace(str(self.corpus), str(self.path("trained"))).replace('"learned"', '"rotary"')
        run = self.train(experiment=self.write_experiment("classes.toml", text.split("[[lane]]\nname = \"linformer")[0]))
        for data in ("trained", "same"):
            self.document(run, "--data", self.path(data))
        for data in ("other", "more"):
            line = self.fails("eval", run, "--data", self.path(data))
            self.assertIn("apple, pear", line)
            self.assertIn("pear, quince", line)

    def test_another_length_and_more_batches(self):
        text = self.experiment.read_text().split("[[lane]]\nname = \"linformer\"")[0].replace('"learned"', '"rotary"')
        run = self.train("rotary.h5", experiment=self.write_experiment("rotary.toml", text))
        longer = self.document(run, "--set", "task.length=96", "--batches", 3)
        self.assertEqual(longer["batches"], 3)
        self.assertGreater(longer["lanes"][0]["loss"], 0)
        self.assertEqual(self.info(run)["step"], 12)

    def test_one_lane_on_another_text(self):
        run = self.train("run.h5")
        other = self.path("other.txt")
        other.write_text("0123456789 " * 400)
        here, there = (self.document(run, "--lane", 1, *more) for more in ((), ("--data", other)))
        self.assertEqual([lane["lane"] for lane in there["lanes"]], ["linformer"])
        self.assertGreater(there["lanes"][0]["loss"], here["lanes"][0]["loss"])
        self.assertIn("a lane below 2 was expected, but found 2", self.fails("eval", run, "--lane", 2))

    def test_what_cannot_be_is_said(self):
        run = self.train("run.h5")
        self.assertIn("is it a checkpoint of this experiment?", self.fails("eval", run, "--set", "model.width=64"))
        for length, position, lane in ((32, "learned", "full"), (100, "learned", "full"), (32, "none", "linformer")):
            line = self.fails("eval", run, "--set", f"task.length={length}", "--set", f"model.position={position}")
            self.assertIn(f'task.length must be 64, for which the lane "{lane}" was built, but it is {length}', line)
            self.assertIn("learned positions" if position == "learned" else "--lane", line)
        self.assertIn("[eval]", self.fails("eval", run, "--step", 7))
        self.assertIn("task.lenght", self.fails("eval", run, "--set", "task.lenght=32"))
        shutil.rmtree(run.with_suffix(".checkpoints"))
        self.assertIn("[eval]", self.fails("eval", run))


class Bench(CliTest):
    def test_train_step_gives_time_and_bound_of_both_lanes(self):
        document = json.loads(self.ok("bench", "train-step", "--layers", 1, "--width", 32, "--heads", 2, "--length", 64,
                                      "--batch", 2, "--k", 8, "--repeat", 3, "--json"))
        self.assertEqual([result["k"] for result in document["results"]], [8, 8])
        self.assertEqual(document["results"][0]["lane"], "full")
        for result in document["results"]:
            self.assertGreater(result["median_ms"], 0)
            self.assertGreater(result["bound_ms"], 0)
            self.assertLessEqual(result["fastest_ms"], result["median_ms"])

    def test_one_length_has_no_exponent(self):
        for lengths in ("64", "64,64"):
            bench = ["bench", "length", "--lengths", lengths, "--mechanism", "linear", "--seconds", 0.05]
            rows = [line.split() for line in self.ok(*bench).splitlines() if line.startswith("linear ")]
            self.assertEqual([row[-1] for row in rows], ["-", "-"])
            self.assertIsNone(json.loads(self.ok(*bench, "--json"))["curves"][0]["exponent"])

    def test_probes_gives_a_share(self):
        for asked, steps in ((4, 100), (101, 200)):  # as many as have probes and snapshots as often as a long run
            document = json.loads(self.ok("bench", "probes", "--steps", asked, "--length", 64, "--json"))
            self.assertEqual(document["steps"], steps)
            self.assertGreater(document["share"], 0)
            self.assertLess(document["share"], 1)
            self.assertGreater(document["with_ms"], document["without_ms"])


class Check(CliTest):
    def test_every_proof_of_a_mechanism_passes(self):
        document = json.loads(self.ok("check", "--mechanism", "linformer", "--json"))
        self.assertTrue(document["passed"])
        self.assertGreater(len(document["proofs"]), 5)
        for proof in document["proofs"]:
            self.assertEqual(proof["mechanism"], "linformer")
            self.assertTrue(proof["passed"], proof)


class Train(CliTest):
    def test_runs_of_one_second_have_names_of_their_own(self):
        started = [self.start_cli("train", self.experiment) for _ in range(6)]
        for process in started:
            _, error = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, error)
        runs = sorted(self.path("runs").glob("tiny-*.h5"))
        self.assertEqual(len(runs), len(started))
        self.assertTrue(any(run.stem.endswith("-2") for run in runs), runs)
        for run in runs:
            self.assertEqual(self.info(run)["state"], "finished")
            self.assertTrue(self.checkpoints(run))


@unittest.skipUnless(HAS_VIEWS, "this build has no views")
class Render(CliTest):
    def test_every_view_of_a_run_becomes_a_picture(self):
        run = self.train()
        for view in ("exact", "compressed", "lifted", "difference", "projection", "own"):
            with self.subTest(view=view):
                picture = self.path(f"{view}.png")
                self.assertIn(str(picture), self.ok("render", run, "--view", view, "--out", picture))
                data = picture.read_bytes()
                self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
                self.assertGreater(len(data), 2000)

    def test_all_lanes_stand_side_by_side(self):
        run = self.train()
        one, all_lanes = self.path("one.png"), self.path("all.png")
        self.ok("render", run, "--view", "own", "--lane", 0, "--out", one)
        told = self.ok("render", run, "--view", "own", "--all-lanes", "--out", all_lanes)
        self.assertRegex(told, r'lane "linformer[^"]*", step \d+: output error')
        for lane in (b"lane 0", b"lane 1"):
            self.assertIn(lane, all_lanes.read_bytes())
        each = self.path("each.png")
        self.ok("render", run, "--view", "own", "--all-lanes", "--range", "each", "--out", each)
        self.assertIn(b"ranges\0each", each.read_bytes())
        self.assertIn(b"ranges\0one", all_lanes.read_bytes())
        self.fails("render", run, "--view", "own", "--range", "each", "--out", one, status=2)
        self.fails("render", run, "--view", "own", "--all-lanes", "--lane", 1, "--out", one, status=2)

    def test_the_device_is_chosen_and_a_picture_tells_it(self):
        run = self.train()
        picture = self.path("a.png")
        self.ok("render", run, "--view", "lifted", "--out", picture)
        self.assertIn(b"computed on the processor", picture.read_bytes())
        self.ok("render", run, "--view", "lifted", "--device", "auto", "--out", picture)
        if shutil.which("nvidia-smi"):
            self.assertRegex(picture.read_bytes(), b"maps reach the screen without a copy|one staged copy: ")
        else:
            self.assertIn(b"computed on the processor: there is no CUDA device", picture.read_bytes())
            self.assertIn("[cuda]", self.fails("render", run, "--view", "lifted", "--device", "cuda", "--out", picture))

    def test_step_head_and_lane_are_chosen_and_checked(self):
        run = self.train()
        self.ok("render", run, "--view", "exact", "--lane", 1, "--head", 1, "--step", 5, "--out", self.path("a.png"))
        out = self.path("no.png")
        for extra, word in ((["--lane", 2], "--lane"), (["--head", 2], "--head"), (["--layer", 1], "--layer"),
                            (["--sample", 1], "--sample"), (["--step", 7], "5")):
            with self.subTest(extra=extra):
                self.assertIn(word, self.fails("render", run, "--view", "exact", "--out", out, *extra))
                self.assertFalse(out.exists())
        self.fails("render", run, "--view", "lifted", "--lane", 0, "--out", out)
        self.assertIn("exact", self.fails("render", run, "--view", "nonsense", "--out", out, status=2))
        self.fails("render", run, "--view", "exact", "--out", self.path("absent/a.png"))

    def test_a_picture_that_the_disk_does_not_take(self):
        run, picture = self.train(), self.path("a.png")

        def leave_no_room():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        done = subprocess.run([PROGRAM, "render", str(run), "--view", "exact", "--out", str(picture)], text=True,
                              env=self.environment(), capture_output=True, timeout=60, check=False,
                              restore_signals=False, preexec_fn=leave_no_room)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"[png] {picture} must be written whole", done.stderr)
        self.assertEqual([path.name for path in self.folder.glob("*.png*")], [])

    def test_only_an_earlier_picture_is_replaced(self):
        run = self.train()
        picture, link = self.path("a.png"), self.path("link.png")
        render = ["render", run, "--view", "exact", "--out"]
        link.symlink_to(picture.name)
        self.ok(*render, link)  # to where there is nothing yet
        picture.write_bytes(picture.read_bytes()[:100])
        self.ok(*render, link)
        self.assertTrue(link.is_symlink())
        self.assertGreater(picture.stat().st_size, 2000)
        self.replaces_no_other(render, run, self.experiment, self.checkpoints(run)[-1])
        self.assertEqual([path.name for path in self.folder.rglob("*.part")], [])


class Batches(CliTest):
    def tensors(self):
        out = self.path("b.safetensors")
        self.ok("batches", self.experiment, "--count", 2, "--out", out)
        data = out.read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + size])
        formats = {"I32": "i", "F32": "f"}
        return {name: (entry["shape"], struct.unpack_from(f"<{math.prod(entry['shape'])}{formats[entry['dtype']]}", data,
                                                          8 + size + entry["data_offsets"][0]))
                for name, entry in header.items() if name != "__metadata__"}

    def test_a_peer_gets_tokens_targets_and_padding(self):
        self.assertEqual(sorted(self.tensors()), [f"{step}/{part}" for step in (1, 2)
                                                  for part in ("selected", "targets", "tokens")])
        for name in ("ham", "spam"):
            self.path(name).mkdir()
            for index in range(4):
                (self.path(name) / f"{index}.txt").write_text("words " * (index + 1))
        text = EXPERIMENT.format(steps=12, length=64, checkpoint_every=5, corpus=self.folder)
        self.experiment = self.write_experiment("classes.toml", text.replace("masked_bytes", "folder_classes"))
        found = self.tensors()
        for step in (1, 2):
            shape, keep = found[f"{step}/keep"]
            self.assertEqual(shape, [2, 64])
            padding = 257
            self.assertEqual(list(keep), [float(token != padding) for token in found[f"{step}/tokens"][1]])

    def test_more_batches_than_memory_holds_are_refused(self):
        line = self.fails("batches", self.experiment, "--count", 10**12, "--out", self.path("batches.safetensors"))
        self.assertRegex(line, r"^\[memory\] .* GB; give a smaller --count$")

    def test_only_earlier_batches_are_replaced(self):
        run = self.train()
        out, link = self.path("b.safetensors"), self.path("link")
        batches = ["batches", self.experiment, "--count", 2, "--out"]
        self.ok(*batches, out)
        whole = out.read_bytes()
        out.write_bytes(whole[:50])
        link.symlink_to(out)
        self.ok(*batches, link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(out.read_bytes(), whole)
        self.replaces_no_other(batches, run, self.experiment, self.checkpoints(run)[-1])
        self.assertIn("checkpoints", self.fails(*batches, self.path("run.checkpoints/new")))


if __name__ == "__main__":
    unittest.main()
