"""The tour of docs/operations.md: its very commands, block by block."""
import re
import subprocess

from engine import DOCKER, WORK, compose_command, need, project, say, settings

PAGE = DOCKER.parent / "docs" / "operations.md"
MARK = "@@ block"
PATIENCE_S = 240


def blocks():
    """The indented parts of its section."""
    text = PAGE.read_text(encoding="utf-8")
    section = re.search(r"^## The tour\n(.*?)^## ", text, re.M | re.S).group(1)
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.M)
    return [re.sub(r"^    ", "", one, flags=re.M).strip() for one in found]


def script(all_blocks):
    lines = ["set -euo pipefail", f"cd '{DOCKER.parent}'"]
    if compose_command() == ["docker-compose"]:
        lines.append('docker() { if [[ $1 == compose ]]; then shift; docker-compose "$@"; '
                     'else command docker "$@"; fi; }')
    for number, block in enumerate(all_blocks):
        lines += [f"echo; echo '{MARK} {number}'", block]
    return "\n".join(lines + [f"echo; echo '{MARK} end'"])


def walk(all_blocks):
    """What each block printed."""
    path = WORK / "tour.sh"
    path.write_text(script(all_blocks))
    done = subprocess.run(["bash", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S, check=False)
    parts = done.stdout.split(f"{MARK} ")[1:]
    need(done.returncode == 0 and parts and parts[-1].startswith("end"),
         f"the tour ended in {parts[-1] if parts else done.stdout!r}")
    return dict(zip(all_blocks, parts))


def said(printed, command):
    """What the block that holds this command printed."""
    found = [text for block, text in printed.items() if command in block]
    need(len(found) == 1, f"{len(found)} blocks of the tour have {command!r}")
    return found[0]


def tour(_client, _receiver):
    with settings(COMPOSE_PROJECT_NAME=f"{project()}-tour", SLUICE_PORT_TO="", SLUICE_ALLOW_NET=""):
        all_blocks = blocks()
        printed = walk(all_blocks)
    hubspot = said(printed, "contact.creation")
    need(hubspot.count("signature: right") >= 2 and "WRONG" not in hubspot, hubspot)
    need("x-apideck-event-type: crm.contact.created" in hubspot, hubspot)
    need('"crm.contact.' in said(printed, "/webhook/logs?limit=2"), said(printed, "/webhook/logs?limit=2"))
    signature = said(printed, "openssl dgst")
    hexes = re.findall(r"\b[0-9a-f]{64}\b", signature)
    need(len(hexes) == 2 and hexes[0] == hexes[1], f"signatures: {signature}")
    need('"disabled"' in said(printed, "nobody-there"), said(printed, "nobody-there"))
    need("logger" in said(printed, "kill -9"), said(printed, "kill -9"))
    say(f"the tour of docs/operations.md: {len(all_blocks)} blocks of commands did what it says")
