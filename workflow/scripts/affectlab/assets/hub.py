"""Files from the Hugging Face Hub or from its cache."""

from __future__ import annotations

import itertools
import logging
import random
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affectlab.assets.transfers import is_passing
from affectlab.assets.wheels import check_sha256
from affectlab.errors import FetchError, first_line
from affectlab.files.io import sha256_file
from affectlab.files.urls import redact

logger = logging.getLogger(__name__)

HUB_TIMEOUT = 10.0
HUB_RETRIES = 3


def fetch_from_hub(source: Mapping[str, Any], repo_type: str, work: Path, fresh: Path) -> None:
    """Take the listed files from the hub's cache if they are in it, else from the hub.

    ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN`` and ``HF_HOME`` act as always. A file that
    has arrived is not fetched again after an interruption; one cut in the middle is, since the
    hub's own client keeps no parts.

    Args:
        source: with ``repo``, ``revision`` and ``files``.
        repo_type: ``dataset`` or ``model``.
        work: folder that outlives a failed attempt.
        fresh: empty folder for the files.

    Raises:
        FetchError: the hub cannot serve a file, or it is not the one that is pinned.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.constants import is_offline_mode

    repo, revision = source["repo"], source["revision"]
    wanted = []
    for path, digest in source["files"].items():
        cached = try_to_load_from_cache(repo, path, revision=revision, repo_type=repo_type)
        if isinstance(cached, str) and digest in (None, sha256_file(cached)):
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cached, fresh / path)
        else:
            wanted.append(path)
    if wanted and is_offline_mode():
        raise FetchError(f"HF_HUB_OFFLINE is set and the cache has no {', '.join(wanted)}")
    with _clear_hub_errors(repo, revision):
        for path in wanted[:1]:
            # One short look first: the download itself would retry for a minute in vain
            # where there is no network.
            url = hf_hub_url(repo, path, revision=revision, repo_type=repo_type)
            with _passing_over_busy():
                get_hf_file_metadata(url, timeout=HUB_TIMEOUT)
        for path in wanted:
            _hub_download(repo, path, revision, repo_type, work / "hub")
    for path in wanted:
        try:
            check_sha256(work / "hub" / path, source["files"][path], path)
        except FetchError:
            (work / "hub" / path).unlink()
            raise
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        (work / "hub" / path).replace(fresh / path)


@contextmanager
def _passing_over_busy() -> Iterator[None]:
    """A hub that answers at all, if only that it is busy, can be reached."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        if not is_passing(error.response.status_code):
            raise


def _hub_download(repo: str, path: str, revision: str, repo_type: str, folder: Path) -> None:
    """Download one file, and again where the hub was busy: its client does not in mid-file."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in itertools.count():
        try:
            hf_hub_download(repo, path, revision=revision, repo_type=repo_type, local_dir=folder)
            return
        except HfHubHTTPError as error:
            if attempt >= HUB_RETRIES or not is_passing(error.response.status_code):
                raise
            pause = 2**attempt * random.uniform(0.5, 1.5)
            logger.warning("%s: %s; trying again in %.1f s", path, first_line(error), pause)
            time.sleep(pause)


@contextmanager
def _clear_hub_errors(repo: str, revision: str) -> Iterator[None]:
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as error:
        page = f"{redact(constants.ENDPOINT)}/{repo}"
        message = f"gated: accept its terms at {page}, then log in (`hf auth login` or HF_TOKEN)"
        raise FetchError(message) from error
    except errors.RepositoryNotFoundError as error:
        raise FetchError("no such repository, or one that needs a log-in (HF_TOKEN)") from error
    except errors.RevisionNotFoundError as error:
        raise FetchError(f"the repository has no commit {revision}") from error
    except errors.LocalEntryNotFoundError as error:
        raise FetchError(f"{redact(constants.ENDPOINT)} cannot be reached") from error
    except errors.EntryNotFoundError as error:
        raise FetchError(f"a file is not in the repository: {first_line(error)}") from error
    except errors.HfHubHTTPError as error:
        raise FetchError(first_line(error)) from error
    except Exception as error:
        # Whatever else goes wrong inside the client is a reason to try the next source; a full
        # or read-only disk is not.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        place, reason = redact(constants.ENDPOINT), f"{type(error).__name__}: {first_line(error)}"
        raise FetchError(f"{place} cannot be reached: {reason}") from error
