"""A page to watch runs by: `dp watch`."""

import http.server
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jinja2
import tyro
from pydantic import Field

from dp.runs.overview import Overview, overview_of, runs_in
from dp.utils.errors import UserError
from dp.utils.files import atomic
from dp.utils.validation import checked

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 200, 44, 22  # of a chart, in its own units
EVERY = 5  # seconds between two looks
Port = Annotated[int, Field(ge=0, le=65535)]


@checked
def watch(folder: tyro.conf.Positional[Path], out: Path | None = None, port: Port = 8642) -> None:
    """Show a run, or all runs in a folder, on a page that keeps itself up to date, until Ctrl-C.

    Accuracy and loss over the iterations, what was added and why, images of each round, progress and time left. Made
    from the runs' files alone: runs are not disturbed, and may be finished or stopped. Only this machine sees the page;
    of another one: ssh -L 8642:localhost:8642 MACHINE.

    Args:
        folder: a run, or a folder of runs.
        out: write the page to this file, once, and end.
        port: of http://localhost; 0: any that is free.
    """
    once = page(folder)  # so that a mistake is told before it is served
    if out is not None:
        with atomic(out) as partial_file:
            partial_file.write_text(once)
        print(out)
        return
    try:
        server = http.server.ThreadingHTTPServer(("localhost", port), partial(Handler, folder))
    except OSError as error:
        raise UserError(f"port: {port}: {error.strerror}; take another one: --port 0 takes any") from None
    print(f"http://localhost:{server.server_port} shows {folder}; Ctrl-C ends", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every request for / with the page as it is now."""

    def __init__(self, folder: Path, *given: Any):
        self.folder = folder
        super().__init__(*given)

    def do_GET(self) -> None:
        """Send the page."""
        if self.path != "/":
            self.send_error(404)
            return
        try:
            body = page(self.folder, EVERY).encode()
        except UserError as error:
            self.send_error(503, explain=str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""


def page(folder: Path, every: int = 0) -> str:
    """Return the page of a run, or of those in a folder; it looks again every so many seconds, 0: never.

    Raises:
        UserError: there is no run, or only one, whose settings cannot be read.
    """
    source = jinja2.PackageLoader("dp.cli", "")
    template = jinja2.Environment(loader=source, autoescape=True).get_template("watch.html")
    found, runs, unread = runs_in(folder), [], []
    for each in found:
        try:
            runs.append(shown(overview_of(each)))
        except UserError as error:
            if len(found) == 1:
                raise
            unread.append(str(error))
    now = time.strftime("%H:%M:%S")
    return template.render(title=folder.resolve().name, runs=runs, unread=unread, every=every, now=now)


def shown(run: Overview) -> dict[str, Any]:
    """Return what the template has to say of a run."""
    signal = next((name for name in (run.log or [{}])[-1] if name not in ("iteration", "train_loss", "pool_size")), "")
    going = run.progress if run.state == "running" else None
    left = going and going["seconds_left"]
    total = run.progress["of"] if run.progress else run.config["iterations"]
    logged = int(run.log[-1]["iteration"]) if run.log else 0
    done = total if run.state == "finished" else run.progress["iterations"] if run.progress else logged
    charts = [
        chart(run, signal, f"{signal.replace('_', ' ')}, percent" if "accuracy" in signal else signal),
        chart(run, "train_loss", "training loss"),
    ]
    return {
        "name": run.folder.name or str(run.folder.resolve().name),
        "state": run.state,
        "done": done,
        "of": total,
        "going": going,
        "rates": run.progress["images_per_second"] if run.progress else {},
        "left": "" if left is None else ("over " if going and going["at_least"] else "") + in_words(left),
        "images": sum(each.images for each in run.rounds),
        "size": run.config["n_initial"] + run.config["rounds"] * run.config["n_per_round"],
        "best": max((each[signal] for each in run.log), default=None),
        "signal": signal.replace("_", " "),
        "charts": [each for each in charts if run.log],
        "rounds": run.rounds,
        "outcomes": run.outcomes,
        "config": run.config,
        "problems": run.problems,
    }


def in_words(seconds: float) -> str:
    """Return a time as "2 h 5 min", "5 min" or "40 s"."""
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{hours} h {minutes - 60 * hours} min" if hours else f"{minutes} min"


def chart(run: Overview, name: str, title: str) -> dict[str, Any]:
    """Return a curve over the iterations as places in a drawing, with the additions and the size of the pool."""
    end, values = run.config["iterations"], [each.get(name, 0.0) for each in run.log]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    high += (high - low or 1.0) * 0.05

    def across(iteration: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * iteration / end, 1)

    def up(value: float) -> float:
        return round(8 + (HEIGHT - 8 - BOTTOM) * (1 - (value - low) / (high - low)), 1)

    def height(share: float) -> float:
        """Return the place of a share of the pool, which takes the lower half."""
        return round(HEIGHT - BOTTOM - (HEIGHT - 8 - BOTTOM) * share / 2, 1)

    places = [(across(each["iteration"]), up(value)) for each, value in zip(run.log, values, strict=True)]
    reached = places[-1][0] if places else LEFT
    largest, pool, grown = sum(each.images for each in run.rounds) or 1, [], 0
    for each in run.rounds:  # a pool grows at once
        x, before = across(each.iteration), grown
        grown += each.images
        pool += [(x, height(before / largest)), (x, height(grown / largest))]
    return {
        "title": title,
        "line": " ".join(f"{x},{y}" for x, y in places),
        "pool": " ".join(f"{x},{y}" for x, y in [*pool, (reached, height(1)), (reached, height(0))]),
        "additions": [(across(each.iteration), each.trigger) for each in run.rounds[1:] if each.iteration],
        "ticks": [(up(value), f"{value:.3g}") for value in (low, (low + high) / 2, high)],
        "end": end,
        "last": f"{values[-1]:.4g}" if values else "",
        "largest": largest,
    }
