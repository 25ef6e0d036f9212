"""The command line: `python3 -m hack.local`, from the repository's root. What the Makefile calls."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.install import read_images

from . import binaries, cluster, gateway, images, kind, packages, provider, status
from .errors import LocalClusterError
from .files import write_private
from .images import Build
from .layout import OUTPUT, ROOT, hand_over_outputs
from .progress import Progress

_OWN_IMAGES = ("operator", "server", "server-full", "router")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    say = Progress()
    try:
        run: Callable[[argparse.Namespace, Progress], int] = options.run
        return run(options, say)
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the command may be run again", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m hack.local", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace, Progress], int], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    up = verb("up", _up, "start the cluster, or what of it does not run")
    up.add_argument("--nodes", type=int, help="real nodes of a new cluster, 2 when left out")
    verb("down", _down, "stop the cluster and remove everything but the caches")
    verb("status", _status, "tell what runs")
    load = verb("load", _load, "give all nodes the images of an archive (OCI, or Docker's)")
    load.add_argument("archive", type=Path)
    image = verb("image", _image, "build an image from a Dockerfile, load it, and print its reference")
    image.add_argument("context", type=Path)
    image.add_argument("name", help="without a tag, such as modelway.dev/example")
    image.add_argument("--file", type=Path, help="the Dockerfile, when it is not the context's own")
    image.add_argument("--target", default="", help="the stage, when it is not the last")
    own = verb(
        "images", _images, "build and load modelway's own images, and write their references to .local/images.env"
    )
    own.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_OWN_IMAGES)}; all when left out")
    built = verb("binaries", _binaries, "build the programs that are missing, and print where they are")
    built.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(binaries.NAMES)}; all when left out")
    simulated = verb("kwok", _kwok, "add or remove simulated nodes")
    simulated.add_argument("action", choices=("up", "down"))
    simulated.add_argument("--nodes", type=int, default=10)
    entrance = verb("gateway", _gateway, "add or remove a Gateway (Gateway API, by Contour) that leads to Services")
    entrance.add_argument("action", choices=("up", "down"))
    for name, run, text in (
        ("stop", _stop, "stop one of the cluster's programs, to see what the rest does without it"),
        ("start", _start, "start it again"),
    ):
        added = verb(name, run, text)
        added.add_argument("program", help="such as kube-apiserver or node-2-kubelet; `status` lists them")
    return parser


def _up(options: argparse.Namespace, say: Progress) -> int:
    chosen = provider.choose(os.environ)
    say(f"CLUSTER={chosen}")
    if chosen == "kind":
        kind.up(say)
    elif chosen == "local":
        cluster.up(nodes=options.nodes, say=say)
    else:
        provider.check_existing(os.environ)
        say("your own cluster answers; nothing is installed on it here")
        return 0
    hand_over_outputs(os.environ)
    say("the cluster is up")
    print(
        f"\nexport KUBECONFIG={OUTPUT / 'kubeconfig'}"
        f"\nexport PATH={OUTPUT / 'bin'}:$PATH      # kubectl and helm in versions that fit"
        f"\nset -a; . {OUTPUT / 's3.env'}; set +a   # S3: endpoint and credentials"
    )
    return 0


def _down(_options: argparse.Namespace, say: Progress) -> int:
    chosen = provider.choose(os.environ)
    if chosen == "kind":
        kind.down(say)
    elif chosen == "local":
        cluster.down(say)
    else:
        say("CLUSTER=existing: your own cluster is not touched")
    return 0


def _status(_options: argparse.Namespace, say: Progress) -> int:
    if provider.choose(os.environ) == "local":
        programs = status.programs(_running(say))
        print(status.table(programs))
        if not all(line.pid for line in programs):
            print("\nmake cluster starts what does not run", file=sys.stderr)
            return 1
    return status.show(binaries.path_of("kubectl"), Path(os.environ.get("KUBECONFIG") or OUTPUT / "kubeconfig"))


def _load(options: argparse.Namespace, say: Progress) -> int:
    if provider.choose(os.environ) == "kind":
        kind.load_archive(options.archive)
    else:
        _running(say).load(options.archive)
    return 0


def _image(options: argparse.Namespace, say: Progress) -> int:
    build = Build(
        name=options.name,
        context=options.context,
        dockerfile=options.file or options.context / "Dockerfile",
        target=options.target,
    )
    print(_build_and_load([build], say)[0])
    return 0


def _images(options: argparse.Namespace, say: Progress) -> int:
    names = options.names or _OWN_IMAGES
    if unknown := set(names) - set(_OWN_IMAGES):
        raise LocalClusterError(f"{', '.join(sorted(unknown))}: not an image of ours ({', '.join(_OWN_IMAGES)})")
    builds = [
        Build(name=f"modelway.dev/{name}", context=ROOT, dockerfile=ROOT / "Dockerfile", target=name) for name in names
    ]
    references = _build_and_load(builds, say)
    variables = [f"{name.upper().replace('-', '_')}_IMAGE" for name in names]
    OUTPUT.mkdir(exist_ok=True)
    file = OUTPUT / "images.env"
    known = read_images({}, file) | dict(zip(variables, references, strict=True))
    write_private(file, "".join(f"{variable}={known[variable]}\n" for variable in sorted(known)))
    hand_over_outputs(os.environ)
    print("".join(f"{variable}={known[variable]}\n" for variable in variables), end="")
    return 0


def _build_and_load(builds: Sequence[Build], say: Progress) -> list[str]:
    chosen = provider.choose(os.environ)
    if chosen == "existing":
        raise LocalClusterError(
            "CLUSTER=existing: build the images with docker build --target, push them to a registry that your cluster "
            f"pulls from, and write their names to {OUTPUT / 'images.env'} (docs/local-cluster.md)."
        )
    if chosen == "kind":
        docker = images.Docker(say)
        references = [docker.build(build) for build in builds]
        for reference in references:
            kind.load(reference)
        return references
    running = _running(say)
    packages.ensure(packages.FOR_IMAGES, say)
    with images.Buildah(say).exclusively() as buildah:
        return [_build_locally(build, buildah, running, say) for build in builds]


def _build_locally(build: Build, buildah: images.Buildah, running: cluster.Cluster, say: Progress) -> str:
    reference = buildah.build(build)
    if reference in running.images():
        say(f"{reference} is on all nodes already")
    else:
        say(f"loading {reference} …")
        with buildah.exported(reference) as archive:
            running.load(archive)
    return reference


def _binaries(options: argparse.Namespace, say: Progress) -> int:
    if unknown := set(options.names) - set(binaries.NAMES):
        raise LocalClusterError(
            f"{', '.join(sorted(unknown))}: not a program of hack/tools ({', '.join(binaries.NAMES)})"
        )
    for path in binaries.ensure(options.names or binaries.NAMES, say).values():
        print(path)
    return 0


def _kwok(options: argparse.Namespace, say: Progress) -> int:
    running = _running(say)
    if options.action == "up":
        running.start_kwok(options.nodes)
        say(f"{options.nodes} simulated nodes, tainted kwok.x-k8s.io/node=fake:NoSchedule")
    else:
        running.stop_kwok()
        say("no simulated nodes")
    return 0


def _gateway(options: argparse.Namespace, say: Progress) -> int:
    running = _running(say)
    if options.action == "up":
        found = running.start_gateway()
        say(f"Gateway {gateway.NAMESPACED_NAME} answers on {found.url}")
        print(found.url)
    else:
        running.stop_gateway()
        say("no Gateway, and no Gateway API")
    return 0


def _stop(options: argparse.Namespace, say: Progress) -> int:
    running = _running(say)
    if options.program not in running.program_names():
        raise LocalClusterError(f"The programs are {', '.join(running.program_names())}.")
    running.processes.stop(options.program)
    say(f"{options.program} is stopped")
    return 0


def _start(_options: argparse.Namespace, say: Progress) -> int:
    cluster.up(nodes=None, say=say)
    return 0


def _running(say: Progress) -> cluster.Cluster:
    cluster.check_machine()
    found = cluster.existing(say)
    if found is None:
        raise LocalClusterError("There is no cluster on this machine: make cluster starts one.")
    return found


if __name__ == "__main__":
    sys.exit(main())
