"""Callbacks for trackers and searches; each module needs the package that it is named after."""
