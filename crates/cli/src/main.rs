//! The program `doorward`: hands over to the library at once, so that everything can be tested.

fn main() -> std::process::ExitCode {
    doorward_cli::run(std::env::args_os().collect()).into()
}
