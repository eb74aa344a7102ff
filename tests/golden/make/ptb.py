"""Tokens of Stanford's PTBTokenizer, as the COCO caption evaluation takes them.

    python3 ptb.py --jar stanford-corenlp-3.4.1.jar --texts texts.json --out ../metrics_ptb/captions/ptb.json

The jar is in the package pycocoevalcap 1.2. `texts.json` is a list of texts without line ends. Needs a JDK.
"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

DROPPED = {"''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
JAVA = """import edu.stanford.nlp.ling.*; import edu.stanford.nlp.process.*; import java.io.*; import java.nio.file.*;
public class One { public static void main(String[] a) throws Exception {
  PrintStream out = new PrintStream(System.out, false, "UTF-8");
  for (String file : Files.readAllLines(Paths.get(a[0]))) {
    String text = new String(Files.readAllBytes(Paths.get(file)), "UTF-8");
    PTBTokenizer<CoreLabel> all =
        new PTBTokenizer<>(new StringReader(text), new CoreLabelTokenFactory(), "tokenizeNLs");
    StringBuilder line = new StringBuilder();
    while (all.hasNext()) {
      String token = all.next().word();
      if (token.equals(PTBTokenizer.getNewlineToken())) continue;
      line.append(line.length() > 0 ? " " : "").append(token.toLowerCase());
    }
    out.println(line);
  }
  out.flush(); } }
"""


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--jar", type=Path, required=True)
    a.add_argument("--texts", type=Path, required=True)
    a.add_argument("--out", type=Path, required=True)
    a = a.parse_args()
    texts = json.loads(a.texts.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "One.java").write_text(JAVA)
        subprocess.run(["javac", "-cp", a.jar, here / "One.java"], check=True)
        files = []
        for i, text in enumerate(texts):
            for kind, end in (("line", "\n"), ("file", "")):
                files.append(here / f"{i}-{kind}")
                files[-1].write_text(text + end, "utf-8")
        (here / "files").write_text("\n".join(map(str, files)))
        java = ["java", "-Dfile.encoding=UTF-8", "-cp", f"{a.jar.resolve()}:{here}", "One", here / "files"]
        lines = subprocess.run(java, check=True, stdout=subprocess.PIPE).stdout.decode("utf-8").split("\n")
    kept = [" ".join(x for x in line.split(" ") if x not in DROPPED) for line in lines]
    rows = [dict(text=text, tokens=kept[2 * i], tokens_at_end_of_file=kept[2 * i + 1]) for i, text in enumerate(texts)]
    a.out.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
