//! Commands that fetch things from outside, whichever network the thread that runs them is in: those that work with a cluster
//! are in its network, which has no way out.

use std::fs::read_link;
use std::process::Command;

/// A command in the network of this process's first thread, which stays outside of every cluster.
pub(crate) fn command(program: &str) -> Command {
    let of = |thread: &str| read_link(format!("/proc/{thread}/ns/net")).ok();
    // `self` is the first thread.
    if of("self") == of("thread-self") {
        return Command::new(program);
    }
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", std::process::id())).args(["--", program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_clusters_a_command_is_run_as_it_is() {
        assert_eq!(command("go").get_program(), "go");
    }
}
