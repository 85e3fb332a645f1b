//! The program `alike`.

use std::process::ExitCode;

fn main() -> ExitCode {
    alike_cli::main()
}
