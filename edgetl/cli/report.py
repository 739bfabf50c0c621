"""edgetl report"""

from edgetl.cli.build import show_report
from edgetl.cli.chain import chain_command

command = chain_command(
    "report", "report", "Judge the gates of RECIPE, choose what ships, write report.html and report.json.", show_report
)
