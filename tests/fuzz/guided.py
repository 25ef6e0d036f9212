"""One target under libFuzzer, guided by coverage: `python -m fuzz.guided NAME [libFuzzer's options] CORPUS`."""

import sys


def main(name: str, *options: str) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["modelway.server"]):
        from fuzz.targets import TARGETS
    atheris.Setup([name, *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
