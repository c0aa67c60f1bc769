"""`python -m lycosa.cli` is `lycosa`."""

from lycosa.cli.main import app

app(prog_name="lycosa")
