"""A trained decoder that writes on."""

import json
import math
import struct
import subprocess
import unittest

from support import PROGRAM, CliTest

DECODER = """title = "Writer"
seed = 3
steps = 30
[task]
name = "next_byte"
corpus = "{corpus}"
length = 64
batch = 4
[model]
kind = "decoder"
layers = 2
width = 32
heads = 2
position = "{position}"
[probes]
every = 30
snapshot_every = 30
validate_every = 30
validation_batches = 1
samples = 2
[[lane]]
name = "full"
attention = {{ mechanism = "full" }}
"""


class Generate(CliTest):
    def decoder(self, position="rotary"):
        text = DECODER.format(corpus=self.corpus, position=position)
        return self.train(f"{position}.h5", experiment=self.write_experiment(f"{position}.toml", text))

    def document(self, *arguments):
        return json.loads(self.ok("generate", *arguments, "--json"))

    def test_bytes_come_as_they_are_and_the_same_for_one_seed(self):
        run = self.decoder()
        command = [PROGRAM, "generate", str(run), "--prompt", "in the é", "--tokens", "100"]
        first = subprocess.run(command, env=self.environment(), capture_output=True, timeout=120, check=True)
        self.assertEqual(len(first.stdout), 100)
        self.assertIn(b"100 written", first.stderr)
        document = self.document(run, "--prompt", "in the é", "--tokens", 100)
        self.assertEqual(bytes(document["tokens"]), first.stdout)
        self.assertEqual(document["prompt_tokens"], 9)
        self.assertEqual(document["place"], 109)
        self.assertEqual(len(document["milliseconds"]), 100)
        self.assertGreater(document["state_bytes"], 109 * 2 * 2 * 32 * 4)
        other = self.document(run, "--prompt", "in the é", "--tokens", 100, "--seed", 2)
        self.assertNotEqual(other["tokens"], document["tokens"])
        greedy = [self.document(run, "--prompt", "in", "--tokens", 20, *how)["tokens"]
                  for how in (["--temperature", 0], ["--top-k", 1], ["--temperature", 0, "--seed", 9])]
        self.assertEqual(greedy[0], greedy[1])
        self.assertEqual(greedy[0], greedy[2])

    def test_turns_with_a_kept_state_are_one_long_text(self):
        run, state = self.decoder(), self.path("talk.safetensors")
        whole = self.document(run, "--prompt", "in the ", "--tokens", 50)
        tokens = self.document(run, "--prompt", "in the ", "--tokens", 5, "--save-state", state)["tokens"]
        for _ in range(9):
            turn = self.document(run, "--state", state, "--tokens", 5, "--save-state", state)
            self.assertEqual(turn["prompt_tokens"], 0)
            tokens += turn["tokens"]
        self.assertEqual(tokens, whole["tokens"])

    def test_a_state_replaces_states_alone(self):
        run, link, state = self.decoder(), self.path("link"), self.path("talk.safetensors")
        generate = ["generate", run, "--prompt", "in", "--tokens", 1, "--save-state"]
        link.symlink_to(state)
        for _ in range(2):
            self.ok(*generate, link)
            self.assertTrue(link.is_symlink() and state.is_file())
        self.replaces_no_other(generate, run, self.corpus, self.checkpoints(run)[-1])

    def test_a_prompt_from_a_file(self):
        run = self.decoder()
        self.path("prompt.txt").write_text("in the ")
        self.assertEqual(self.document(run, "--prompt-file", self.path("prompt.txt"), "--tokens", 9)["tokens"],
                         self.document(run, "--prompt", "in the ", "--tokens", 9)["tokens"])
        piped = subprocess.run(["sh", "-c", 'printf "in the " | "$0" "$@" --prompt-file /dev/stdin', PROGRAM, "generate",
                                str(run), "--tokens", "9", "--temperature", "0"], env=self.environment(),
                               capture_output=True, timeout=60, check=True)
        self.assertEqual(len(piped.stderr.splitlines()), 2)  # of a text that is read at once no progress is told

    def test_a_run_writes_on_without_its_text(self):
        run = self.decoder()
        before = self.document(run, "--prompt", "in the ", "--tokens", 9)["tokens"]
        self.corpus.unlink()
        self.assertIn("--data", self.fails("generate", run, "--prompt", "in the ", "--tokens", 9))
        other = self.path("other.txt")
        other.write_text("something else\n" * 200)
        self.assertEqual(self.document(run, "--prompt", "in the ", "--tokens", 9, "--data", other)["tokens"], before)

    def test_a_prompt_is_read_as_the_corpus_was(self):
        run = self.decoder()
        read = {}
        for name, text in (("unix", b"a line\nand one"), ("windows", b"\xef\xbb\xbfa line\r\nand one"),
                           ("piece", "a line\nand one…".encode()[:-1]), ("wide", "a line".encode("utf-16"))):
            self.path(name).write_bytes(text)
            done = self.run_cli("generate", run, "--prompt-file", self.path(name), "--tokens", 9, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            read[name] = json.loads(done.stdout), done.stderr
        self.assertEqual(read["windows"][0]["tokens"], read["unix"][0]["tokens"])
        self.assertEqual(read["windows"][0]["prompt_tokens"], 14)
        self.assertEqual([read[name][1] for name in ("unix", "windows")], ["", ""])
        self.assertIn("half a UTF-8 character", read["piece"][1])
        self.assertIn("UTF-16", read["wide"][1])

    def test_turns_after_a_long_text_are_one_run(self):
        run, state = self.decoder(), self.path("long.safetensors")
        text = self.path("long.txt")
        text.write_bytes((self.corpus.read_bytes() * 100)[:1300])  # more than two blocks
        whole = self.document(run, "--prompt-file", text, "--tokens", 30)
        self.assertEqual(whole["prompt_tokens"], 1300)
        begin = self.document(run, "--prompt-file", text, "--tokens", 10, "--save-state", state)
        end = self.document(run, "--state", state, "--tokens", 20)
        self.assertEqual(begin["tokens"] + end["tokens"], whole["tokens"])
        self.assertEqual((end["place"], end["state_bytes"]), (whole["place"], whole["state_bytes"]))

    def test_a_prompt_without_end(self):
        run = self.decoder()
        line = self.fails("generate", run, "--prompt-file", "/dev/zero")
        self.assertRegex(line, r'at most \d+ bytes .* "/dev/zero" has more')

    def test_what_cannot_be_is_told(self):
        run, learned = self.decoder(), self.decoder("learned")
        self.assertEqual(self.document(learned, "--prompt", "in", "--tokens", 62)["place"], 64)
        self.assertIn("built for 64 tokens, but 65", self.fails("generate", learned, "--prompt", "in", "--tokens", 63))
        self.assertIn("--lane", self.fails("generate", run, "--prompt", "in", "--lane", 1))
        self.assertIn("text to go on from", self.fails("generate", run, status=2))
        self.assertIn("--prompt-file", self.fails("generate", run, "--prompt-file", self.path("absent")))
        state = self.path("state.safetensors")
        self.document(run, "--prompt", "in", "--tokens", 1, "--save-state", state)
        self.assertIn("belongs to another", self.fails("generate", learned, "--state", state))
        self.assertIn("[state]", self.fails("generate", run, "--state", self.checkpoints(run)[-1]))
        encoder = self.train("encoder.h5")
        self.assertIn("encoders", self.fails("generate", encoder, "--prompt", "in"))
        self.fails("generate", self.path("absent.h5"), "--prompt", "in")

    def test_a_task_without_text_is_told(self):
        text = DECODER.format(corpus=self.corpus, position="none").replace("next_byte", "masked_bytes")
        run = self.train("masked.h5", experiment=self.write_experiment("masked.toml", text))
        self.assertIn("next_byte", self.fails("generate", run, "--prompt", "in"))

    def test_a_lane_that_diverged_writes_nothing(self):
        run = self.decoder()
        newest = self.checkpoints(run)[-1]
        data = bytearray(newest.read_bytes())
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + size])
        header["__metadata__"] |= {"lane0.state": "1", "lane0.message": "blocks.0.mlp.up.weight (value)"}
        text = json.dumps(header).encode()
        newest.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])
        line = self.fails("generate", run, "--prompt", "in")
        self.assertIn('"full" diverged: blocks.0.mlp.up.weight (value)', line)
        self.assertIn("--lane", line)

    def test_bench_decode_tells_time_and_memory(self):
        document = json.loads(self.ok("bench", "decode", "--tokens", "20,40", "--width", 32, "--seconds", 20, "--json"))
        found = {result["mechanism"]: result for result in document["results"]}
        marks = found["full"]["marks"]
        self.assertEqual([mark["tokens"] for mark in marks], [20, 40])
        self.assertGreater(marks[1]["state_bytes"], 1.9 * marks[0]["state_bytes"])
        self.assertGreater(marks[0]["ms_per_token"], 0)
        self.assertNotIn("linformer", found)

    def test_bench_length_tells_the_exponent(self):
        # One thread: several wait for whichever of them something beside this has put off, in longer sequences more often.
        alone = self.environment() | {"OMP_NUM_THREADS": "1"}
        self.environment = lambda: alone
        best = {}  # what runs beside this adds time, so that the least of several tries is the nearest
        for _ in range(12):
            document = json.loads(
                self.ok("bench", "length", "--lengths", "512,2048", "--mechanism", "window", "--seconds", 4, "--json"))
            forms = {curve["form"]: curve for curve in document["curves"]}
            self.assertEqual(set(forms), {"bidirectional", "causal"})
            for form, curve in forms.items():
                times = {point["length"]: point["ms"] for point in curve["points"]}
                self.assertEqual(list(times), [512, 2048])
                self.assertAlmostEqual(curve["exponent"], math.log(times[2048] / times[512], 4), places=6)
                best[form] = {n: min(ms, best.get(form, times)[n]) for n, ms in times.items()}
            exponents = [math.log(times[2048] / times[512], 4) for times in best.values()]
            if all(0.5 < exponent < 1.5 for exponent in exponents):
                break
        else:
            self.fail(f"time grew by the powers {exponents} of the length: {best}")
        self.assertIn("window", self.fails("bench", "length", "--mechanism", "windw", status=2))

    def test_bench_linformer_table_compares_with_naive_and_fused_attention(self):
        arguments = ("bench", "linformer-table", "--device", "cpu", "--lengths", "64,512", "--slots", "16,128", "--width", 64,
                     "--tokens", 1024, "--seconds", 2)
        short, long = json.loads(self.ok(*arguments, "--json"))["rows"]
        self.assertEqual([(row["length"], row["batch"]) for row in (short, long)], [(64, 16), (512, 2)])
        self.assertIn("not below", short["linformer"][1]["note"])
        # Maps of as many tokens in all are eight times as large, and nothing else grows.
        maps = 2 * 4 * 4 * 512 * 1024 / 2**20
        self.assertGreater(long["naive"]["mib"], maps)
        self.assertAlmostEqual(long["fused"]["mib"], short["fused"]["mib"], delta=0.1)
        self.assertGreater(long["naive"]["ms"], long["linformer"][0]["ms"])
        self.assertIn("time saved over naive attention", self.ok(*arguments))


if __name__ == "__main__":
    unittest.main()
