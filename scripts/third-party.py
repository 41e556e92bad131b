#!/usr/bin/env python3
"""third-party.py: the copyright notices and licences of everything of Rust that a binary of kube-verdict consists of,
for packages and images. Of libraries of C that it is linked with, the packages that they come from say theirs.

The crates are those that cargo links into the program, by cargo itself; their texts are the files that their authors
put into them. A crate without such a file must be licensed under the Apache License, whose text is the project's own,
or this fails: somebody has to look. Of the standard library the toolchain has the notices.
"""
import html
import json
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
NAMES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
# Texts that crates have in files of such names, but of what is not built into anything.
ASIDE = {"tests", "examples", "benches", "target"}
# Parts of the standard library that are not in it on Linux. One that is not known here is told of.
ELSEWHERE = re.compile(r"(windows|wasi|wit-bindgen|fortanix|hermit|vex-|moto-|r-efi|dlmalloc|unwinding|cc-|shlex|rand)")


def cargo(*words):
    command = ["cargo", *words, "--locked"]
    result = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if result.returncode:
        sys.exit(f"third-party.py: {' '.join(command)} fails: see above")
    return result.stdout


def linked():
    """(name, version) of the crates that are linked, without our own"""
    edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]
    tree = cargo("tree", "--package", "kube-verdict", *edges)
    # "name v1.2.3", and behind the name of one of ours its folder
    words = {tuple(line.split()) for line in tree.splitlines()}
    return {(word[0], word[1].removeprefix("v")) for word in words if len(word) == 2}


def crates():
    """Each linked crate: its title, and its texts by their names"""
    host = re.search(r"^host: (.*)$", subprocess.check_output(["rustc", "-vV"], encoding="utf-8"), re.MULTILINE)[1]
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", host))
    wanted = linked()
    found = [package for package in metadata["packages"] if (package["name"], package["version"]) in wanted]
    if len(found) != len(wanted):
        sys.exit(f"third-party.py: cargo tree names {len(wanted)} crates, cargo metadata knows {len(found)} of them")
    for package in sorted(found, key=lambda package: (package["name"], package["version"])):
        name = f"{package['name']} {package['version']}"
        folder = pathlib.Path(package["manifest_path"]).parent
        texts = {
            str(file.relative_to(folder)): file.read_text(encoding="utf-8", errors="replace")
            for file in sorted(folder.rglob("*"))
            if NAMES.match(file.name) and file.is_file() and not file.suffix == ".rs"
            and not ASIDE & set(file.relative_to(folder).parts)
        }
        licence = package["license"] or "see its file"
        if not texts:
            if "Apache-2.0" not in licence:
                sys.exit(f"third-party.py: {name} ({licence}) has no licence's text: look at {package['repository']}")
            texts = {"Apache-2.0 (no file of its own)": (TOP / "LICENSE").read_text(encoding="utf-8")}
        authors = "".join(f"\n  {author}" for author in package["authors"])
        yield f"{name}\n  {licence}\n  {package['repository'] or package['homepage'] or ''}{authors}", name, texts


def standard_library():
    """The same of what is linked with every program of Rust"""
    root = pathlib.Path(subprocess.check_output(["rustc", "--print", "sysroot"], encoding="utf-8").strip())
    page = root / "share/doc/rust/COPYRIGHT-library.html"
    name = "Rust's standard library"
    title = f"{name}\n  Apache-2.0 OR MIT\n  https://github.com/rust-lang/rust\n  The Rust Project Developers"
    if not page.exists():
        print(f"third-party.py: there is no {page}: the standard library's parts are not named", file=sys.stderr)
        yield title, name, {"Apache-2.0": (TOP / "LICENSE").read_text(encoding="utf-8")}
        return
    text = page.read_text(encoding="utf-8")
    plain = lambda part: html.unescape(re.sub(r"<[^>]+>", "", part))
    own, *parts = re.split(r"<h3>\W*(?=[\w-]+-\d)", text)
    own = re.sub(r"(?s)<(style|title)>.*?</\1>", "", own)
    own = re.sub(r"\n\s*\n+", "\n\n", plain(own)).strip()
    yield title, name, {"notices": own}
    for part in parts:
        name = part[: part.index("</h3>")]
        if ELSEWHERE.match(name):
            continue
        licence = re.search(r"License:</b>(.*?)</p>", part)
        texts = re.findall(r"(?s)<summary><code>(.*?)</code></summary>\s*<pre>(.*?)</pre>", part)
        title = f"{name}, in Rust's standard library\n  {plain(licence[1]).strip() if licence else ''}"
        yield title, name, {file: plain(text) for file, text in texts}


def main():
    titles, texts = [], {}
    for title, name, files in [*crates(), *standard_library()]:
        numbers = []
        for file, text in files.items():
            # The same words are the same text, however they are broken into lines.
            key = " ".join(text.split())
            entry = texts.setdefault(key, (len(texts) + 1, text.strip("\n"), []))
            entry[2].append(f"{name}: {file}")
            numbers.append(str(entry[0]))
        titles.append(f"{title}\n  texts: {', '.join(numbers) or 'none of its own'}\n")
    print("What of Rust is in a binary of kube-verdict, by its authors, with their licences. The numbers are those of")
    print("the texts below.\n")
    print("\n".join(titles))
    for number, text, users in texts.values():
        print("=" * 100)
        print(f"{number}. " + "; ".join(users) + "\n")
        print(text.rstrip() + "\n")


main()
