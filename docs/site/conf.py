"""The documentation as a site: `.ci/site`."""

project = "alike"
author = "the alike developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
# Notebooks are executed before, so that an error of a cell ends the build.
nb_execution_mode = "off"
exclude_patterns = ["notes/*"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Links that leave the documentation, to sources, are the repository's.
suppress_warnings = ["myst.xref_missing", "myst.header", "misc.highlighting_failure"]
html_theme = "furo"
html_title = "alike"
smartquotes = False
# What docstrings put between backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
