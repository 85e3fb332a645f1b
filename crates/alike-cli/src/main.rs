//! The `alike` command line.
fn main() {}
