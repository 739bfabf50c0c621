"""edgetl export"""

from edgetl.cli.chain import chain_command, show_folders

command = chain_command(
    "export", "export", "Write the pivot of RECIPE: ONNX models, proven equal to the trained networks.", show_folders
)
