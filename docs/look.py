"""Look at the built site in a real browser: ``python docs/look.py build/site pictures``.

Every link leads to something, no page writes an error into the browser's console, the search finds what it should, and
four pages are photographed, light and dark, on a wide screen and on a phone's. Needs Chromium or Chrome, nothing else.
"""

import argparse
import functools
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHOWN = {
    "front": "index.html",
    "gallery": "gallery/descent.html",
    "api": "reference/generated/mmlfast.linalg.solve.html",
    "course": "course/calculus_4_taylor.html",
}
SEARCHED = {"solve": "mmlfast.linalg.solve", "PageRank": "mmlfast.graph.pagerank"}
SCREENS = {"wide": (1400, 1000), "phone": (390, 844)}
BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"


class Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        """Collect links, sources and anchors."""
        named = dict(attributes)
        self.anchors |= {named[name] for name in ("id", "name") if named.get(name)}
        self.links |= {named[name] for name in ("href", "src") if named.get(name)}


def broken_links(site):
    """Links of all pages within the site that lead nowhere."""
    pages = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    for path, page in sorted(pages.items()):
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield f"{path.relative_to(site)}: {link} is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(site)}: {link} has no such anchor"


class Browser:
    """Headless Chromium, a process for each page."""

    def __init__(self, url):
        found = [shutil.which(name) for name in BROWSERS if shutil.which(name)]
        if not found:
            sys.exit(f"none of {', '.join(BROWSERS)} is on PATH")
        self.program, self.url = found[0], url

    def run(self, page, *options):
        """Open a page; what it printed, and what it complained about."""
        with tempfile.TemporaryDirectory() as profile:
            command = [self.program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            command += [f"--user-data-dir={profile}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=8000"]
            done = subprocess.run(
                [*command, *options, f"{self.url}/{page}"], capture_output=True, text=True, timeout=120, check=False
            )
        said = re.findall(r':CONSOLE[^]]*\] "(.*)", source', done.stderr)
        return done.stdout, [line for line in said if re.search(r"error|failed|refused|not defined", line, re.I)]

    def photograph(self, page, file, size, dark):
        """Save what a reader would see first."""
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        self.run(page, scheme, f"--window-size={size[0]},{size[1]}", f"--screenshot={file}")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Answers without a line for each request."""

    def log_message(self, *_):
        """Say nothing."""


def serve(site):
    """A web server of the site on a port of this machine that is free."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def faults(site, pictures):
    """Everything that is not as it should be."""
    yield from broken_links(site)
    browser = Browser(serve(site))
    pages = sorted(str(path.relative_to(site)) for path in site.rglob("*.html") if "_static" not in path.parts)
    with ThreadPoolExecutor(2) as pool:
        for page, (_, complaints) in zip(pages, pool.map(lambda p: browser.run(p, "--dump-dom"), pages), strict=True):
            yield from (f"{page}: console: {line}" for line in complaints)
    for word, wanted in SEARCHED.items():
        text, _ = browser.run(f"search.html?q={word}", "--dump-dom")
        if wanted not in text[text.index("search-results") :]:
            yield f"the search for {word} does not find {wanted}"
    pictures.mkdir(parents=True, exist_ok=True)
    for name, page in SHOWN.items():
        for screen, size in SCREENS.items():
            for mode in ("light", "dark"):
                browser.photograph(page, pictures / f"{name}_{screen}_{mode}.png", size, mode == "dark")


def main():
    """Print the faults; the exit code is 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("pictures", type=Path)
    arguments = parser.parse_args()
    found = list(faults(arguments.site.resolve(), arguments.pictures))
    print("\n".join(found) if found else "no faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
