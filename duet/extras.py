"""Error messages that say how to install an optional dependency."""

PACKAGE = "duet-vision-language"


def missing(what: str, extra: str) -> str:
    """A line for an error: `what` needs the libraries of an extra, and how they are installed.

    >>> missing("serve", "serve")
    "serve needs: pip install 'duet-vision-language[serve]', or in a clone pip install ..."
    """
    return (
        f"{what} needs: pip install '{PACKAGE}[{extra}]', or in a clone pip install -e '.[{extra}]'"
    )
