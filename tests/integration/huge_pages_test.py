"""The arena of a started server stands in huge pages where the system offers them."""

import re
from pathlib import Path

import pytest

from tests.conftest import Store

_OFFERED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not _OFFERED.exists(), reason="the kernel offers no huge pages")
def test_arena_is_advised_before_it_is_filled(server: Store) -> None:
    smaps = Path(f"/proc/{server.pid}/smaps").read_text()
    areas = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps)
    sizes = {
        int(size) // 1024
        for area in areas
        if re.search(r"(?m)^VmFlags:.* hg( |$)", area)
        for size in re.findall(r"(?m)^Size: +(\d+) kB$", area)
    }
    assert max(sizes, default=0) >= 256, "no mapping of the size of the memory is advised"
