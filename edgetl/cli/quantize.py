"""edgetl quantize"""

from edgetl.cli.chain import chain_command, show_folders

command = chain_command(
    "quantize", "quantize", "Train or calibrate for the integers of each target of RECIPE.", show_folders
)
