//! The program `doorward`: hands over to the library at once, so that everything can be tested.

use doorward_gateway::upstream::stdio::launcher;

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == launcher::ARGUMENT) && arguments.next().is_none() {
        return launcher::main();
    }
    doorward_cli::run(std::env::args_os().collect()).into()
}
